"""What the pages name is there: links, anchors, pictures; and both languages of a page say the same things."""

import re

import pytest

from tests.docs.pages import KINDS, ROOT, anchors, blocks, headings, links, pages, prose, text_of

TRANSLATED = [("README.md", "README.ja.md")] + [
    (f"docs/{page.removeprefix('docs/ja/')}", page) for page in pages() if page.startswith("docs/ja/")
]


@pytest.mark.parametrize("page", pages())
def test_links_and_anchors_lead_somewhere(page: str) -> None:
    lost = []
    for link in links(page):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent.joinpath(path).resolve() if path else ROOT / page
        known = target.exists() and (not anchor or anchor in anchors(target.relative_to(ROOT).as_posix()))
        if not known:
            lost.append(link)
    assert lost == []


@pytest.mark.parametrize("page", [page for page in pages() if page.startswith(("README", "docs/"))])
def test_every_block_says_what_it_is(page: str) -> None:
    assert [block.place for block in blocks(page) if block.kind not in KINDS] == []
    bare = re.findall(r"(?:^|\n)\n    (?![-*\d])\S.*", prose(page))
    assert bare == [], "an indented block has no language and nobody runs it; try a fence"


def test_every_page_can_be_found_from_the_index() -> None:
    named = {link.partition("#")[0] for link in links("docs/README.md")}
    there = {page.removeprefix("docs/") for page in pages() if page.startswith("docs/")} - {"README.md"}
    assert there - named == set()


def test_the_map_names_every_folder() -> None:
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert {name for name in folders if f"`{name}/`" not in text_of("CONTRIBUTING.md")} == set()


def test_pictures_are_small_and_used() -> None:
    used = {link.rpartition("/")[2] for page in pages() for link in links(page)}
    for path in (ROOT / "docs/images").iterdir():
        assert path.name in used
        assert path.stat().st_size <= 150_000, path.name


def bare(link: str) -> str:
    """A link without what differs between the two languages: folder, language of the page, words of the anchor."""
    path = re.sub(r"^(\.\./|docs/|ja/)+", "", link.partition("#")[0])
    return re.sub(r"[.-](ja|en)(?=\.(md|png)$)", "", path)


@pytest.mark.parametrize(("english", "japanese"), TRANSLATED, ids=[page for page, _ in TRANSLATED])
def test_both_languages_have_the_same_sections_links_and_blocks(english: str, japanese: str) -> None:
    signs = [[heading.split()[0] for heading in headings(page)] for page in (english, japanese)]
    assert signs[0] == signs[1]
    targets = [sorted(bare(link) for link in links(page)) for page in (english, japanese)]
    assert targets[0] == targets[1]
    code = [
        [(block.kind, _uncommented(block.text)) for block in blocks(page)] for page in (english, japanese)
    ]
    assert code[0] == code[1]
    tables = [len(re.findall(r"^\|", prose(page), re.MULTILINE)) for page in (english, japanese)]
    assert tables[0] == tables[1]


def _uncommented(text: str) -> str:
    """A block without its comments, which are in the page's language."""
    return re.sub(r"\s+# .*$|^# .*$", "", text, flags=re.MULTILINE)

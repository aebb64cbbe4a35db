"""The pages that people read: their code blocks, headings and links."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = "# elsewhere:"
"""The first line of a block that cannot run here says so to its reader, and why."""
KINDS = {"console", "toml", "json", "sql", "python", "ini", "dockerfile", "yaml", "text"}

_FENCE = re.compile(r"^```(\w*)$(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"^# ([\w/.-]+\.\w+)$")
_ADDITION = re.compile(r"^# at the end of ([\w/.-]+)$")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """One fenced block: page relative to the root, line of its fence, kind, text without the fences."""

    page: str
    line: int
    kind: str
    text: str

    @property
    def place(self) -> str:
        """Where it stands, as an editor takes it."""
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str:
        """The name of the file that it shows, from a first line such as `# shop.py`; else empty."""
        found = _FILE.match(self.text.split("\n")[0])
        return found[1] if found else ""

    @property
    def addition(self) -> str:
        """The name of the file that it is added to, from a first line `# at the end of forest.toml`; else empty."""
        found = _ADDITION.match(self.text.split("\n")[0])
        return found[1] if found else ""

    @property
    def elsewhere(self) -> bool:
        """Whether it says that it cannot run here."""
        return self.text.startswith(ELSEWHERE)


def pages() -> list[str]:
    """Every page of documentation, relative to the root."""
    found = [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "nats/README.md",
        ROOT / "bench/README.md",
    ]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def text_of(page: str) -> str:
    """A page as it stands."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page in order."""
    text = text_of(page)
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(page, line, found[1], found[2].strip("\n"))


def prose(page: str) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", text_of(page))


def headings(page: str) -> list[str]:
    """Its headings in order, with their signs."""
    return re.findall(r"^(#+ .+)$", prose(page), re.MULTILINE)


def anchors(page: str) -> set[str]:
    """What a link to this page may name behind `#`, made as GitHub makes it."""
    found: set[str] = set()
    for heading in headings(page):
        words = re.sub(r"[^\w\- ]", "", heading.lstrip("#").strip().lower()).replace(" ", "-")
        number = 0
        while (name := f"{words}-{number}" if number else words) in found:
            number += 1
        found.add(name)
    return found


def links(page: str) -> list[str]:
    """The targets of its links and pictures, code left out."""
    return _LINK.findall(re.sub(r"`[^`\n]*`", "", prose(page)))

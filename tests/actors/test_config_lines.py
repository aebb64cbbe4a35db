"""The index of lines agrees with tomllib on every valid text, and no text breaks the reader."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.config_errors import ConfigError, ConfigErrors, toml_text
from actors.config_lines import Lines
from actors.config_lines import Path as LinePath
from tests.actors.forests import GOOD, forest_of

_word = st.text("abcxyz_-", min_size=1, max_size=4)
_quoted = st.text("ab.]['#= 名", max_size=5).map(toml_text)
_scalar = st.one_of(
    st.integers(-9, 9).map(str),
    _quoted,
    st.just("1979-05-27 07:32:00"),
    st.just('"""\n[x]\ny = "1"\n"""'),
    st.just("'''\n# ''\n'''"),
    st.lists(st.integers(0, 3)).map(lambda items: "[\n  " + ", # one\n  ".join(map(str, items)) + "]"),
    st.just("[{ a = 1 }, { b = [1, 2] }]"),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.booleans(),
            _word,
            st.dictionaries(st.one_of(_word, _quoted.filter(lambda q: q != '""')), _scalar),
        ),
        max_size=5,
    )
)
def test_the_line_index_finds_every_key_of_any_valid_text(
    tables: list[tuple[bool, str, dict[str, str]]],
) -> None:
    text = "# first line\n"
    where: dict[LinePath, int] = {}
    seen: dict[str, bool] = {}
    counts: dict[str, int] = {}
    for listed, name, entries in tables:
        if seen.setdefault(name, listed) != listed or (not listed and name in counts):
            continue
        number = counts[name] = counts.get(name, -1) + 1
        text += f"[[{name}]] # table\n" if listed else f" [ {name} ]\n"
        for key, value in entries.items():
            bare = tomllib.loads(f"k = {key}")["k"] if key.startswith('"') else key
            where[(name, number, bare) if listed else (name, bare)] = text.count("\n") + 1
            text += f"{key} = {value}\n\n"
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return

    lines = Lines(text)

    assert not lines.doubled
    assert {path: lines.of(path) for path in where} == where


def test_the_line_index_reads_dotted_keys_sub_tables_and_inline_tables() -> None:
    text = "[[w]]\na.b = 1\n[w.env]\nX = 1\n[[w]]\nn = { from = 1,\n}\nl = [\n 1,\n { z = 2 },\n]\n".replace(
        ",\n}", "}"
    )
    lines = Lines(text)

    found = {
        path: lines.of(path)
        for path in [
            ("w", 0, "a", "b"),
            ("w", 0, "env", "X"),
            ("w", 1, "n", "from"),
            ("w", 1, "l", 1, "z"),
            ("w", 1, "q"),
        ]
    }

    assert list(found.values()) == [2, 4, 6, 9, 5]


CUTS = st.tuples(
    st.integers(0, len(GOOD)),
    st.integers(0, 6),
    st.sampled_from(["", "[", "]", "'", '"', "=", "\n", "#", "-1", "{}", "[1]", "true", "名", '"\\u0000"']),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any")


@settings(max_examples=200, deadline=None)
@given(changes=st.lists(CUTS, min_size=1, max_size=3))
def test_no_text_whatever_breaks_the_reader(changes: list[tuple[int, int, str]], folder: Path) -> None:
    text = GOOD
    for at, cut, put in changes:
        text = text[:at] + put + text[at + cut :]
    problems: list[ConfigError] = []

    try:
        forest = forest_of(folder, text, {})
    except ConfigErrors as told:
        problems = told.errors
    else:
        assert forest.settings(b"key", {}).node == forest.node.name

    assert all(1 <= problem.line <= text.count("\n") + 1 for problem in problems)
    assert all("\n" not in str(problem) for problem in problems)

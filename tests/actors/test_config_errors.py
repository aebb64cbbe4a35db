"""What is wrong in forest.toml is told all at once, each thing with its place and advice."""

from collections.abc import Callable
from pathlib import Path

import pytest

from actors.config_errors import ConfigErrors
from actors.config_reader import read_forest
from tests.actors.forests import GOOD, A, B, forest_of

ROOT = Path(__file__).resolve().parents[2]


def wrong_forests() -> dict[str, tuple[str, int, str, str]]:
    """Return the text, the line and key of its only error and a part of what is said, by what is wrong."""
    found = {}
    for block in (Path(__file__).parent / "wrong_forests.txt").read_text(encoding="utf-8").split("==== ")[1:]:
        head, text = block.split("\n", 1)
        case, line, key, said = head.split(" | ")
        found[case] = (text, int(line), key, said)
    return found


WRONG = wrong_forests()


def wrong_in(folder: Path, text: str) -> list[tuple[int, str, str]]:
    """Return line, key and the rest of each error's line."""
    with pytest.raises(ConfigErrors) as caught:
        forest_of(folder, text, {})
    shown = str(caught.value).replace(f"{folder}/", "").split("\n")
    assert len(shown) == len(caught.value.errors)
    return [
        (error.line, error.key, line.split("expected ", 1)[1])
        for error, line in zip(caught.value.errors, shown, strict=True)
    ]


# One text each, the line and key of its only error, and a part of what is said.


@pytest.mark.parametrize("case", WRONG)
def test_each_mistake_is_told_once_with_its_line_and_key(case: str, tmp_path: Path) -> None:
    text, line, key, said = WRONG[case]

    errors = wrong_in(tmp_path, text)

    assert [(error[0], error[1]) for error in errors] == [(line, key)]
    assert said in f"expected {errors[0][2]}"


def test_all_mistakes_are_told_at_once_in_the_order_of_their_lines(tmp_path: Path) -> None:
    text = (
        A
        + "batch = 0\nstop_signal = 'X'\n"
        + B
        + "memory_limit = 'x'\nafter = ['nobody']\n[node]\nnam = 'x'\n"
    )

    errors = wrong_in(tmp_path, text)

    assert [(line, key) for line, key, _ in errors] == [
        (7, "workers[0].batch"),
        (8, "workers[0].stop_signal"),
        (12, "workers[1].memory_limit"),
        (13, "workers[1].after[0]"),
        (15, "node.nam"),
    ]


def test_an_error_line_reads_as_documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("forest.toml").write_text(
        GOOD + '[[worker]]\nname = "c"\nqueue = "q1"\ncall = "m:f"\nbatch = "ten"\n'
    )
    example = 'forest.toml:21: workers[2].batch: expected an integer of at least 1, got "ten"; try batch = 10'

    with pytest.raises(ConfigErrors) as caught:
        read_forest(Path("forest.toml"))

    assert str(caught.value) == example
    assert example.split(" ", 1)[1] in (ROOT / "docs/configuration.md").read_text()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "got no such file or directory; try elf init"),
        (lambda path: path.mkdir(), "got is a directory"),
        (
            lambda path: path.write_bytes(b"[node]\nname = '\xff'\n"),
            ":2: expected UTF-8 text, got the byte 0xff",
        ),
    ],
    ids=["missing", "folder", "not text"],
)
def test_a_file_that_cannot_be_read_is_one_clear_line(
    make: Callable[[Path], object], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "forest.toml"
    make(path)

    with pytest.raises(ConfigErrors) as caught:
        read_forest(path)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["12345678", "['hunter2-secret']", "'${MISSING}hunter2-secret'"])
def test_no_error_shows_what_stands_in_env(value: str, tmp_path: Path) -> None:
    errors = wrong_in(tmp_path, B + f"env = {{ TOKEN = {value} }}\n")

    assert len(errors) == 1
    assert "hunter2" not in errors[0][2]
    assert "12345678" not in errors[0][2]

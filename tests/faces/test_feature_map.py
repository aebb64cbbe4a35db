"""Every row of the feature map names commands and tests that exist, and says what it lacks."""

import re
from collections.abc import Iterator

import pytest
from cyclopts import App

import cli
from tests.faces.console import ROOT

PAGE = (ROOT / "docs" / "seed-rows.md").read_text()
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if re.match(r"\| \d+ \|", line)]


def commands(app: App, words: str = "elf") -> Iterator[str]:
    """Every command with its words."""
    for name in app:
        if not name.startswith("-"):
            yield f"{words} {name}"
            yield from commands(app[name], f"{words} {name}")


def test_every_row_stands_once_with_a_state() -> None:
    assert [int(row[0]) for row in ROWS] == list(range(1, 138))
    for row in ROWS:
        assert len(row) == 4, row
        assert re.fullmatch(r"shown|planned|partly: .+", row[3]), row
        assert ("`" in row[2]) == (row[3] != "planned"), row


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_a_row_names_exists(row: list[str]) -> None:
    known = set(commands(cli.app))
    for name in re.findall(r"`([^`]+)`", row[2]):
        if name.startswith("elf "):
            assert name in known
            continue
        path, _, test = name.partition("::")
        text = (ROOT / path).read_text()
        assert re.search(rf"^(?:async )?def {test}\(", text, re.MULTILINE), name

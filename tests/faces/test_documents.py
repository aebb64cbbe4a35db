"""What the documents name exists."""

import re
from pathlib import Path

import pytest

import cli
from tests.faces.console import ROOT

PAGES = ("README.md", "docs/commands.md")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text())
    assert links
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_examples_exist(page: str) -> None:
    named = set(re.findall(r"^\s*(?:\$ )?(?:\.venv/bin/)?elf (\w+)", (ROOT / page).read_text(), re.MULTILINE))
    assert named <= set(cli.app)


def test_the_map_names_every_folder() -> None:
    text = (ROOT / "README.md").read_text()
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert {name for name in folders if f"`{name}/`" not in text} == set()
    assert not any(Path(name).is_absolute() for name in re.findall(r"`([^`]+/)`", text))

"""Help is quick, complete and documented."""

import re
import subprocess
import time
from collections.abc import Iterator

import pytest
from cyclopts import App

import cli
from tests.faces.console import PROGRAM, ROOT, Elf

DOCUMENT = (ROOT / "docs" / "commands.md").read_text()
HEAVY = ("nats", "duckdb", "pykka", "psutil", "msgspec", "asyncio")


def commands(app: App, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], App]]:
    """Every command with its words, the groups of commands included."""
    for name in app:
        if not name.startswith("-"):
            yield (*words, name), app[name]
            yield from commands(app[name], (*words, name))


ALL = dict(commands(cli.app))


def options(app: App) -> set[str]:
    """The names of a command's options, its arguments left out."""
    if app.default_command is None:
        return set()
    found = app.assemble_argument_collection(parse_docstring=True)
    names = {name for argument in found if argument.show for name in argument.names if name.startswith("-")}
    return {name for name in names if f"--{name.removeprefix('--no-')}" not in names - {name}}


def section(words: tuple[str, ...]) -> str:
    """What the document says under the heading of a command; subcommands have headings of their own."""
    found = re.search(rf"^##+ `elf {' '.join(words)}[ `].*?(?=^##|\Z)", DOCUMENT, re.DOTALL | re.MULTILINE)
    assert found, f"docs/commands.md has no heading for elf {' '.join(words)}"
    return found[0]


@pytest.mark.smoke
def test_help_is_quick_and_loads_no_heavy_library() -> None:
    began = time.perf_counter()
    plain = subprocess.run([*PROGRAM, "--help"], capture_output=True, text=True)
    took = time.perf_counter() - began
    print(f"elf --help took {took * 1000:.0f} ms")
    assert plain.returncode == 0
    for name in cli.app:
        assert name in plain.stdout
    told = subprocess.run(
        [PROGRAM[0], "-X", "importtime", *PROGRAM[1:], "--help"], capture_output=True, text=True
    ).stderr
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in told.splitlines()}
    assert loaded & set(HEAVY) == set()


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_helps_and_is_documented_with_every_option(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    said = Elf(capsys)(*words, "--help")
    assert said.code == 0
    assert ALL[words].help.split("\n")[0].rstrip(".")[:40] in " ".join(said.out.split())
    text = section(words)
    missing = [name for name in options(ALL[words]) - {"--help", "-h", "--version"} if f"`{name}" not in text]
    shared = {"--data", "--nats"}
    assert set(missing) <= shared, f"undocumented: {missing}"


def test_every_documented_command_exists() -> None:
    headings = re.findall(r"^##+ `elf ([a-z ]+?)(?: [A-Z\[<].*)?`", DOCUMENT, re.MULTILINE)
    assert {tuple(heading.split()) for heading in headings} <= set(ALL)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", Elf(capsys)("--version").out)

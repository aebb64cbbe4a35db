"""Every example of README and docs is executed: on one running node, as far as it says that it can run here."""

import ast
import configparser
import gzip
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.config_reader import read_forest
from actors.simulator.scenario_file import read_scenario
from tests.docs.pages import Block, blocks, pages
from tests.docs.sessions import Session, call, project, steps
from tests.docs.shapes import first_missing
from tests.faces.console import ROOT
from tests.faces.test_help import ALL, options

PAGES = [
    page for page in pages() if page.startswith(("README", "docs/")) and not re.search(r"\.ja\.|/ja/", page)
]
"""The Japanese pages have the same blocks."""
SHOWN = [block for page in PAGES for block in blocks(page)]


def of(*kinds: str) -> pytest.MarkDecorator:
    """The blocks of these kinds, for parametrize."""
    found = [block for block in SHOWN if block.kind in kinds]
    return pytest.mark.parametrize("block", found, ids=[block.place for block in found])


def forest() -> str:
    """The example's forest with quick ticks and a free port."""
    text = (ROOT / "examples/forest.toml").read_text(encoding="utf-8")
    assert "sample_s = 5" in text
    return text.replace("sample_s = 5", "sample_s = 0.5") + "\n[web]\nport = 0\n"


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Session, list[str]]]:
    """A reader after `make run`: the example forest runs in a copy of the project. And what the node said."""
    session = Session(project(tmp_path_factory.mktemp("tour"), forest()))
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("LANG", "C.UTF-8")
    for name in ("ELF_LANG", "ELF_DATA", "ELF_NATS"):
        monkeypatch.delenv(name, raising=False)
    try:
        start = "$ elf node --config examples/forest.toml"
        session.run(Block("make run", 0, "console", start))
        page = next(line.split()[1] for line in session.heard if line.startswith("  dashboard "))
        session.names["http://127.0.0.1:8787"] = page.rstrip("/")
        yield session, session.heard
        session.close()
    finally:
        session.sweep()
        monkeypatch.undo()


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if any(b.kind == "console" for b in blocks(page))])
def test_commands_do_what_the_page_shows(page: str, tour: tuple[Session, list[str]]) -> None:
    first, welcome = tour
    reader = Session(first.top)
    reader.names.update(first.names)
    try:
        for block in blocks(page):
            if block.elsewhere:
                continue
            if block.file or block.addition:
                reader.write(block)
            elif block.kind == "console":
                reader.run(_started(block, welcome, first))
        reader.close()
    finally:
        reader.sweep()


def _started(block: Block, welcome: list[str], first: Session) -> Block:
    """A block without its `make run`, whose words are compared with those of the node that runs already."""
    if not block.text.startswith("$ make run"):
        return block
    shown = block.text.split("\n")[1:]
    assert first_missing(shown, welcome) == "", welcome
    first.learn(shown, welcome)
    return block._replace(text="")


@of("console")
def test_commands_that_are_shown_exist_with_their_options(block: Block) -> None:
    for step in steps(block):
        for command in re.findall(r"(?:^|[|;&(]\s*)(?:\.venv/bin/)?elf ([^|;&)]*)", step.command):
            words = [word for word in _words(command) if word]
            name = next((tuple(words[:n]) for n in (2, 1) if tuple(words[:n]) in ALL), None)
            if words[0].startswith("-"):
                continue
            assert name, f"{block.place}: no command elf {command}"
            used = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
            assert used <= options(ALL[name]) | {"--help", "--debug"}, block.place


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command, comments=True)
    except ValueError:
        return command.split()


@of("toml")
def test_configurations_are_valid_by_themselves_or_in_a_minimal_forest(block: Block, tmp_path: Path) -> None:
    table = tomllib.loads(block.text)
    if "agent" in table and {"policies", "trace", "generator"} & set(table):
        rows = "".join(f"{n},{n % 7 + 1},m{n % 2},{n % 3}\n" for n in range(50))
        (tmp_path / "requests.csv.gz").write_bytes(
            gzip.compress(f"created,seconds,model,images\n{rows}".encode())
        )
        (tmp_path / "scenario.toml").write_text(block.text, encoding="utf-8")
        read_scenario(tmp_path / "scenario.toml")
        return
    named = {queue["name"] for queue in table.get("queue", [])}
    wanted = {worker["queue"] for worker in table.get("worker", []) if "queue" in worker} - named
    workers = {reminder["worker"] for reminder in table.get("reminder", [])} - {
        worker["name"] for worker in table.get("worker", [])
    }
    channels = {to for job in table.get("job", []) for to in job.get("to", [])} - set(table.get("notify", {}))
    text = block.text
    text += "".join(f'\n[[queue]]\nname = "{name}"\n' for name in sorted(wanted))
    text += "".join(f'\n[[worker]]\nname = "{name}"\ncommand = ["true"]\n' for name in sorted(workers))
    text += "".join(f'\n[notify.{name}]\nfile = "told.md"\n' for name in sorted(channels - {"github"}))
    if "github" in channels and "github" not in table:
        text += '\n[github]\nrepo = "owner/name"\ntoken_env = "TOKEN"\n'
    folder = project_like(tmp_path)
    (folder / "forest.toml").write_text(text, encoding="utf-8")
    read_forest(folder / "forest.toml", {"TOKEN": "x", "API_TOKEN": "x", "PATH": "/usr/bin:/bin"})
    code, said = call(["node", "--check"], folder) if "${" not in text else (0, [])
    assert code == 0, said


def project_like(folder: Path) -> Path:
    """A folder with what configurations name: an interpreter, working folders."""
    for name in ("site", ".venv/bin"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / ".venv/bin/python").symlink_to("/usr/bin/env")
    return folder


@of("json")
def test_json_parses(block: Block) -> None:
    json.loads(block.text)


@of("ini")
def test_ini_parses(block: Block) -> None:
    configparser.RawConfigParser(inline_comment_prefixes=(";",)).read_string(block.text)


@of("sql")
def test_queries_run(block: Block, tour: tuple[Session, list[str]]) -> None:
    code, said = call(["sql", block.text, "--format", "csv"], tour[0].top)
    assert code == 0, said


@of("python")
def test_python_runs(block: Block) -> None:
    ast.parse(block.text)
    if not block.elsewhere:
        exec(compile(block.text, block.place, "exec"), {"__name__": "shown"})

"""Runs what a page shows after `$ `, in a folder with a running example forest, as a reader would."""

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cli
from actors.keeper_client import Keeper, KeeperGone
from tests.docs.pages import ROOT, Block
from tests.docs.shapes import first_missing, learnt
from tests.faces.console import PROGRAM

COPIED = ("actors", "docs", "events", "examples", "projections", "requirements", "pyproject.toml", "nats")
"""What the example's tasks work on, and what pages look into."""
LASTING = re.compile(r"^elf (node(?!.*--check)|agent run)\b")
PATIENT = re.compile(
    r"^elf (status|why|task(?! cancel| retry)|tasks|(agent|alert|dlq|remind) list|dlq show|kpi|plan|sql|logs|doctor)\b"
)
"""What only asks is asked again until it says what the page shows."""
NEEDS_SHELL = re.compile(r"[|><$;&]")
UP = "Ctrl-C ends the node and its workers in order."
PATIENCE_S = 90.0


class Step(NamedTuple):
    """One command of a block with what the page shows of its answer."""

    command: str
    codes: set[int]
    shown: list[str]


def steps(block: Block) -> Iterator[Step]:
    """The commands of a console block; `# exit code N` behind one says how it ends."""
    lines = block.text.split("\n")
    while lines:
        line = lines.pop(0)
        if not line.startswith("$ "):
            assert line.startswith("# ") or not line, f"{block.place}: expected a command, got {line!r}"
            continue
        while line.endswith("\\"):
            line = line[:-1] + lines.pop(0).strip()
        shown: list[str] = []
        while lines and not lines[0].startswith("$ "):
            shown.append(lines.pop(0))
        code = re.search(r"# exit code (\d(?: or \d)*)", line)
        codes = {int(one) for one in code[1].split(" or ")} if code else {0}
        yield Step(line[2:], codes, [one for one in shown if not one.startswith("# ")])


class Session:
    """A reader with one terminal after another in a copy of the project; what they start is ended at the end."""

    def __init__(self, folder: Path) -> None:
        self.top = folder
        self.place = folder
        self.names: dict[str, str] = {}
        self.heard: list[str] = []
        self._lasting: list[tuple[subprocess.Popen[bytes], Path]] = []
        self._nodes: list[Path] = []
        self._there = set(folder.iterdir())

    def run(self, block: Block) -> None:
        """Run all commands of a block and compare what they say."""
        for step in steps(block):
            command = self._here(step.command.replace(".venv/bin/elf", "elf"))
            where = f"{block.place}: {command}"
            if command.startswith("cd "):
                self.place = (self.place / command.split()[1]).resolve()
            elif command.startswith("curl ") and shutil.which("curl") is None:
                continue  # not every machine has it
            elif LASTING.match(command):
                self._last(command, step.shown, where)
            else:
                self._ask(command, step, where)

    def write(self, block: Block) -> None:
        """Write a file that a page shows, or add to one."""
        path = self.place / (block.file or block.addition)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if block.addition else "w", encoding="utf-8") as file:
            file.write(block.text + "\n")

    def learn(self, shown: list[str], said: list[str]) -> None:
        """Remember what the names of the page are here."""
        self.names.update(learnt(shown, said))

    def _here(self, command: str) -> str:
        """A command with the names of this run instead of the page's."""
        known = "|".join(re.escape(name) for name in sorted(self.names, key=len, reverse=True))
        return (
            re.sub(rf"(?<!\w)({known})(?!\w)", lambda name: self.names[name[0]], command)
            if known
            else command
        )

    def close(self) -> None:
        """End what was started, in order, and look that nothing is left."""
        self.place = self.top
        for process, log in reversed(self._lasting):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            code = process.wait(60)
            assert code in (0, -signal.SIGKILL), log.read_text()
        self._lasting.clear()

    def sweep(self) -> None:
        """End by force what a failed page left."""
        for process, _ in self._lasting:
            if process.poll() is None:
                process.kill()
                process.wait()
        for place in self._nodes:
            for keeper in place.rglob("keeper.json"):
                clear(keeper.parent)
        for path in set(self.top.iterdir()) - self._there:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()

    def _last(self, command: str, shown: list[str], where: str) -> None:
        log = self.top / f"{os.getpid()}-{time.monotonic_ns()}.log"
        words = shlex.split(command, comments=True)[1:]
        with log.open("wb") as file:
            process = subprocess.Popen([*PROGRAM, *words], stdout=file, stderr=file, cwd=self.place)
        self._lasting.append((process, log))
        if words[0] == "node":
            self._nodes.append(self.place)
        deadline = time.monotonic() + PATIENCE_S
        until = [*shown, *([UP] if " node" in command and UP not in shown else [])]
        while missing := first_missing(until, said := log.read_text().splitlines()):
            assert process.poll() is None, f"{where}\nended: {said}"
            assert time.monotonic() < deadline, f"{where}\nexpected {missing!r} in {said}"
            time.sleep(0.05)
        self.learn(shown, said)
        self.heard = said

    def _ask(self, command: str, step: Step, where: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            code, said = self._say(command)
            missing = first_missing(step.shown, said)
            if code in step.codes and not missing:
                break
            text = "\n".join(said)
            # A queue of a file that is being read again may not be there yet; nothing was taken meanwhile.
            again = PATIENT.match(command) or said[-1:] == ["nothing was submitted"]
            assert again, f"{where}\nexit code {code}, missing {missing!r} in\n{text}"
            assert time.monotonic() < deadline, f"{where}\nexit code {code}, missing {missing!r} in\n{text}"
            time.sleep(0.1)
        self.learn(step.shown, said)

    def _say(self, command: str) -> tuple[int, list[str]]:
        """Run a command, `elf` alone without a process of its own."""
        if command.startswith("elf ") and not NEEDS_SHELL.search(_unquoted(command)):
            words = shlex.split(command, comments=True)[1:]
            return call([*words, *(["--wait-timeout", "90"] if "--wait" in words else [])], self.place)
        path = f"{self.top / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=self.place,
            env={**os.environ, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=PATIENCE_S,
        )
        return done.returncode, done.stdout.splitlines()


def _unquoted(command: str) -> str:
    return re.sub(r"'[^']*'|\"[^\"$]*\"", "", command.partition(" # ")[0])


def call(words: list[str], place: Path) -> tuple[int, list[str]]:
    """Call the command line in this process, in a folder; exit code and lines of both its outputs."""
    said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with contextlib.chdir(place), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = cli.main(words)
    said.seek(0)
    return code, said.read().splitlines()


def project(folder: Path, forest: str) -> Path:
    """Copy what the example works on, with `.venv/bin/elf` and the given forest as its configuration."""
    top = folder / "elf-forest"
    passing = shutil.ignore_patterns("__pycache__", "data")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, top / name, ignore=passing)
        else:
            shutil.copy(ROOT / name, top)
    (top / "examples/forest.toml").write_text(forest, encoding="utf-8")
    tools = top / ".venv/bin"
    tools.mkdir(parents=True)
    (tools / "python").symlink_to(sys.executable)
    (tools / "elf").write_text(f'#!/bin/sh\nexec {shlex.join(PROGRAM)} "$@"\n')
    (tools / "elf").chmod(0o755)
    return top


def clear(run: Path) -> None:
    """Kill what a keeper keeps, and the keeper."""
    with contextlib.suppress(KeeperGone, OSError, json.JSONDecodeError):
        keeper = Keeper.attach(run)
        for unit in keeper.units():
            with contextlib.suppress(ProcessLookupError):
                os.kill(unit.pid, signal.SIGKILL)
        keeper.quit(force=True)
        keeper.close()

"""`elf` as a person runs it: in this process for speed, as a program where the process itself matters."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

import cli
from actors.keeper_client import Keeper, KeeperGone

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, str(ROOT / "__main__.py")]

T = TypeVar("T")

FOREST = f"""
[node]
name = "t"
data = "data"
sample_s = 0.2

[limits]
steady_s = 0.1

[[queue]]
name = "sums"
max_attempts = 1

[[queue]]
name = "slow"

[[worker]]
name = "adder"
queue = "sums"
exec = ["{sys.executable}", "-c", '''
import json, sys
task = json.load(sys.stdin)
print("summing", file=sys.stderr)
print(json.dumps(sum(task["payload"])))
''']

[[worker]]
name = "sleeper"
queue = "slow"
exec = ["sleep", "1000"]
stop_wait_s = 0.5

[[worker]]
name = "ticker"
command = ["{sys.executable}", "-u", "-c", '''
import signal, time
signal.signal(signal.SIGHUP, lambda *_: print("hup heard"))
print("tick 1")
print("tick 2")
while True:
    time.sleep(1000)
''']
"""


class Said:
    """What one command said: exit code, standard output, standard error."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def json(self) -> Any:
        """The answer of a command that prints JSON."""
        return json.loads(self.out)

    def __repr__(self) -> str:
        return f"code {self.code}\n{self.out}\n{self.err}"


class Elf:
    """The command line on one data folder."""

    def __init__(self, capsys: pytest.CaptureFixture[str], data: Path | None = None) -> None:
        self._capsys = capsys
        self.data = data

    def __call__(self, *words: str, data: bool = True) -> Said:
        place = ["--data", str(self.data)] if data and self.data else []
        if "--wait" in words and "--wait-timeout" not in words:
            place += ["--wait-timeout", "20"]
        self._capsys.readouterr()
        code = cli.main([*words, *place])
        captured = self._capsys.readouterr()
        return Said(code, captured.out, captured.err)

    def no(self, code: int, *words: str, data: bool = True) -> str:
        """Run a command that must fail with this code and print no answer; returns its one line."""
        said = self(*words, data=data)
        assert said.code == code, said
        assert said.out == "", said
        assert "Traceback" not in said.err
        return said.err.strip()


def until(look: Callable[[], T], what: str, seconds: float = 60.0) -> T:
    """Ask again and again until the answer is true."""
    deadline = time.monotonic() + seconds
    while not (answer := look()):
        assert time.monotonic() < deadline, f"expected {what} within {seconds} s"
        time.sleep(0.02)
    return answer


class Program:
    """`elf node` as a program of its own."""

    def __init__(self, folder: Path, toml: str = FOREST) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.config = folder / "forest.toml"
        self.config.write_text(toml)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait for the words that say what to do next."""
        with (self.folder / "node.log").open("wb") as log:
            self.process = subprocess.Popen(
                [*PROGRAM, "node", "--config", str(self.config)], stdout=log, stderr=log, cwd=self.folder
            )
        until(self._is_up, "the node to be up")

    def _is_up(self) -> bool:
        assert self.process
        assert self.process.poll() is None, self.words()
        return "Ctrl-C ends the node" in self.words()

    def words(self) -> str:
        """What the node wrote."""
        return (self.folder / "node.log").read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it in order; its exit code."""
        assert self.process
        self.process.send_signal(number)
        code = self.process.wait(60)
        self.process = None
        return code

    def clear(self) -> None:
        """End by force what is left after a failed test."""
        if self.process:
            self.process.kill()
            self.process.wait()
        try:
            keeper = Keeper.attach(self.data / "run")
        except KeeperGone:
            return
        for unit in keeper.units():
            os.kill(unit.pid, signal.SIGKILL)
        keeper.quit(force=True)
        keeper.close()


@contextmanager
def running(folder: Path, toml: str = FOREST) -> Iterator[Program]:
    """Run a node; at the end it must stop in order and leave no keeper."""
    program = Program(folder, toml)
    try:
        program.start()
        yield program
        if program.process:
            assert program.stop() == 0, program.words()
        with pytest.raises(KeeperGone):
            Keeper.attach(program.data / "run")
    finally:
        program.clear()

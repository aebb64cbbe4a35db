"""Programs that misbehave in one way each, and a bench on which a keeper runs them."""

import fcntl
import os
import select
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from actors.keeper_client import Exit, Keeper, KeeperGone, Started, StartRequest
from actors.process import Identity, Process, boot_id, marked, sweep

FOLDER = Path(__file__).parent
T = TypeVar("T")


def until(probe: Callable[[], T], seconds: float = 60.0) -> T:
    """The first true answer of the probe, for what gives no event to wait for."""
    deadline = time.monotonic() + seconds
    while not (answer := probe()):
        assert time.monotonic() < deadline, f"still {answer!r} after {seconds} s"
        select.select([], [], [], 0.003)
    return answer


def victim(name: str, *arguments: object) -> list[str]:
    return [sys.executable, "-I", "-S", str(FOLDER / f"{name}.py"), *map(str, arguments)]


def ended(process: Process, seconds: float = 60.0) -> bool:
    return bool(select.select([process.wait_fd()], [], [], seconds)[0])


class Gate:
    """A locked file that victims wait for; opening it frees all of them at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def open(self) -> None:
        os.close(self._fd)


class Bench:
    """A folder with a keeper, and units whose marker is ours alone."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.marker = f"t{uuid.uuid4().hex[:12]}"
        self.keepers: list[Keeper] = []

    def keeper(self) -> Keeper:
        keeper, _ = Keeper.ensure(self.run_dir)
        self.keepers.append(keeper)
        return keeper

    def request(self, unit: str, argv: list[str], **more: object) -> StartRequest:
        env = {"ELF_UNIT": f"{self.marker}:{unit}:1:n", "PATH": os.environ["PATH"]}
        fields: dict[str, object] = {"unit": unit, "generation": 1, "nonce": "n", "argv": argv, "env": env}
        return StartRequest(**(fields | {"cwd": str(self.run_dir), "log": f"{unit}.log"} | more))  # type: ignore[arg-type]

    def start(self, keeper: Keeper, unit: str, argv: list[str], **more: object) -> Started:
        return keeper.start(self.request(unit, argv, **more))

    def said(self, unit: str, word: str) -> str:
        """The first line of the unit's log that starts with this word, as soon as it is there."""
        log = self.run_dir / f"{unit}.log"
        return until(lambda: next((line for line in _complete(log) if line.startswith(word)), ""))

    def exit_of(self, keeper: Keeper, unit: str) -> Exit:
        return until(lambda: next((one for one in keeper.exits(0) if one.unit == unit), None))  # type: ignore[return-value]

    def clear(self) -> None:
        """End all units and keepers; fails if one is left."""
        for keeper in self.keepers:
            with suppress(KeeperGone):
                for unit in keeper.units():
                    sweep(self.marker, signal.SIGKILL, unit.pid, unit.start)
            keeper.close()
        sweep(self.marker, signal.SIGKILL)
        until(lambda: not marked(self.marker))
        for keeper in self.keepers:
            if process := Process.open(keeper.identity):
                with process:
                    process.signal(signal.SIGKILL)
                    assert ended(process)


def identity(started: Started) -> Identity:
    return Identity(boot_id(), started.pid, started.start)


def hold(started: Started) -> Process:
    process = Process.open(identity(started))
    assert process is not None
    return process


def _complete(log: Path) -> list[str]:
    text = log.read_text() if log.exists() else ""
    return text[: text.rfind("\n") + 1].splitlines()


@contextmanager
def bench(run_dir: Path) -> Iterator[Bench]:
    made = Bench(run_dir)
    try:
        yield made
    finally:
        made.clear()

"""Real runner processes on a real server, and what the log says of their tasks."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from actors.runner_spec import Spec
from events.envelope import Recorded
from events.log import LogUnreachable
from events.subjects import task_filter
from events.tasks import TaskCancelled, TaskDied, TaskFinished, TaskMoved, TaskSubmitted
from tests.real_server import Client, RealServer, until

ROOT = Path(__file__).parents[1]
HANDLERS = ROOT / "tests" / "handlers"
ENDS = (TaskFinished, TaskDied, TaskCancelled, TaskMoved)


class RealRunner:
    """One runner process; its log is a file, its credentials come through a pipe."""

    def __init__(self, server: RealServer, folder: Path, call: str = "", **more: Any) -> None:
        spec = {
            "unit": "w1",
            "generation": 1,
            "pool": "p1",
            "queue": "q1",
            "cwd": str(HANDLERS),
            "call": call,
        }
        spec |= {"timeout_s": 20, "max_attempts": 3, "stop_wait_s": 5, "spool": str(folder / "w1.spool")}
        self.spec = msgspec.convert(spec | more, Spec)
        self.server = server
        self.log = folder / f"{self.spec.unit}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "RealRunner":
        """Start it as a node would."""
        reading, writing = os.pipe()
        os.write(writing, msgspec.json.encode(self.server.credentials(f"worker-{self.spec.pool}")))
        os.close(writing)
        order = msgspec.json.encode(self.spec).decode()
        argv = [sys.executable, str(ROOT / "__main__.py"), "runner", "--spec", order]
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONUNBUFFERED": "1",
            "ELF_SECRET_FD": str(reading),
            "ELF_UNIT": f"n1:{self.spec.unit}:{self.spec.generation}:test",
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                argv, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[reading]
            )
        os.close(reading)
        return self

    @property
    def pid(self) -> int:
        """The number of the running process."""
        assert self.process is not None
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    async def ended(self, seconds: float = 60.0) -> int:
        """Wait for the end; returns the exit code."""
        process = self.process
        assert process is not None
        await until(lambda: process.poll() is not None, seconds, "the end of the runner")
        return int(process.returncode)

    async def drain(self) -> int:
        """End it in order."""
        self.signal(signal.SIGTERM)
        return await self.ended()

    def next(self, **more: Any) -> "RealRunner":
        """Start the next generation."""
        later = msgspec.structs.replace(self.spec, generation=self.spec.generation + 1, **more)
        runner = RealRunner.__new__(RealRunner)
        runner.spec, runner.server, runner.log, runner.process = later, self.server, self.log, None
        return runner.start()

    def said(self) -> str:
        """Return the unit's log."""
        return self.log.read_text()

    def close(self) -> None:
        """Kill what is left."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(60)


async def ends_of(
    client: Client, tasks: Iterable[str], queue: str = "q1", seconds: float = 60.0
) -> dict[str, Any]:
    """Wait until each task has an end; returns the last event of each."""
    deadline = time.monotonic() + seconds
    found: dict[str, Any] = {}
    missing = list(tasks)
    while missing:
        filters = [task_filter(queue, task) for task in missing]
        last = await asyncio.gather(*(client.log.last(one) for one in filters), return_exceptions=True)
        for task, event in zip(missing, last, strict=True):
            # A server that is just coming back has no answer yet.
            assert event is None or isinstance(event, Recorded | LogUnreachable), event
            if isinstance(event, Recorded) and isinstance(event.body, ENDS):
                found[task] = event.body
        missing = [task for task in missing if task not in found]
        if missing:
            assert time.monotonic() < deadline, f"expected the end of {missing[:5]} within {seconds} s"
            await asyncio.sleep(0.01)
    return found


async def end_of(client: Client, task: str, queue: str = "q1", seconds: float = 60.0) -> Any:
    """Wait until a task has an end and return it."""
    return (await ends_of(client, [task], queue, seconds))[task]


async def life_of(client: Client, task: str) -> list[Any]:
    """Return the bodies of a task's events in order."""
    return [one.body for one in await client.story() if getattr(one.body, "task", "") == task]


def lives(story: Iterable[Recorded]) -> dict[str, list[Any]]:
    """Return the bodies of each task's events in order."""
    found: dict[str, list[Any]] = {}
    for one in story:
        if name := getattr(one.body, "task", ""):
            found.setdefault(name, []).append(one.body)
    return found


def kinds(life: Iterable[Any]) -> list[str]:
    """Return the names of events, the submission left out."""
    return [type(one).__name__.removeprefix("Task") for one in life if not isinstance(one, TaskSubmitted)]


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def lines(path: Path) -> list[str]:
    """Return the lines of a file that may not exist yet."""
    return path.read_text().splitlines() if path.exists() else []


async def grown(path: Path, count: int, seconds: float) -> None:
    """Wait for more than so many lines."""
    await until(lambda: len(lines(path)) > count, seconds, f"{count} lines in {path.name}")

"""`elf demo`: the example forest on a copy of its own: real work, one worker killed, its story."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from actors.client import Client
from actors.faces.console.failure import Exit, Failure
from actors.faces.console.options import Language
from actors.faces.console.output import show_table, span
from actors.faces.console.reading import Reading
from actors.faces.console.status import ask_status
from actors.faces.console.task_lines import TaskLine, read_lines, to_events
from actors.faces.console.why import tell
from actors.place import ClientError, Place

ROOT = Path(__file__).parents[3]
# What the example's tasks work on.
COPIED = ("events", "projections", "actors", "examples", "docs", "requirements", "pyproject.toml")
VICTIM = "simple_task"
_BOUND_S = 55.0
_STOP_S = 20.0
_LOOK_S = 0.05
_UNFINISHED = "SELECT count(*) AS n FROM tasks WHERE state IN ('waiting', 'running', 'failed', 'assigned')"
_SUMMARY = (
    "SELECT queue, type, count(*) AS tasks, count(*) FILTER (state = 'done') AS done,"
    " max(response_s) AS slowest_s FROM tasks GROUP BY ALL ORDER BY queue"
)

T = TypeVar("T")


def demo(*, lang: Language | None = None) -> int:
    """Run the example forest for half a minute: work, a worker killed on purpose, its healing and the why.

    Leaves nothing behind.

    Parameters
    ----------
    lang
        en or ja, for the story.
    """
    folder = Path(tempfile.mkdtemp(prefix="elf-demo-"))
    show = _Demo(folder)
    try:
        show.start()
        fine = show.work()
        show.harm()
        _say(f"\n$ elf why {VICTIM}")
        with Reading(show.place) as reading:
            tell(reading, VICTIM, lang)
        return Exit.FINE if fine else Exit.NO
    finally:
        show.stop()
        shutil.rmtree(folder, ignore_errors=True)


class _Demo:
    """One node in a child process and what is done to it, all within a bound."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = Place(folder / "data")
        self._examples = folder / "project" / "examples"
        self._node: subprocess.Popen[bytes] | None = None
        self._end = time.monotonic() + _BOUND_S

    def start(self) -> None:
        """Bring the node up and wait until every worker runs."""
        self._copy()
        command = [sys.executable, str(ROOT / "__main__.py"), "node"]
        command += ["--config", str(self._examples / "forest.toml"), "--data", str(self.place.data)]
        began = time.monotonic()
        with (self.folder / "node.log").open("wb") as log:
            self._node = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        page = self._until("the workers to run", self._all_running)
        _say(f"a node with {len(page['workers'])} workers runs after {span(time.monotonic() - began)}")

    def _copy(self) -> None:
        """Let the tasks work on a copy, so that their results lie in our folder too."""
        for name in COPIED:
            source, target = ROOT / name, self.folder / "project" / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "data", ".*"))
            elif source.exists():
                shutil.copy(source, target)

    def _all_running(self) -> dict[str, Any] | None:
        assert self._node
        if self._node.poll() is not None:
            words = (self.folder / "node.log").read_text(errors="replace").strip().splitlines()
            raise Failure(
                f"expected the node to run, got its end: {words[-1] if words else 'no word'}", Exit.NO
            )
        try:
            page = asyncio.run(ask_status(self.place))
        except ClientError:
            return None
        running = page["workers"] and all(row["state"] == "running" for row in page["workers"])
        return page if running else None

    def work(self) -> bool:
        """Submit the example tasks, wait for them and their subtasks, and tell whether all are done."""
        lines = (self._examples / "tasks.jsonl").read_bytes().splitlines()
        tasks = to_events([line for line in read_lines(lines, "tasks.jsonl") if self._is_here(line[1])], None)

        async def submit() -> None:
            async with await Client.open(self.place, "client") as client:
                await client.submit(tasks)

        began = time.monotonic()
        asyncio.run(submit())
        _say(
            f"{len(tasks)} tasks submitted: compiling and testing modules, splitting projects, hashing files"
        )
        with Reading(self.place) as reading:
            self._until("the first task", lambda: reading.query("SELECT id FROM tasks"))
            self._until("every task to end", lambda: reading.query(_UNFINISHED)[0]["n"] == 0)
            rows = reading.query(_SUMMARY)
        _say(f"all ended after {span(time.monotonic() - began)}, subtasks included:\n")
        show_table(
            ["queue", "type", "tasks", "done", "slowest"],
            [[row["queue"], row["type"], row["tasks"], row["done"], span(row["slowest_s"])] for row in rows],
            numbers=(2, 3, 4),
        )
        sys.stdout.flush()
        return all(row["done"] == row["tasks"] for row in rows)

    def _is_here(self, line: TaskLine) -> bool:
        """An installed package lacks some of what a checkout has; tasks over that are left out."""
        about = line.payload.get("path") or line.payload.get("folder") or "."
        return (self._examples.parent / about).exists()

    def harm(self) -> None:
        """Kill one worker as a crash would and wait until it is healed."""
        before = self._victim()
        _say(f"\n$ kill -9 {before['pid']}    # {VICTIM}, on purpose")
        began = time.monotonic()
        os.kill(before["pid"], signal.SIGKILL)
        after = self._until("the worker to be healed", lambda: self._healed(before["generation"]))
        _say(f"healed after {span(time.monotonic() - began)}: {VICTIM} runs again as pid {after['pid']}")

    def _healed(self, generation: int) -> dict[str, Any] | None:
        row = self._victim()
        return row if row["generation"] > generation and row["state"] == "running" else None

    def _victim(self) -> dict[str, Any]:
        page = asyncio.run(ask_status(self.place))
        return next(row for row in page["workers"] if row["name"] == VICTIM)

    def _until(self, what: str, look: Callable[[], T | None]) -> T:
        while True:
            answer = look()
            if answer:
                return answer
            if time.monotonic() > self._end:
                raise Failure(f"expected {what} within {_BOUND_S:g} s, got no end; try elf doctor", Exit.NO)
            time.sleep(_LOOK_S)

    def stop(self) -> None:
        """End the node in order, by force if it must be; its keeper and workers go with it."""
        if self._node is None:
            return
        self._node.terminate()
        try:
            self._node.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._node.kill()
            self._node.wait()
            self._clear()

    def _clear(self) -> None:
        """End what a killed node left: every unit by the identity that its keeper knows, then the keeper."""
        from actors.keeper_client import Keeper, KeeperGone
        from actors.process import Identity, Process, boot_id

        assert self.place.data
        try:
            keeper = Keeper.attach(self.place.data / "run")
        except KeeperGone:
            return
        for unit in keeper.units():
            process = Process.open(Identity(boot_id(), unit.pid, unit.start))
            if process:
                process.signal_group(signal.SIGKILL)
                process.close()
        keeper.quit(force=True)
        keeper.close()


def _say(text: str) -> None:
    print(text, flush=True)

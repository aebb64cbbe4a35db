"""A real node in a folder of its own, for measurements: its start, questions to its log, its orderly end."""

import asyncio
import json
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from actors.connection import Connection, connect, read_credentials
from actors.jetstream import Reader
from bench.programs import ROOT, alive, marked, python, started, wait_for
from events.envelope import Recorded
from events.observations import NodeStarted
from events.subjects import LOG


class RunningNode:
    """One node under measurement."""

    def __init__(self, name: str, data: Path, process: subprocess.Popen[bytes], output: Path) -> None:
        self.name = name
        self.data = data
        self.process = process
        self.output = output

    @property
    def keeper(self) -> int:
        """The keeper's pid."""
        return int(json.loads((self.data / "run" / "keeper.json").read_text())["pid"])

    @property
    def server(self) -> int:
        """nats-server's pid."""
        return next(pid for pid in self.below() if psutil.Process(pid).name() == "nats-server")

    def below(self) -> list[int]:
        """Return the pids of all units, nats-server included."""
        return [child.pid for child in psutil.Process(self.keeper).children(recursive=True)]

    def events(self, after: int = 0) -> list[Recorded]:
        """Read the whole log behind a position, with the node's own user."""
        return asyncio.run(self._events(after))

    async def _events(self, after: int) -> list[Recorded]:
        connection = await self.connect("node")
        reader = Reader(connection, LOG, after)
        found: list[Recorded] = []
        async for chunk in reader.read(idle=0.5):
            found.extend(chunk)
        await reader.close()
        await connection.close()
        return found

    async def connect(self, user: str) -> Connection:
        """Connect to the node's server as one of its users."""
        return await connect(read_credentials(self.data / "secrets" / f"{user}.json"), "bench")

    def ask(self, verb: str, **body: Any) -> dict[str, Any]:
        """Ask the node's control something as the operator."""

        async def work() -> dict[str, Any]:
            connection = await self.connect("operator")
            reply = await connection.client.request(f"ctl.{verb}", json.dumps(body).encode(), timeout=10.0)
            await connection.close()
            answer: dict[str, Any] = json.loads(reply.data)
            return answer

        return asyncio.run(work())

    def up(self) -> bool:
        """Tell whether the node leads and answers."""
        if self.process.poll() is not None:
            raise RuntimeError(f"expected a node, got its end: {self.output.read_text()[-2000:]}")
        if not (self.data / "node.json").exists() or not (self.data / "secrets" / "operator.json").exists():
            return False
        try:
            return bool(self.ask("check")["ok"])
        except Exception:
            return False


@contextmanager
def running(folder: Path, forest: str) -> Iterator[RunningNode]:
    """Run a node on a configuration text; stop it at the end and kill by pid what is left.

    The text calls the node NODE_NAME: each run gets its own, so that no other processes carry its markers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"bench-{secrets.token_hex(4)}"
    config, data, output = folder / "forest.toml", folder / "data", folder / "node.log"
    config.write_text(forest.replace("NODE_NAME", name))
    command = python(ROOT / "__main__.py", "node", "--config", config, "--data", data)
    with started(command, output, ROOT) as process:
        node = RunningNode(name, data, process, output)
        try:
            wait_for(node.up, 30.0, "a node that answers", 0.05)
            yield node
        finally:
            _end(node)


def _end(node: RunningNode) -> None:
    units: Sequence[int] = []
    try:
        keeper = node.keeper
        units = [*node.below(), keeper]
    except (OSError, psutil.NoSuchProcess):
        pass
    node.process.send_signal(signal.SIGTERM)
    try:
        node.process.wait(60)
    except subprocess.TimeoutExpired:
        node.process.kill()
    for pid in [*units, *marked(node.name)]:
        if alive(pid):
            print(f"left over after the node's end: {pid}", flush=True)
            os.kill(pid, signal.SIGKILL)


def first_position(events: Sequence[Recorded]) -> int:
    """Return the position at which the node had started."""
    return next(event.position for event in events if isinstance(event.body, NodeStarted))

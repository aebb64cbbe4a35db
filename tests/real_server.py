"""A real nats-server in a folder of its own, with the product's files, stream, users and queues."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from actors.connection import Connection, Credentials, connect
from actors.jetstream import JetStreamLog, jetstream_api
from actors.nats_server import ensure_queue, ensure_stream, prepare, server_program
from actors.permissions import users_of
from events.envelope import Recorded
from events.event import Event
from events.log import Expect, Receipt, entry, envelope
from events.subjects import LOG, task_filter
from events.tasks import TaskSubmitted

T = TypeVar("T")


async def until(look: Callable[[], T], seconds: float = 60.0, what: str = "the condition") -> T:
    """Ask again and again until the answer is true; AssertionError with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := look()):
        assert time.monotonic() < deadline, f"expected {what} within {seconds} s"
        await asyncio.sleep(0.005)
    return answer


async def until_found(log: JetStreamLog, filter: str, seconds: float = 60.0) -> Recorded:
    """Wait until an event stands under a filter and return it."""
    deadline = time.monotonic() + seconds
    while True:
        found = await log.last(filter)
        if found is not None:
            return found
        assert time.monotonic() < deadline, f"expected an event under {filter} within {seconds} s"
        await asyncio.sleep(0.005)


class RealServer:
    """One nats-server; keeps port, passwords and store from start to start."""

    def __init__(self, folder: Path, pools: Mapping[str, str], sync: str = "2m", node: str = "n1") -> None:
        self.node = node
        self.files = prepare(folder, node, sync, users_of(node, pools))
        self.process: subprocess.Popen[bytes] | None = None
        self._connections: list[Connection] = []

    def credentials(self, user: str) -> Credentials:
        """Return what `user` (`node`, `client`, `worker-<pool>`) connects with."""
        return self.files.credentials[user]

    def start(self) -> None:
        """Start the server; connections wait until it listens."""
        with (self.files.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [server_program(), "-c", str(self.files.config)], stdout=log, stderr=log
            )

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End the server and wait for it; SIGKILL is the crash."""
        if self.process:
            self.process.send_signal(how)
            self.process.wait(60)
        self.process = None

    async def connect(self, user: str = "node") -> Connection:
        """Connect as `user`; closed with the server."""
        connection = await connect(self.credentials(user), f"test-{user}")
        self._connections.append(connection)
        return connection

    async def log(self, user: str = "node") -> JetStreamLog:
        """Return the log as `user` sees it."""
        return JetStreamLog(await self.connect(user))

    async def stop(self) -> None:
        """Close the connections and end the server."""
        await asyncio.gather(*(one.close() for one in self._connections), return_exceptions=True)
        self._connections.clear()
        self.kill(signal.SIGTERM)


@asynccontextmanager
async def real_server(
    folder: Path, pools: Mapping[str, str] | None = None, sync: str = "2m", slots: int = 1
) -> AsyncIterator[RealServer]:
    """Run a server with the stream LOG and a consumer for each queue; `pools` maps pools to queues."""
    pools = pools if pools is not None else {"p1": "q1"}
    server = RealServer(folder, pools, sync)
    server.start()
    try:
        node = await server.connect("node")
        await stream_ready(node)
        for queue in sorted(set(pools.values())):
            await ensure_queue(node, queue, slots)
        yield server
    finally:
        await server.stop()


async def stream_ready(node: Connection) -> None:
    """Create the stream, waiting for a JetStream that is just starting."""
    deadline = time.monotonic() + 60
    while True:
        try:
            await ensure_stream(node)
        except Exception:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.02)
        else:
            return


async def shorten_ack_wait(node: Connection, queue: str, seconds: float) -> None:
    """Let the server redeliver after `seconds` instead of half a minute."""
    info = await jetstream_api(node, f"CONSUMER.INFO.{LOG}.q_{queue}", None)
    config = info["config"] | {"ack_wait": int(seconds * 1e9)}
    body = {"stream_name": LOG, "config": config}
    answer = await jetstream_api(node, f"CONSUMER.DURABLE.CREATE.{LOG}.q_{queue}", body)
    assert "error" not in answer, answer


class Client:
    """Submits tasks and reads what became of them, with the rights of the user `client`."""

    def __init__(self, log: JetStreamLog) -> None:
        self.log = log
        self.source = log.connection.credentials.source

    async def say(self, event: Event, expect: Expect | None = None) -> Receipt:
        """Append one event under a fresh id."""
        body = envelope(os.urandom(8).hex(), time.time_ns() // 1000, self.source, event)
        return await self.log.append([entry(body, expect)])

    async def submit(self, task: str, payload: object = None, queue: str = "q1", **more: object) -> None:
        """Submit one task; Conflict when the id is taken."""
        await self.submit_all([(task, payload)], queue, **more)

    async def submit_all(self, tasks: list[tuple[str, object]], queue: str = "q1", **more: object) -> None:
        """Submit tasks in atomic batches of 500."""
        entries = [
            entry(
                envelope(
                    os.urandom(8).hex(),
                    time.time_ns() // 1000,
                    self.source,
                    TaskSubmitted(task=task, queue=queue, payload=payload, **more),  # type: ignore[arg-type]
                ),
                Expect(task_filter(queue, task), 0),
            )
            for task, payload in tasks
        ]
        for start in range(0, len(entries), 500):
            await self.log.append(entries[start : start + 500])

    async def story(self, after: int = 0) -> list[Recorded]:
        """Return everything in the log behind `after`, read event by event in large strides."""
        end = await self.log.end()
        story: list[Recorded] = []
        for start in range(after + 1, end + 1, 500):
            numbers = range(start, min(end + 1, start + 500))
            found = await asyncio.gather(*(self.log.at(number) for number in numbers))
            story.extend(one for one in found if one is not None)
        return story


async def pending(node: Connection, queue: str) -> tuple[int, int]:
    """Return a queue's not yet delivered and its delivered, unacknowledged messages."""
    info = await jetstream_api(node, f"CONSUMER.INFO.{LOG}.q_{queue}", None)
    return int(info["num_pending"]), int(info["num_ack_pending"])

"""A whole node in a process of its own, with the eyes and hands a person has: log, requests, signals."""

import asyncio
import os
import secrets
import select
import signal
import struct
import sys
import sysconfig
import time
import venv
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from actors.connection import Connection, connect, read_credentials
from actors.ground import INSTANCE, marker_of
from actors.jetstream import JetStreamLog
from actors.keeper_client import Keeper, KeeperGone
from actors.nats_server import server_program
from actors.process import Process, marked, read_stat, sweep
from events.decisions import Decided
from events.envelope import Recorded
from events.event import Event
from events.log import Expect, LogError, Receipt, entry, envelope
from events.observations import Intent, IntentSet
from events.outcomes import StepDone, WorkerStarted
from events.subjects import task_filter
from events.tasks import TaskSubmitted
from tests.histories import save

ROOT = Path(__file__).parents[1]
E = TypeVar("E", bound=Event)
T = TypeVar("T")

# A start that lasts says where it hangs. A node with a clock of its own reads what to add to the machine's from a file.
_PROGRAM = """
import faulthandler
import sys
from pathlib import Path
if len(sys.argv) > 2:
    import mmap
    import struct
    import actors.clock
    with open(sys.argv[2], "rb") as file:
        ahead = mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ)
    machine = actors.clock._wall
    actors.clock._wall = lambda: machine() + struct.unpack("q", ahead)[0]
faulthandler.enable()
faulthandler.dump_traceback_later(15)
from actors.config_errors import ConfigErrors
from actors.ground import GroundError
from actors.log_lines import log_to_stderr
from actors.node import run_node
log_to_stderr()
def ready(url, *_):
    faulthandler.cancel_dump_traceback_later()
    print("READY", url, flush=True)
try:
    code = run_node(Path(sys.argv[1]), ready=ready)
except (ConfigErrors, GroundError) as problem:
    print(problem, file=sys.stderr)
    code = 2
sys.exit(code)
"""
_AT_ONCE = 64
# Where the log of every node of a run is kept when this names a folder: what recorded histories are chosen from.
HISTORIES = "ELF_HISTORIES"


class RealNode:
    """One node on one data folder; it may be killed and started again."""

    def __init__(self, folder: Path, toml: str, sample_s: float = 0.2) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.name = f"t{secrets.token_hex(5)}"
        self.config = folder / "forest.toml"
        self.events: list[Recorded] = []
        self.process: asyncio.subprocess.Process | None = None
        self.prefix: Sequence[str] = ()
        self.python = sys.executable
        self._clock: Path | None = None
        self._sample_s = sample_s
        self._connection: Connection | None = None
        self.configure(toml)

    @property
    def marker(self) -> str:
        """What every process of this folder carries first in ELF_UNIT."""
        instance = self.data / INSTANCE
        return marker_of(self.name, instance) if instance.exists() else f"{self.name}.never"

    def configure(self, toml: str) -> None:
        """Write forest.toml anew."""
        head = f'[node]\nname = "{self.name}"\ndata = "data"\nsample_s = {self._sample_s}\n'
        # A port of its own is opened for those alone who ask for one.
        web = "" if "[web]" in toml else "\n[web]\nenabled = false\n"
        self.config.write_text(head + toml + web)

    # --- life ----------------------------------------------------------------------------------------------

    async def start(self, seconds: float = 60.0) -> None:
        """Start the node and wait for its own word that it is ready."""
        self.process = await self.spawn()
        assert self.process.stdout
        line = await asyncio.wait_for(self.process.stdout.readline(), seconds)
        if not line:
            raise AssertionError(f"the node ended with {await self.process.wait()}: {self.words()}")
        assert line.startswith(b"READY"), f"the node said {line!r}: {self.words()}"

    async def spawn(self) -> asyncio.subprocess.Process:
        """Start one more node process on this folder without waiting for anything."""
        with (self.folder / "node.log").open("ab") as words:
            return await asyncio.create_subprocess_exec(
                *self.prefix,
                self.python,
                "-c",
                _PROGRAM,
                str(self.config),
                *([str(self._clock)] if self._clock else []),
                cwd=ROOT,
                stdout=asyncio.subprocess.PIPE,
                stderr=words,
            )

    def words(self) -> str:
        """Return what the node last said to its standard error."""
        path = self.folder / "node.log"
        return path.read_text() if path.exists() else ""

    async def ended(self, seconds: float = 60.0) -> int:
        """Wait until the node ends by itself and return its exit code."""
        assert self.process
        code = await asyncio.wait_for(self.process.wait(), seconds)
        self.process = None
        return code

    async def kill9(self) -> None:
        """End the node as a crash does."""
        assert self.process
        self.process.kill()
        await self.ended()

    def hup(self) -> None:
        """Let the node read its file again."""
        assert self.process
        self.process.send_signal(signal.SIGHUP)

    async def stop(self, seconds: float = 60.0) -> int:
        """End the node in order; nothing of it may be left afterwards. Returns the exit code."""
        keeper = self._keeper()
        if folder := os.environ.get(HISTORIES):
            await self.keep(Path(folder))
        await self.close()
        assert self.process
        self.process.terminate()
        code = await self.ended(seconds)
        left = [read_stat(pid) for pid in marked(f"{self.marker}:")]
        assert left == [], f"exit code {code}"
        if keeper:
            with keeper:
                assert select.select([keeper.wait_fd()], [], [], 2.0)[0], "the keeper lives on"
        return code

    def _keeper(self) -> Process | None:
        try:
            client = Keeper.attach(self.data / "run")
        except KeeperGone:
            return None
        client.close()
        return Process.open(client.identity)

    async def clear(self) -> None:
        """Remove everything of the node by force, the keeper last."""
        await self.close()
        if self.process:
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.ended()
        keeper = self._keeper()
        sweep(f"{self.marker}:", signal.SIGKILL)
        if keeper:
            with keeper:
                keeper.signal(signal.SIGKILL)

    def show(self, at: datetime) -> None:
        """Let the node's clock show this time from now on and go on from there; workers keep the machine's."""
        self._clock = self._clock or self.folder / "clock"
        ahead = int(at.timestamp() * 1_000_000) - time.time_ns() // 1000
        if not self._clock.exists():
            self._clock.write_bytes(bytes(8))
        with self._clock.open("r+b") as file:
            file.write(struct.pack("q", ahead))

    async def keep(self, folder: Path) -> None:
        """Keep the log as a history named after the test that runs."""
        with suppress(LogError, OSError):
            await self.read()
        test = os.environ.get("PYTEST_CURRENT_TEST", "node").partition(" ")[0].rpartition("::")[2]
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        save(folder / f"{test}-{self.name}.jsonl.gz", self.events)

    # --- eyes ----------------------------------------------------------------------------------------------

    async def connection(self) -> Connection:
        """Return the operator's connection; it outlives restarts of node and server."""
        if self._connection is None:
            credentials = read_credentials(self.data / "secrets" / "operator.json")
            self._connection = await connect(credentials, "test-operator")
        return self._connection

    async def close(self) -> None:
        """Give the connection back."""
        connection, self._connection = self._connection, None
        if connection:
            await connection.close()

    async def ask(self, verb: str, seconds: float = 60.0, **body: Any) -> dict[str, Any]:
        """Ask the node as the operator."""
        client = (await self.connection()).client
        reply = await client.request(f"ctl.{verb}", msgspec.json.encode(body), timeout=seconds)
        answer: dict[str, Any] = msgspec.json.decode(reply.data)
        return answer

    async def status(self) -> dict[str, Any]:
        """Return the page of what is now, not older than the last event taken."""
        deadline = time.monotonic() + 60
        while True:
            page = await self.ask("status")
            if page["node"]["position"] >= len(self.events):
                return page
            assert time.monotonic() < deadline, (
                f"expected a page as of {len(self.events)}, got {page['node']}"
            )
            await asyncio.sleep(0.005)

    async def worker(self, unit: str) -> dict[str, Any]:
        """Return one row of the page."""
        page = await self.status()
        return next(row for row in page["workers"] if row["name"] == unit)

    async def read(self) -> Sequence[Recorded]:
        """Take what the log has behind the last event taken, and return everything."""
        log = JetStreamLog(await self.connection(), timeout=2.0)
        ahead = 1  # mostly nothing has come since the last look a moment ago
        while True:
            end = len(self.events)
            found = await asyncio.gather(*(log.at(end + number) for number in range(1, ahead + 1)))
            for event in found:
                # One that was appended meanwhile may answer though the one before it did not: the next call has both.
                if event is None:
                    return self.events
                self.events.append(event)
            ahead = min(2 * ahead, _AT_ONCE)

    async def wait(
        self, look: Callable[[Sequence[Recorded]], T], seconds: float = 60.0, what: str = "the condition"
    ) -> T:
        """Look at the log as it grows until the answer is true."""
        deadline = time.monotonic() + seconds
        while True:
            with suppress(LogError):
                await self.read()
            answer = look(self.events)
            if answer:
                return answer
            assert time.monotonic() < deadline, f"expected {what} within {seconds} s, got {self.story()}"
            await asyncio.sleep(0.01)

    def story(self, last: int = 16) -> str:
        """Return the last events that are not ticks, one a line."""
        lines = [
            f"{event.position} {event.type} {event.data[-300:]!r}"
            for event in self.events
            if event.type not in ("sampled", "settings_adopted")
        ]
        return "\n".join(["", *lines[-last:], self.words()[-3000:]])

    def all(self, kind: type[E], after: int = 0, **fields: object) -> list[tuple[int, E]]:
        """Return position and body of every event of a kind with these fields, behind a position."""
        return [
            (event.position, event.body)
            for event in self.events
            if event.position > after
            and isinstance(event.body, kind)
            and all(getattr(event.body, name) == value for name, value in fields.items())
        ]

    async def saw(
        self, kind: type[E], after: int = 0, seconds: float = 60.0, **fields: object
    ) -> tuple[int, E]:
        """Wait for the first event of a kind with these fields; returns its position and body."""
        found = await self.wait(
            lambda _: self.all(kind, after, **fields), seconds, f"{kind.__name__} with {fields}"
        )
        return found[0]

    async def runs(self, unit: str, generation: int = 1, seconds: float = 60.0) -> WorkerStarted:
        """Wait until a generation of a unit lives."""
        return (await self.saw(WorkerStarted, 0, seconds, unit=unit, generation=generation))[1]

    async def decided(
        self, rule: str, target: str, after: int = 0, seconds: float = 60.0, reason: str = ""
    ) -> tuple[Recorded, Decided]:
        """Wait for a decision of a rule about a target."""
        fields = {"rule": rule, "target": target} | ({"reason": reason} if reason else {})
        position, body = await self.saw(Decided, after, seconds, **fields)
        return self.events[position - 1], body

    def steps(self, decision: str) -> list[tuple[str, bool]]:
        """Return the steps of a decision with their outcomes."""
        return [(body.step, body.ok) for _, body in self.all(StepDone, decision=decision)]

    # --- hands ---------------------------------------------------------------------------------------------

    async def append(self, body: Event, expect: Expect | None = None) -> Receipt:
        """Append one event as the operator."""
        connection = await self.connection()
        said = envelope(secrets.token_hex(8), time.time_ns() // 1000, connection.credentials.source, body)
        return await JetStreamLog(connection).append([entry(said, expect)])

    async def intend(self, target: str, intent: Intent, restart: bool = False) -> int:
        """Say what a worker shall do; returns the position."""
        receipt = await self.append(IntentSet(target=target, intent=intent, restart=restart))
        return receipt.positions[0]

    async def submit(self, queue: str, tasks: Sequence[tuple[str, object]]) -> None:
        """Submit tasks, each an id and a payload."""
        connection = await self.connection()
        source = connection.credentials.source
        now = time.time_ns() // 1000
        entries = [
            entry(
                envelope(
                    secrets.token_hex(8), now, source, TaskSubmitted(task=task, queue=queue, payload=payload)
                ),
                Expect(task_filter(queue, task), 0),
            )
            for task, payload in tasks
        ]
        for start in range(0, len(entries), 500):
            await JetStreamLog(connection).append(entries[start : start + 500])

    def signal_server(self, number: int) -> None:
        """Send a signal to the node's nats-server."""
        (pid,) = marked(f"{self.marker}:nats:")
        os.kill(pid, number)


def python_with(folder: Path, customize: str) -> str:
    """Make an interpreter that has all of ours and runs `customize` whenever it starts; returns its path.

    Runners ignore what an environment would tell their interpreter, so what is to hang in one lies in here.
    """
    home = folder / "python"
    venv.create(home, symlinks=True)
    (site,) = home.glob("lib/python3*/site-packages")
    (site / "ours.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    (site / "sitecustomize.py").write_text(customize)
    (home / "bin" / "nats-server").symlink_to(server_program())
    return str(home / "bin" / "python")


@asynccontextmanager
async def real_node(
    folder: Path, toml: str, sample_s: float = 0.2, python: str = sys.executable
) -> AsyncIterator[RealNode]:
    """Run a node; a node that still runs at the end is ended in order, which must leave nothing behind."""
    node = RealNode(folder, toml, sample_s)
    node.python = python
    try:
        await node.start()
        yield node
        if node.process:
            code = await node.stop()
            assert code == 0, f"exit code {code}: {node.words()}"
    except BaseException as problem:
        if "lease_taken" not in str(problem):
            problem.add_note(node.story())
        raise
    finally:
        await node.clear()

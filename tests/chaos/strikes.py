"""The blows: who is hit, in which phase, and what brings it back."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable

import msgspec

from actors.process import marked
from events.decisions import Decided
from events.envelope import Recorded
from events.event import Event
from events.outcomes import Checkpointed, WorkerStartOrdered
from events.tasks import TaskFinished, TaskStarted, TaskSubmitted
from projections.segments import FOLDER, MANIFEST
from tests.chaos.folders import NAMED, Sign, strike_at
from tests.chaos.watch import Watch, children_of, hit
from tests.real_node import RealNode

UNITS = ("w-1", "w-2")
_MOMENT_S = 10.0
# On a machine that does much else.
_START_S = 60.0
# Archive work and snapshots come by the number of events.
_HISTORY_S = 60.0


class Strikes:
    """Each method deals one blow and returns the phase that was really hit, empty for none."""

    def __init__(
        self, node: RealNode, watch: Watch, chance: random.Random, rest: Callable[[bool], None]
    ) -> None:
        """`rest` stops the load, or lets it go on."""
        self._node = node
        self._watch = watch
        self._chance = chance
        self._rest = rest

    def plan(self) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
        """Return one round: every kind of blow once, in an order of chance."""
        kinds: list[tuple[str, Callable[[], Awaitable[str]]]] = [
            ("node starting", self.node_starting),
            ("node leading", self.node_leading),
            ("node between decision and act", lambda: self.node_at(Decided, "between decision and act")),
            ("node between order and start", self.node_ordering),
            ("node stopping", self.node_stopping),
            ("node paused", self.node_paused),
            ("node sealing", self.node_sealing),
            ("node purging", self.node_purging),
            ("node keeping snapshots", self.node_snapshots),
            ("keeper", self.keeper),
            ("server under load", self.server),
            ("server mid-batch", self.server_mid_batch),
            ("server again at once", self.server_twice),
            ("server paused", self.server_paused),
            ("runner pulling", self.runner_pulling),
            ("runner claiming", lambda: self.runner_at(TaskStarted, "claiming")),
            ("runner executing", self.runner_executing),
            ("runner between result and ack", lambda: self.runner_at(TaskFinished, "between result and ack")),
            ("runner paused", self.runner_paused),
            ("handler", self.handler),
        ]
        self._chance.shuffle(kinds)
        return kinds

    # --- the node ------------------------------------------------------------------------------------------

    async def node_leading(self) -> str:
        await asyncio.sleep(self._chance.uniform(0.0, 0.5))
        await self._fell()
        await self._node.start(_START_S)
        return "leading"

    async def node_starting(self) -> str:
        """Kill it, start it, kill it again before it says that it is ready."""
        await self._fell()
        process = self._node.process = await self._node.spawn()
        assert process.stdout
        line = asyncio.ensure_future(process.stdout.readline())
        await asyncio.wait([line], timeout=self._chance.uniform(0.05, 1.2))
        ready = line.done()
        await self._node.kill9()
        await line
        await self._node.start(_START_S)
        return "leading" if ready else "starting"

    async def node_stopping(self) -> str:
        assert self._node.process
        self._node.process.terminate()
        wait = self._chance.uniform(0.0, 0.4)
        process = self._node.process
        ended = asyncio.ensure_future(process.wait())
        await asyncio.wait([ended], timeout=wait)
        stopped = ended.done()
        if not stopped:
            hit(process.pid)
        await ended
        self._node.process = None
        await self._node.start(_START_S)
        return "" if stopped else "stopping"

    async def node_at(self, kind: type[Event], phase: str) -> str:
        """Kill the node as it says a thing; a crash of a runner makes it say one."""
        struck = asyncio.ensure_future(
            self._watch.strike(lambda event: isinstance(event.body, kind), self._hit_node, _MOMENT_S)
        )
        await asyncio.sleep(0)
        if kind is not Checkpointed:
            self._hit_runner(self._chance.choice(UNITS))
        found = await struck
        await self._fell()
        await self._node.start(_START_S)
        return phase if found else "leading"

    async def node_ordering(self) -> str:
        return await self.node_at(WorkerStartOrdered, "between order and start")

    async def node_paused(self) -> str:
        assert self._node.process
        await self._pause(self._node.process.pid, 3.0)
        return "paused"

    async def node_sealing(self) -> str:
        """Kill it while it writes a sealed file, or when the file has its name and the manifest not yet."""
        named = self._chance.random() < 0.5
        begun: list[str] = []

        def sign(kind: int, name: str) -> bool:
            if name.endswith("next.parquet"):
                begun.append(name)
            return bool(begun) and (not named or (kind == NAMED and name[:1].isdigit()))

        before = _manifest(self._node)[1]
        return await self._in_history(
            FOLDER, sign, lambda: "seal" if _manifest(self._node)[1] == before else ""
        )

    async def node_purging(self) -> str:
        """Kill it when it has said that it empties the stream, before it can have said that it did."""
        before = _manifest(self._node)[0]

        def sign(kind: int, name: str) -> bool:
            return kind == NAMED and name == MANIFEST and _manifest(self._node)[0] > before

        return await self._in_history(FOLDER, sign, lambda: "purge")

    async def node_snapshots(self) -> str:
        """Kill it when some of its folds have kept what they know and others have not."""
        folder = self._node.data / "snapshots"

        def sign(_: int, name: str) -> bool:
            return name.endswith(".new")

        def phase() -> str:
            left = any(folder.glob(".*.new"))
            kept = {msgspec.json.decode(path.read_bytes())["position"] for path in folder.glob("*.json")}
            return "snapshot" if left or len(kept) > 1 else ""

        return await self._in_history("snapshots", sign, phase)

    async def _in_history(self, folder: str, sign: Sign, phase: Callable[[], str]) -> str:
        """Kill the node at a sign in one of its folders; what lies there afterwards tells the phase."""
        place = self._node.data / folder
        place.mkdir(exist_ok=True)
        found = await strike_at(place, sign, self._kill, _HISTORY_S)
        await self._fell()
        name = phase() if found else ""
        await self._node.start(_START_S)
        return name or "leading"

    def _hit_node(self, _: Recorded) -> None:
        self._kill()

    def _kill(self) -> None:
        if self._node.process:
            hit(self._node.process.pid)

    async def _fell(self) -> None:
        if self._node.process:
            hit(self._node.process.pid)
            await self._node.ended()

    # --- keeper and server ---------------------------------------------------------------------------------

    async def keeper(self) -> str:
        """Kill the keeper; its units and the server live on."""
        keeper = self._node._keeper()
        if keeper is None:
            return ""
        with keeper:
            keeper.signal(signal.SIGKILL)
        return "running"

    async def server(self) -> str:
        await asyncio.sleep(self._chance.uniform(0.0, 0.3))
        return "under load" if self._hit_server() else ""

    async def server_mid_batch(self) -> str:
        """Kill it as a submission comes by: most of them travel in atomic batches."""
        found = await self._watch.strike(
            lambda event: isinstance(event.body, TaskSubmitted), self._struck_server, _MOMENT_S
        )
        return "mid-batch" if found else ""

    async def server_twice(self) -> str:
        """Kill it, and its successor as soon as that one is there."""
        if not self._hit_server():
            return ""
        await asyncio.sleep(self._chance.uniform(0.0, 0.1))
        for _ in range(500):
            if self._hit_server():
                return "starting"
            await asyncio.sleep(0.002)
        return "under load"

    async def server_paused(self) -> str:
        for pid in marked(f"{self._node.marker}:nats:"):
            await self._pause(pid, 2.0)
            return "paused"
        return ""

    def _struck_server(self, _: Recorded) -> None:
        self._hit_server()

    def _hit_server(self) -> bool:
        return sum(hit(pid) for pid in marked(f"{self._node.marker}:nats:")) > 0

    # --- runner and handler --------------------------------------------------------------------------------

    async def runner_at(self, kind: type[TaskStarted | TaskFinished], phase: str) -> str:
        unit = self._chance.choice(UNITS)
        found = await self._watch.strike(
            lambda event: isinstance(event.body, kind) and event.body.unit == unit,
            lambda _: self._hit_runner(unit),
            _MOMENT_S,
        )
        return phase if found else ""

    async def runner_executing(self) -> str:
        """Kill it some milliseconds into a handler's work."""
        unit = self._chance.choice(UNITS)
        found = await self._watch.strike(
            lambda event: isinstance(event.body, TaskStarted) and event.body.unit == unit,
            lambda _: None,
            _MOMENT_S,
        )
        await asyncio.sleep(self._chance.uniform(0.001, 0.003))
        busy = bool(self._watch.holds.get(unit))
        self._hit_runner(unit)
        return ("executing" if busy else "pulling") if found else ""

    async def runner_pulling(self) -> str:
        """Kill a runner that holds nothing."""
        self._rest(True)
        try:
            for _ in range(2000):
                for unit in UNITS:
                    if unit in self._watch.pids and not self._watch.holds.get(unit):
                        self._hit_runner(unit)
                        return "pulling"
                await asyncio.sleep(0.001)
            return ""
        finally:
            self._rest(False)

    async def runner_paused(self) -> str:
        pid = self._watch.pids.get(self._chance.choice(UNITS))
        if pid is None:
            return ""
        await self._pause(pid, 2.0)
        return "paused"

    async def handler(self) -> str:
        """Kill the handler's own process under its runner."""
        for _ in range(2000):
            unit = self._chance.choice(UNITS)
            below = children_of(self._watch.pids.get(unit, 0))
            if below and self._watch.holds.get(unit):
                return "executing" if sum(hit(pid) for pid in below) else ""
            await asyncio.sleep(0.001)
        return ""

    def _hit_runner(self, unit: str) -> None:
        if unit in self._watch.pids:
            hit(self._watch.pids[unit])

    async def _pause(self, pid: int, longest: float) -> None:
        if hit(pid, signal.SIGSTOP):
            await asyncio.sleep(self._chance.uniform(0.05, longest))
            hit(pid, signal.SIGCONT)


def _manifest(node: RealNode) -> tuple[int, int]:
    """Return below what the stream is being emptied, and the last sealed position."""
    try:
        manifest = msgspec.json.decode((node.data / FOLDER / MANIFEST).read_bytes())
    except FileNotFoundError:
        return 0, 0
    return manifest["purged"], manifest["segments"][-1]["last"]

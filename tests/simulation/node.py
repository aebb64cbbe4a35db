"""A node as it is, without a machine below: its own crew and bus, our server, processes and clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from actors.config import Forest
from actors.crew import Crew
from actors.executor_orders import TakeOver
from actors.feed import Feed
from actors.journal import Journal
from actors.keeper_client import Exit
from actors.node import Node
from actors.sampler import Beat, Heard
from actors.snapshots import Snapshots
from actors.supervisor import ChildSpec, Supervisor
from actors.units import Launch
from actors.worker_orders import UnitPlan
from events.log import Receipt
from events.observations import NodeStopped, NodeStopping, QueueSample
from events.settings import Settings
from tests.simulation.agenda import Agenda, VirtualClock
from tests.simulation.loop import step_loop
from tests.simulation.machine import Machine
from tests.simulation.server import Server, SimBus

NAME = "n"
# The tables, and who looks after files: neither is part of the world here.
_OUTSIDE = {"projector", "custodian"}


class SimCrew(Crew):
    """The node's crew without the tables; what leaves the process goes to the world."""

    world: Any

    def specs(self) -> Sequence[ChildSpec]:
        """See `Crew.specs`."""
        return [spec for spec in super().specs() if spec.name not in _OUTSIDE]

    def _ask_queues(self, reply: Callable[[tuple[QueueSample, ...]], None]) -> None:
        self._bus.later(0.002, lambda: reply((self.world.queue.sample(),)))

    def _publish(self, subject: str, data: bytes) -> None:
        self._bus.later(0.002, lambda: self.world.published(subject, data))

    def _plan(self, unit: str) -> UnitPlan | None:
        pool = self.world.pool_of(unit)
        if pool is None:
            return None
        return UnitPlan(
            unit=unit,
            pool=pool.name,
            queue=pool.queue,
            stop_signal=15,
            stop_wait_s=pool.stop_wait_s,
            launch=lambda generation, marker: Launch(
                argv=("x",), env={"ELF_UNIT": marker}, cwd="/", log="", kind="plain"
            ),
        )


class SimNode(Node):
    """One life of a node: from its start to its end or its death."""

    def __init__(
        self, agenda: Agenda, server: Server, machine: Machine, world: Any, folder: Path, settings: Settings
    ) -> None:
        self._agenda = agenda
        self._machine = machine
        self._world = world
        self._given = settings
        self._name = NAME
        self._ending = ""
        self._fatal = ""
        self.epoch = 0
        self.loop = step_loop(agenda)
        self._bus = SimBus(server, self.loop)
        self.clock = VirtualClock(agenda)
        self._clock = self.clock  # type: ignore[assignment]
        self._journal = Journal(self._bus, self.clock, f"node.{NAME}")
        self._snapshots = Snapshots(folder)
        self._data = folder
        self.leads = False
        self.gone = False
        self.stopped = False
        self._feed = Feed(self._bus, self._die)
        self._bus.call(self._bus.recorder.start)
        self._bus.spawn(self._live)

    @property
    def fatal(self) -> str:
        """Why it must end, empty while all is well."""
        return self._fatal or " ".join(self.loop.errors)

    def _die(self, why: str) -> None:
        self._fatal = self._fatal or why

    def _settings(self) -> Settings:
        return self._given

    async def _live(self) -> None:
        try:
            self.epoch = await self._lead()
        except Exception as problem:
            self._die(f"it cannot lead: {problem}")
            return
        ground = SimpleNamespace(marker=NAME, keeper=self._machine, watch_stray=lambda _: True)
        forest = Forest()
        self._crew = SimCrew(
            lambda: forest,
            ground,  # type: ignore[arg-type]
            self._data,
            self._bus,
            self.clock,
            self._journal,
            self._feed,
            self._snapshots,
            self.epoch,
            self._die,
        )
        self._crew._processes = self._machine
        self._crew.world = self._world
        self._supervisor = Supervisor.start(
            "supervisor", self._down, self._crew.specs(), self.clock, self._die
        )
        await self._feed.start_with(self._crew.readers - _OUTSIDE)
        self._listen_to_keeper()
        self._crew.tell("executor", TakeOver(self.epoch, self._crew.begin_sampling))
        self.leads = True

    def _listen_to_keeper(self) -> None:
        """All exits, those from before this life included, in their order."""
        for ended in self._machine.book:
            self._hear(ended)
        self._machine.on_exit = self._hear

    def _hear(self, ended: Exit) -> None:
        self._agenda.soon(lambda: None if self.gone else self._heard(ended), 0.01)

    def _heard(self, ended: Exit) -> None:
        self._crew.tell("executor", ended)

    def beat(self, beat: Beat) -> None:
        """Let a runner's beat arrive."""
        if self.leads and not self.gone:
            self._crew.tell("sampler", Heard(beat))

    def order_stop(self) -> None:
        """Begin to end in order, as SIGTERM asks."""
        self._ending = "SIGTERM"
        self._journal.write(NodeStopping(node=NAME, reason="SIGTERM"))
        self._crew.stop_all(self._all_stopped)

    def _all_stopped(self) -> None:
        def done(_: Receipt | Exception) -> None:
            self.stopped = True

        self._journal.last_word(NodeStopped(node=NAME, reason="SIGTERM"), done)

    def vanish(self) -> None:
        """Let the process end this instant."""
        self.gone = self.clock.gone = True
        self.loop.end()
        self._machine.on_exit = lambda _: None

"""One forest in one seed: a storm of faults, then calm; everything that happens follows from the seed alone."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from actors import audit, elf, feed, journal, snapshots, worker
from actors.elves.deliberation import digest_of
from events.event import Event
from events.log import Conflict, Expect, LogFull, entry, envelope
from events.observations import IntentSet, LeaseTaken
from events.settings import (
    ElfSettings,
    Limits,
    QueueSettings,
    RestartSettings,
    Settings,
    SettingsAdopted,
    WorkerSettings,
)
from events.subjects import CLASSES, LEASE, task_filter
from events.tasks import TaskSubmitted
from tests.simulation.agenda import Agenda
from tests.simulation.loop import StepLoop
from tests.simulation.machine import Being, Broken, Machine, Manners
from tests.simulation.node import NAME, SimNode
from tests.simulation.server import Server, SimReader, Weather
from tests.simulation.stepping import Stage, stepping
from tests.simulation.tasks import QUEUE, Queue, Runner

STORM_S = 90.0
CALM_S = 4_500.0
_CHECKPOINT_EVERY = 60
_MANY = 5_000
# What happens within this time may overtake an actor whose mail waits.
_LAZY_S = 0.05


def settings(launch: str = "1") -> Settings:
    """A plain pool, a pool of runners, and one that waits for them."""
    restart = RestartSettings(burst=5, window_s=60.0)
    return Settings(
        node=NAME,
        limits=Limits(steady_s=5.0, beat_lost_s=20.0),
        queues=(QueueSettings(name=QUEUE, timeout_s=20.0),),
        workers=(
            WorkerSettings(
                name="a", units=("a",), memory_limit=300, stop_wait_s=3.0, launch=launch, restart=restart
            ),
            WorkerSettings(
                name="w", queue=QUEUE, units=("w-1", "w-2"), stop_wait_s=3.0, launch="1", restart=restart
            ),
            WorkerSettings(
                name="b", units=("b",), after=("w",), stop_wait_s=3.0, launch="1", restart=restart
            ),
        ),
        elves=(ElfSettings(name="flow"), ElfSettings(name="healing")),
    )


class World:
    """Everything outside the node, and the node's lives one after the other."""

    def __init__(self, seed: int, folder: Path, early: bool = False) -> None:
        self.seed = seed
        self.chance = Random(seed)
        self.agenda = Agenda(self.chance)
        self.stage = Stage(self.chance)
        self.weather = Weather()
        self.server = Server(self.agenda, self.weather)
        self.manners = Manners()
        self.machine = Machine(self.agenda, self.manners, self._is_ordered)
        self.machine.on_start = self._started
        self.machine.on_end = self._ended
        self.queue = Queue(self.agenda, self.server)
        self.runners: dict[int, Runner] = {}
        self.folder = folder
        self.settings = settings()
        self.node: SimNode | None = None
        self.submitted: list[str] = []
        self.kills = 0
        self.calm = False
        self.hurts: list[str] = []
        self._early = early
        self._frozen_until = 0.0
        self._said = 0
        self._tenants = 0

    # --- what the node reaches -----------------------------------------------------------------------------

    def pool_of(self, unit: str) -> WorkerSettings | None:
        """Return the pool of a configured unit."""
        return next((pool for pool in self.settings.workers if unit in pool.units), None)

    def published(self, subject: str, data: bytes) -> None:
        """Take what the node says beside the log: orders to runners, and no to deliveries."""
        if subject.startswith("ack."):
            self.queue.again(subject)
            return
        unit = subject.rsplit(".", 1)[1]
        being = self.machine.main(unit)
        if being and msgspec.json.decode(data).get("do") == "drain" and being.state != "T":
            runner = self.runners.get(being.pid)
            if runner:
                runner.draining = True
                self.agenda.at(self.chance.uniform(0.1, 4.0), lambda: self.machine.die(being, code=0))

    def _is_ordered(self, nonce: str) -> bool:
        events = reversed(self.server.memory.events)
        return any(getattr(event.body, "nonce", "") == nonce for event in events)

    def _started(self, being: Being) -> None:
        pool = self.pool_of(being.request.unit)
        if pool and pool.queue and being.main:
            self.runners[being.pid] = Runner(
                self.agenda, self.server, self.queue, being, self._beat, self._early
            )

    def _beat(self, beat: Any) -> None:
        if self.node:
            self.node.beat(beat)

    def _ended(self, being: Being) -> None:
        runner = self.runners.pop(being.pid, None)
        if runner:
            runner.loop.end()

    # --- lives of the node ---------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the node."""
        self.node = SimNode(self.agenda, self.server, self.machine, self, self.folder, self.settings)

    def kill(self, why: str) -> None:
        """End the node this instant; snapshots stay, or are lost with it."""
        if self.node is None:
            return
        self.kills += 1
        self.hurts.append(f"{self.agenda.now:.3f} {why}")
        self.node.vanish()
        self.stage.clear()
        self.node = None
        if not self.calm and self.chance.random() < 0.3:
            for path in self.folder.glob("*.json"):
                path.unlink()

    def say(self, body: Event, expect: Expect | None = None, source: str = "operator.cli") -> bool:
        """Append as somebody else, at once; False when the log does not take it."""
        self._said += 1
        time = 1_700_000_000_000_000 + int(self.agenda.now * 1e6)
        try:
            self.server.store([entry(envelope(f"o{self._said}", time, source, body), expect)])
        except (Conflict, LogFull):
            return False
        return True

    def submit(self, count: int) -> None:
        """Submit tasks; what the log took counts."""
        for _ in range(count):
            task = f"t{len(self.submitted) + 1}"
            priority = CLASSES[len(self.submitted) % len(CLASSES)]
            body = TaskSubmitted(task=task, queue=QUEUE, payload=1, priority=priority)
            if self.say(body, Expect(task_filter(QUEUE, task), 0)):
                self.submitted.append(task)

    def take_lease(self) -> None:
        """Let another node take the lead."""
        previous = self.server.memory._last_position(LEASE)
        self.hurts.append(f"{self.agenda.now:.3f} lease taken")
        self.say(LeaseTaken(holder="other", previous=previous), Expect(LEASE, previous), "node.other")

    def adopt(self, launch: str) -> None:
        """Adopt a changed configuration, as the node does when it reads its file again."""
        self.settings = settings(launch)
        if self.node and self.node.leads:
            self.node._given = self.settings
            self.node._journal.write(
                SettingsAdopted(
                    origin="file",
                    digest=digest_of(self.settings),
                    settings=self.settings,
                    changed=("workers",),
                )
            )

    # --- time ----------------------------------------------------------------------------------------------

    def run(self, until: float) -> None:
        """Let things happen until then, one at a time, in an order of chance."""
        while self.agenda.now < until:
            if not self.turn(until):
                return

    def turn(self, until: float) -> bool:
        """Let one thing happen; False when there is nothing before `until`."""
        movers: list[Any] = []
        if self.agenda.now >= self._frozen_until:
            if self.stage.ready():
                movers.append(self.stage)
            if self.node and self.node.loop.ready:
                movers.append(self.node.loop)
        movers.extend(runner.loop for runner in self.runners.values() if runner.loop.ready)
        if movers and not (self.agenda.is_near(_LAZY_S) and self.chance.random() < 0.1):
            mover = self.chance.choice(movers)
            mover.step()
            if len(self.server.memory.events) > _MANY:
                raise Broken(f"more than {_MANY} events: somebody goes round in circles")
            if self.machine.broken:
                raise Broken(self.machine.broken)
            if (
                isinstance(mover, StepLoop)
                and mover.errors
                and (self.node is None or mover is not self.node.loop)
            ):
                raise Broken(f"a runner failed: {mover.errors}")
            self._look_after_node()
            return True
        return self.agenda.next(until)

    def freeze(self, seconds: float) -> None:
        """Let the node do nothing for a while, as a pause of its process does."""
        self._frozen_until = self.agenda.now + seconds

    def _look_after_node(self) -> None:
        if self.node and self.node.fatal:
            self.kill(f"the node ends: {self.node.fatal}")
            self.agenda.at(self.chance.uniform(0.1, 3.0), self._begin_again)

    def _begin_again(self) -> None:
        if self.node is None:
            self.begin()

    def stop_unit(self, unit: str, number: int) -> None:
        """Signal a process from outside."""
        being = self.machine.main(unit)
        if being:
            self.machine.deliver(being, number)

    def wake_all(self) -> None:
        """Let everybody run on who was stopped from outside."""
        for being in self.machine.living():
            if being.state == "T":
                self.machine.deliver(being, signal.SIGCONT)

    def intend(self, target: str, **said: Any) -> None:
        """Say what a person wants."""
        self.say(IntentSet(target=target, **said))


class _Nonces:
    """Stands where `secrets` does: what is random in life follows from the seed here."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance

    def token_hex(self, size: int) -> str:
        """See `secrets.token_hex`."""
        return f"{self._chance.getrandbits(size * 8):0{size * 2}x}"


_ZONE = snapshots.pure_zone()


@contextlib.contextmanager
def world(seed: int, folder: Path, early: bool = False) -> Iterator[World]:
    """Make a world and put its stage, reader and chance where the node looks for threads, server and secrets."""
    made = World(seed, folder, early)
    reader = type("Reader", (SimReader,), {"server": made.server})
    nonces = _Nonces(Random(seed))
    places: list[tuple[Any, str, Any]] = [
        (feed, "Reader", reader),
        (journal, "secrets", nonces),
        (worker, "secrets", nonces),
        (elf, "CHECKPOINT_EVERY", _CHECKPOINT_EVERY),
        (snapshots, "pure_zone", lambda: _ZONE),
        (audit, "pure_zone", lambda: _ZONE),
    ]
    kept = [(module, name, getattr(module, name)) for module, name, _ in places]
    for module, name, thing in places:
        setattr(module, name, thing)
    try:
        with stepping(made.stage):
            yield made
    finally:
        for runner in made.runners.values():
            runner.loop.end()
        if made.node:
            made.node.vanish()
        for module, name, thing in kept:
            setattr(module, name, thing)


__all__ = ["CALM_S", "STORM_S", "Broken", "World", "world"]

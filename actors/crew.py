"""Who works in a node: the actors, in the order they start, and where each one's mail goes."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pykka

from actors.agent_service import AgentService
from actors.archivist import Archivist
from actors.bus import Bus
from actors.clock import Clock
from actors.config import Forest
from actors.custodian import Custodian, LookNow, watched_files
from actors.ear import Ear
from actors.elf import ElfActor
from actors.elves import Policy
from actors.errand_service import NAMES as ERRANDS
from actors.errand_service import ErrandService
from actors.evidence import Examiner, Question
from actors.executor import Executor
from actors.executor_orders import Alive, StopAll, TakeOver
from actors.feed import Feed
from actors.ground import Ground
from actors.journal import Journal
from actors.librarian import Librarian
from actors.mover import Mover
from actors.nats_server import give_back
from actors.policies import POLICIES
from actors.processes import LocalProcesses, Processes
from actors.projector import Projector
from actors.queue_keeper import QueueKeeper
from actors.roster import Roster
from actors.runtime import Down, Watcher, tell
from actors.sampler import Beat, Begin, Heard, Living, Rest, Sampler
from actors.settler import Settler
from actors.snapshots import Snapshots
from actors.supervisor import ChildSpec
from actors.trimming import Trimmed, trim
from actors.unit_plans import plan_of
from actors.worker_orders import UnitPlan
from events.log import Receipt, entry
from events.observations import DeciderResumed, EvidenceTaken, Quarantined, QueueSample
from projections.archive import Bound
from projections.segments import Segments

Ref = pykka.ActorRef[Any]


class Crew:
    """Makes every actor, again after a failure; `refs` always names the living ones."""

    def __init__(
        self,
        forest: Callable[[], Forest],
        ground: Ground,
        data: Path,
        bus: Bus,
        clock: Clock,
        journal: Journal,
        feed: Feed,
        snapshots: Snapshots,
        epoch: int,
        die: Callable[[str], None],
        segments: Segments | None = None,
    ) -> None:
        self._forest = forest
        self._ground = ground
        self._data = data
        self._bus = bus
        self._clock = clock
        self._journal = journal
        self._feed = feed
        self._snapshots = snapshots
        self._segments = segments
        self._epoch = epoch
        self._die = die
        self._processes: Processes = LocalProcesses()
        self._stop_all: StopAll | None = None
        self.standing_by: Callable[[], bool] = lambda: False
        self.refs: dict[str, Ref] = {}
        self._queues = QueueKeeper(forest, self.tell)
        self._ear = Ear(
            data,
            journal,
            lambda unit, generation: self.tell("sampler", Heard(Beat(unit=unit, generation=generation))),
            lambda: self._forest().log.redact,
        )
        self.agents = AgentService(
            forest, ground, bus, clock, journal, feed, snapshots, segments, epoch, self.tell
        )
        self._errands = ErrandService(
            forest, ground, data, bus, clock, journal, feed, snapshots, self._processes, epoch, self.tell
        )

    @property
    def readers(self) -> set[str]:
        """Everybody who reads the log."""
        archivist = {"archivist"} if self._segments is not None else set()
        return {
            "projector",
            "roster",
            "librarian",
            "executor",
            "mover",
            "custodian",
            "settler",
            "agents",
            *archivist,
            *ERRANDS,
            *(policy.name for policy in POLICIES),
        }

    def specs(self) -> Sequence[ChildSpec]:
        """Return the children of the node's supervisor; the executor stops before what it needs."""
        makers: dict[str, Callable[[Watcher, Down | None], Ref]] = {
            "projector": self._projector,
            "roster": self._roster,
            "librarian": self._librarian,
            "sampler": self._sampler,
            **({"archivist": partial(self._archivist, self._segments)} if self._segments is not None else {}),
            "executor": self._executor,
            "mover": self._mover,
            "custodian": self._custodian,
            "settler": self._settler,
            "agents": self.agents.start,
            **self._errands.makers(),
            **{policy.name: self._elf(policy) for policy in POLICIES},
        }
        return [ChildSpec(name, self._kept(name, make)) for name, make in makers.items()]

    def tell(self, name: str, message: object) -> bool:
        """Send a message to whoever has that name now; False when nobody is there."""
        ref = self.refs.get(name)
        return ref is not None and tell(ref, message)

    def begin_sampling(self) -> None:
        """Let the ticks begin: what lives is known."""
        self.tell("sampler", Begin())
        self.tell("custodian", LookNow())

    def end_sampling(self) -> None:
        """Return once no tick, and no word of a plain program, can come behind what is written next."""
        self._ear.close()
        with suppress(KeyError, pykka.ActorDeadError, pykka.Timeout):
            self.refs["sampler"].ask(Rest(), timeout=2.0)

    def stop_all(self, done: Callable[[], object]) -> None:
        """End every unit and every job, through failures too; `done` is called when none is left."""
        left = ["units", "jobs"]

        def ended(what: str) -> None:
            # Who took the place of one that failed says it again.
            if what in left:
                left.remove(what)
                if not left:
                    done()

        self._stop_all = StopAll(lambda: ended("units"))
        self._errands.stop_jobs(lambda: ended("jobs"))
        self.tell("executor", self._stop_all)

    def knows(self, unit: str) -> bool:
        """Tell whether the configuration in force has this unit."""
        return self._plan(unit) is not None

    def _kept(
        self, name: str, make: Callable[[Watcher, Down | None], Ref]
    ) -> Callable[[Watcher, Down | None], Ref]:
        def start(watcher: Watcher, down: Down | None) -> Ref:
            ref = make(watcher, down)
            self.refs[name] = ref
            return ref

        return start

    def _elf(self, policy: Policy[Any]) -> Callable[[Watcher, Down | None], Ref]:
        def start(watcher: Watcher, down: Down | None) -> Ref:
            return ElfActor.start(
                watcher,
                policy,
                self._journal,
                self._clock,
                self._snapshots,
                self._feed.subscribe,
                lambda due: self.tell("sampler", due),
                lambda why: self._die(f"another node leads: {why}"),
                self._epoch,
                (down.position, down.error) if down else None,
            )

        return start

    def _living(self, living: dict[str, Alive]) -> None:
        self.tell("sampler", Living(living))
        self._ear.follow(living)

    def _projector(self, watcher: Watcher, _: Down | None) -> Ref:
        return Projector.start(
            watcher,
            self._data,
            self._clock,
            self._feed.subscribe,
            self._quarantine,
            lambda stored: self.tell("archivist", stored),
            publish_every_s=lambda: self._forest().kpi.snapshot_s,
        )

    def _archivist(self, segments: Segments, watcher: Watcher, _: Down | None) -> Ref:
        return Archivist.start(
            watcher,
            segments,
            self._journal,
            self._clock,
            self._snapshots,
            self._feed.subscribe,
            lambda: self._forest().log,
            self._feed.slowest,
            partial(self._trim, segments.mark),
            self._epoch,
        )

    def _trim(
        self,
        mark: Callable[[int], None],
        bounds: list[Bound],
        least: int,
        done: Callable[[Trimmed | Exception | None], None],
    ) -> None:
        async def work() -> None:
            try:
                done(await trim(self._bus, self._ground.server.credentials["archive"], bounds, least, mark))
            except Exception as problem:
                done(problem)

        self._bus.spawn(work)

    def _quarantine(self, found: Quarantined) -> None:
        """Say once which stored message is no event, whoever finds it and how often."""
        self._journal.append([entry(self._journal.envelope(found, id=f"quarantine-{found.position}"))])

    def _roster(self, watcher: Watcher, _: Down | None) -> Ref:
        return Roster.start(watcher, self._clock, self._feed.subscribe, self._snapshots)

    def _mover(self, watcher: Watcher, _: Down | None) -> Ref:
        return Mover.start(
            watcher,
            self._feed.subscribe,
            self._snapshots,
            self._journal,
            self._bus.spawn,
            self._bus.log.at,
            self._epoch,
        )

    def _settler(self, watcher: Watcher, _: Down | None) -> Ref:
        return Settler.start(watcher, self._feed.subscribe, self._snapshots, self._journal, self._epoch)

    def _custodian(self, watcher: Watcher, down: Down | None) -> Ref:
        ref = Custodian.start(
            watcher,
            self._feed.subscribe,
            self._snapshots,
            self._journal,
            self._clock,
            lambda: watched_files(self._forest()),
            self._data / "managed",
            lambda: self._forest().node.sample_s,
            self._epoch,
        )
        if down:
            tell(ref, LookNow())
        return ref

    def _librarian(self, watcher: Watcher, _: Down | None) -> Ref:
        return Librarian.start(watcher, self._data, self._feed.subscribe, self._snapshots)

    def _sampler(self, watcher: Watcher, down: Down | None) -> Ref:
        ref = Sampler.start(
            watcher,
            self._journal,
            self._clock,
            self._processes,
            lambda: self._forest().node.sample_s,
            lambda unit: bool((plan := self._plan(unit)) and plan.queue),
            self._ask_queues,
            self.agents.samples,
            lambda: self._forest().limits.stall_s,
            lambda: {
                unit: one.beat_s for one in self._forest().workers if one.beat_s for unit in one.units()
            },
        )
        if down:
            tell(ref, Begin())
        return ref

    def _executor(self, watcher: Watcher, down: Down | None) -> Ref:
        ref = Executor.start(
            watcher,
            self._ground.marker,
            self._journal,
            self._clock,
            lambda: self._ground.keeper,
            self._processes,
            self._plan,
            self._feed.subscribe,
            self._publish,
            self._living,
            lambda queue, positions: self._bus.spawn(
                lambda: give_back(self._bus.connection, queue, positions)
            ),
            self._ground.watch_stray,
            self._snapshots,
            self._look_at,
        )
        if down:
            self._take_over_again(ref, down)
        return ref

    def _take_over_again(self, ref: Ref, down: Down) -> None:
        """Let a new executor take over behind everything that the old one and its units' actors have written."""
        resumed = self._journal.envelope(
            DeciderResumed(elf="executor", after=down.position, error=down.error[:300])
        )

        def said(result: Receipt | Exception) -> None:
            if isinstance(result, Receipt):
                tell(ref, TakeOver(self._epoch, self.begin_sampling, result.positions[-1]))
                if self._stop_all:
                    tell(ref, self._stop_all)
            else:
                self._clock.later(1.0, say)

        def say() -> None:
            self._journal.append([entry(resumed)], said, behind=True)

        say()

    def _look_at(self, question: Question) -> EvidenceTaken:
        """Take evidence; what must not be said is what the configuration in force says."""
        return Examiner(self._data, self._processes, self._forest().log.redact).examine(question)

    def _ask_queues(self, reply: Callable[[tuple[QueueSample, ...]], None]) -> None:
        if self.standing_by():
            # No answer, no tick: nothing is written that can wait. `begin_sampling` lets them begin again.
            return

        async def ask() -> None:
            reply(await self._queues.states(self._bus.connection))

        self._bus.spawn(ask)

    def _publish(self, subject: str, data: bytes) -> None:
        self._bus.spawn(lambda: self._bus.connection.client.publish(subject, data))

    def _plan(self, unit: str) -> UnitPlan | None:
        return plan_of(self._forest(), unit, self._data, self._ground.server.credentials)

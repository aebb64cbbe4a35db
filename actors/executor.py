"""Carries out what was decided: reads acts from the log, gives them to the units' actors, reports every exit."""

import logging
import signal
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import pykka

from actors.adoption import (
    Adopted,
    Finding,
    Over,
    Stranger,
    Vanished,
    compare,
    is_ours,
    missing,
    started_late,
    verdict,
)
from actors.clock import Clock
from actors.evidence import Question
from actors.executor_orders import Alive, Orphaned, StopAll, TakeOver, drain_time
from actors.feed import Subscription
from actors.follower import Follower
from actors.journal import Journal
from actors.keeper_client import Exit, Keeper, KeeperGone
from actors.process import Identity
from actors.processes import Processes
from actors.runtime import Down, Watcher, tell
from actors.snapshots import Snapshots
from actors.watchman import Stray
from actors.worker import WorkerActor
from actors.worker_orders import Adopt, Continue, End, Ended, Examine, Hurry, Start, UnitPlan
from events.decisions import (
    ContinueUnit,
    Decided,
    RaiseAlert,
    RestartUnit,
    StartUnit,
    StopUnit,
    TakeEvidence,
    TellUnit,
)
from events.envelope import Recorded
from events.log import entry
from events.observations import EvidenceTaken, IntentSet, OrphanReaped, WorkerExited
from events.outcomes import EffectFailed, EffectVerified, WorkerStarted
from projections.hands import Hands
from projections.standing import Effect
from projections.units import Unit, targets, unneeded

_log = logging.getLogger("elf.executor")

_ACTS = {"start_unit", "stop_unit", "restart_unit", "continue_unit", "take_evidence"}


class Executor(Follower[Hands]):
    """The hands. One WorkerActor for each unit; what it knows it knows from the log and from the keeper."""

    def __init__(
        self,
        watcher: Watcher,
        node: str,
        journal: Journal,
        clock: Clock,
        keeper: Callable[[], Keeper],
        processes: Processes,
        plan: Callable[[str], UnitPlan | None],
        subscribe: Callable[[Subscription], None],
        publish: Callable[[str, bytes], None],
        living: Callable[[dict[str, Alive]], None],
        give_back: Callable[[str, Sequence[int]], None],
        watch_stray: Callable[[Stray], bool],
        snapshots: Snapshots,
        examine: Callable[[Question], EvidenceTaken] | None = None,
    ) -> None:
        super().__init__("executor", watcher, subscribe, snapshots, Hands())
        self._node = node
        self._journal = journal
        self._clock = clock
        self._keeper = keeper
        self._processes = processes
        self._plan = plan
        self._publish = publish
        self._tell_living = living
        self._give_back_unclaimed = give_back
        self._watch_stray = watch_stray
        self._examine = examine
        self._orphaned = False
        self._take_over: TakeOver | None = None
        self._epoch = 0
        self._stopping: StopAll | None = None
        self._ends = False
        self._reported: set[tuple[str, int]] = set()
        self._asked: set[str] = set()
        self._ended: set[str] = set()
        self._early: list[Exit] = []

    def handle(self, message: Any) -> Any:
        """Take events, exits, the take-over and the stop."""
        match message:
            case Exit():
                self._exited(message)
            case TakeOver():
                self._take_over = message
                self._maybe_take_over()
            case Orphaned():
                self._orphaned = True
                if self._epoch:
                    self._look_after(self.fold.units.units.values())
            case StopAll():
                self._stopping = message
                self._ends = True
                self._stop_next()
            case Down(name=name, error=error):
                # What it was about to do nobody knows: taking over again settles it by what is real.
                raise RuntimeError(f"{name}: {error}")
            case (str() as unit, int() as number):
                self._worker(unit).tell(number)
            case _:
                return super().handle(message)
        return None

    def end(self) -> None:
        """End the units' actors, not the units; keep what is known, unless an event was taken in half."""
        super().end()
        for worker in self.below.values():
            worker.stop(block=True, timeout=2.0)

    def seen(self, event: Recorded) -> None:
        """Act on it if this node leads; acts of the past are only remembered."""
        if self._epoch:
            self._see(event)
        self._maybe_take_over()

    def _see(self, event: Recorded) -> None:
        """Do what an event asks of the node that leads; it is folded already."""
        match event.body:
            case Decided() as decided if decided.epoch == self._epoch and decided.mode == "act":
                self._act(event.id, decided)
            case WorkerExited(unit=unit, generation=generation):
                self._say_living()
                self._give_back(unit, generation)
            case WorkerStarted(unit=unit):
                self._say_living()
                if self._orphaned:
                    self._look_after([self.fold.units.get(unit)])
            case IntentSet(intent=intent, target=target):
                self._told(target, intent)
            case EffectVerified(decision=of, target=target) | EffectFailed(decision=of, target=target):
                if self._stopping:
                    self._ended |= set() if of else {target}
                    self._stop_next()
            case _:
                return

    def _act(self, decision: str, decided: Decided) -> None:
        match decided.action:
            case StartUnit() | RestartUnit() if self._ends:
                failed = EffectFailed(decision=decision, target=decided.target, error="the node ends")
                self._journal.write(failed, cause=decision)
            case StartUnit(generation=generation):
                self._worker(decided.target).tell(Start(decision, generation))
            case StopUnit(generation=generation, drain=drain):
                wait = self._drain_time(decided.target) if drain else 0.0
                self._worker(decided.target).tell(End(decision, generation, again=False, drain_s=wait))
            case RestartUnit(generation=generation, drain=drain, evidence=evidence, steps=steps):
                wait = self._drain_time(decided.target) if drain else 0.0
                order = End(decision, generation, again=True, drain_s=wait, evidence=evidence, steps=steps)
                self._worker(decided.target).tell(order)
            case TakeEvidence(generation=generation, kind=kind, pid=pid):
                self._worker(decided.target).tell(Examine(decision, generation, kind, pid))
            case TellUnit(verb="hurry", generation=generation):
                self._worker(decided.target).tell(Hurry(generation))
            case TellUnit(verb=verb):
                self._say(decided.target, *(("quiet", "resume") if verb == "renew" else (verb,)))
            case ContinueUnit(generation=generation):
                self._worker(decided.target).tell(Continue(decision, generation))
            case RaiseAlert(severity=severity):
                _log.warning("alert (%s): %s", severity, decided.text, extra={"decision": decision})
            case _:
                return

    def _drain_time(self, unit: str) -> float:
        return drain_time(self._plan(unit), self.fold.settings.queues)

    def _worker(self, unit: str) -> pykka.ActorRef[WorkerActor]:
        worker = self.below.get(unit)
        if worker is None or not worker.is_alive():
            ref = self.actor_ref
            worker = WorkerActor.start(
                partial(tell, ref),
                self._node,
                lambda: self._plan(unit),
                unit,
                self._journal,
                self._clock,
                self._keeper,
                self._processes,
                self._ask_to_drain,
                self._examine,
            )
            self.below[unit] = worker
            known = self.fold.units.units.get(unit)
            if known and known.alive and is_ours(self._node, self._identity(known), self._processes):
                worker.tell(Adopt(known.generation, known.nonce, self._identity(known)))
        return worker

    def _ask_to_drain(self, pool: str, unit: str) -> None:
        self._publish(f"run.{pool}.{unit}", b'{"do":"drain"}')

    def _say(self, unit: str, *verbs: str) -> None:
        """Say something to a living runner, one after the other."""
        plan = self._plan(unit)
        for verb in verbs if plan and plan.queue else ():
            self._publish(f"run.{plan.pool if plan else unit}.{unit}", f'{{"do":"{verb}"}}'.encode())

    def _told(self, target: str, intent: str) -> None:
        """Pass quiet, pause and their end on to living runners; a plain program is paused by a signal."""
        for name in targets(self.fold.settings, target, self.fold.units.units):
            unit = self.fold.units.get(name)
            if not unit.alive or intent == "stop":
                continue
            plan = self._plan(name)
            if plan and plan.queue:
                verb = "resume" if intent == "run" else "quiet"
                self._publish(f"run.{plan.pool}.{name}", f'{{"do":"{verb}"}}'.encode())
            elif intent in ("pause", "run"):
                self._worker(name).tell(19 if intent == "pause" else 18)

    def _exited(self, ended: Exit) -> None:
        """Write down an exit once, then tell the unit's actor."""
        if not self._epoch:
            self._early.append(ended)
            return
        if ended.orphan or not ended.unit:
            self._journal.write(OrphanReaped(pid=ended.pid, code=ended.code, signal=ended.signal))
            return
        known = self.fold.units.units.get(ended.unit)
        if known is None or self._is_reported(known, ended):
            return
        self._reported.add((ended.unit, ended.generation))
        body = WorkerExited(
            unit=ended.unit,
            generation=ended.generation,
            pid=ended.pid,
            code=ended.code,
            signal=ended.signal,
            at=ended.time_us,
        )
        envelope = self._journal.envelope(body, id=f"exit-{self._node}-{ended.unit}-{ended.nonce}")
        self._journal.append([entry(envelope)])
        if ended.unit in self.below:
            self.below[ended.unit].tell(Ended(ended))

    def _is_reported(self, unit: Unit, ended: Exit) -> bool:
        if (ended.unit, ended.generation) in self._reported:
            return True
        if ended.generation < unit.generation:
            return True
        return ended.generation == unit.generation and (unit.exited or ended.nonce != unit.nonce)

    def _give_back(self, unit: str, generation: int) -> None:
        """Say no to every delivery a dead process held, so that the server delivers again at once."""
        for claim in self.fold.custody.held_by(unit, generation):
            if claim.delivery:
                self._publish(claim.delivery, b"-NAK")
        plan = self._plan(unit)
        waiting = self.fold.custody.waiting.get(plan.queue) if plan else None
        if plan and waiting:
            self._give_back_unclaimed(plan.queue, [*waiting.values()])

    def _say_living(self) -> None:
        """Tell the sampler whom to look at."""
        self._tell_living(
            {
                unit.name: Alive(unit.generation, self._identity(unit), unit.ready, unit.words, unit.progress)
                for unit in self.fold.units.units.values()
                if unit.alive
            }
        )

    # --- taking over -----------------------------------------------------------------------------------------

    def _maybe_take_over(self) -> None:
        order = self._take_over
        if order is None or self.position < max(order.epoch, order.behind):
            return
        self._take_over = None
        self._epoch = order.epoch
        found = compare(
            self.fold.units,
            self._identity,
            self._node,
            self._processes,
            self._keeper().units(),
            self._book,
        )
        for finding in found:
            self._found(finding)
        self._reconcile()
        self._say_living()
        early, self._early = self._early, []
        for ended in early:
            self._exited(ended)
        self._stop_next()
        order.done()

    def _found(self, finding: Finding) -> None:
        """Act on one difference between what the log believes and what lives."""
        match finding:
            case Adopted(unit=unit, identity=identity, stray=stray):
                if stray and not self._watch_stray(_stray(unit, identity)):
                    self._found(Vanished(unit))
                    return
                if not unit.alive:
                    self._journal.write(started_late(unit, identity))
                self._worker(unit.name).tell(Adopt(unit.generation, unit.nonce, identity))
            case Over(exit=ended):
                self._exited(ended)
            case Vanished(unit=unit):
                self._reported.add((unit.name, unit.generation))
                self._journal.write(WorkerExited(unit=unit.name, generation=unit.generation, pid=unit.pid))
            case Stranger(living=living):
                _log.warning("ending %s (pid %s): the log does not know it", living.unit, living.pid)
                marker = f"{self._node}:{living.unit}:{living.generation}:{living.nonce}"
                session = Identity(self._processes.boot(), living.pid, living.start)
                self._processes.sweep(marker, 9, session)

    def _look_after(self, units: Iterable[Unit]) -> None:
        """Watch who lives without being a child of the keeper in use; say of the others that they ended."""
        try:
            children = {living.nonce for living in self._keeper().units()}
            for unit in units:
                if unit.alive and unit.nonce not in children:
                    for finding in missing(
                        unit, self._identity(unit), self._node, self._processes, self._book
                    ):
                        self._found(finding)
        except KeeperGone:
            # The next one is on its way, and its coming is told like this one's.
            _log.warning("the keeper went away again while its units were looked after")

    def _book(self) -> Sequence[Exit]:
        return self._keeper().exits(0)

    def _identity(self, unit: Unit) -> Identity:
        """The unit's process as the log knows it: of the boot in which it was started."""
        return Identity(self.fold.boots.get(unit.name) or self._processes.boot(), unit.pid, unit.start)

    def _reconcile(self) -> None:
        """Settle acts whose node died under them by what is real now; the elves look again at what is not."""
        for standing in self.fold.standing.values():
            for effect in list(standing.effects.values()):
                self._settle(effect)

    def _settle(self, effect: Effect) -> None:
        """A stop is carried on to its post-check, another act is judged by what its unit is doing."""
        if effect.do not in _ACTS:
            # Another hand's work.
            return
        unit = self.fold.units.get(effect.target)
        if effect.do == "stop_unit" and effect.generation == unit.generation:
            self._worker(unit.name).tell(End(effect.decision, unit.generation, again=False))
            return
        state = self._processes.state(self._identity(unit)) if unit.alive else "X"
        self._journal.write(verdict(effect, unit, state), cause=effect.decision)

    # --- stopping --------------------------------------------------------------------------------------------

    def _stop_next(self) -> None:
        """End those that nobody living depends on; the rest follows as these are gone."""
        order = self._stopping
        if order is None or not self._epoch:
            return
        living = [
            unit
            for unit in self.fold.units.units.values()
            if (unit.alive or self.fold.busy(unit.name) or unit.name in self._asked)
            and unit.name not in self._ended
        ]
        if not living:
            # Children that outlived a crashed parent are nobody's otherwise.
            for name in self.fold.units.units:
                self._processes.sweep(f"{self._node}:{name}:", signal.SIGKILL)
            self._stopping = None
            order.done()
            return
        for unit in unneeded(living, self.fold.settings):
            if unit.name not in self._asked:
                self._asked.add(unit.name)
                self._worker(unit.name).tell(End("", unit.generation, again=False))


def _stray(unit: Unit, identity: Identity) -> Stray:
    return Stray(unit.name, unit.generation, unit.nonce, identity)

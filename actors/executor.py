"""Carries out what was decided: reads acts from the log, gives them to the units' actors, reports every exit."""

import logging
from collections.abc import Callable
from typing import Any

import pykka
from msgspec import Struct

from actors.adoption import Adopted, Finding, Over, Stranger, Vanished, compare, started_late
from actors.clock import Clock
from actors.feed import Chunk, Subscription
from actors.journal import Journal
from actors.keeper_client import Exit, Keeper
from actors.process import Identity
from actors.processes import Processes
from actors.runtime import Actor, Down, Watcher, tell
from actors.worker import WorkerActor
from actors.worker_orders import Adopt, Continue, End, Ended, Start, UnitPlan
from events.decisions import ContinueUnit, Decided, RaiseAlert, RestartUnit, StartUnit, StopUnit
from events.envelope import Recorded
from events.log import entry
from events.observations import IntentSet, OrphanReaped, WorkerExited
from events.outcomes import EffectFailed, EffectVerified, WorkerStarted
from events.settings import Settings, SettingsAdopted
from projections.custody import Custody
from projections.standing import Effect, Standing
from projections.units import Unit, Units, targets

_log = logging.getLogger("elf.executor")

DRAIN_CAP_S = 600.0


class TakeOver(Struct, frozen=True):
    """This node leads since that position; what lives under the keeper is to be taken over once all is folded."""

    epoch: int
    done: Callable[[], object]


class StopAll(Struct, frozen=True):
    """End every unit in the reverse order of their dependencies; `done` is called when none is left."""

    done: Callable[[], object]


class Alive(Struct, frozen=True):
    """A living process of a unit: what there is to sample."""

    generation: int
    identity: Identity


class Executor(Actor):
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
    ) -> None:
        super().__init__("executor", watcher)
        self._node = node
        self._journal = journal
        self._clock = clock
        self._keeper = keeper
        self._processes = processes
        self._plan = plan
        self._subscribe = subscribe
        self._publish = publish
        self._tell_living = living
        self._units = Units()
        self._custody = Custody()
        self._standing: dict[str, Standing] = {}
        self._settings = Settings(node=node)
        self._take_over: TakeOver | None = None
        self._epoch = 0
        self._workers: dict[str, pykka.ActorRef[WorkerActor]] = {}
        self._stopping: StopAll | None = None
        self._reported: set[tuple[str, int]] = set()
        self._asked: set[str] = set()
        self._ended: set[str] = set()
        self._early: list[Exit] = []
        self._subscription: Subscription

    def begin(self) -> None:
        """Fold the log from its beginning; acts of the past are only remembered."""
        ref = self.actor_ref
        self._subscription = Subscription(self.name, 0, lambda chunk: tell(ref, chunk))
        self._subscribe(self._subscription)

    def handle(self, message: Any) -> Any:
        """Take events, exits, the take-over and the stop."""
        match message:
            case Chunk(events=events):
                for event in events:
                    self._take(event)
                self._subscription.taken = self.position
            case Exit():
                self._exited(message)
            case TakeOver():
                self._take_over = message
                self._maybe_take_over()
            case StopAll():
                self._stopping = message
                self._stop_next()
            case Down(name=name):
                self._workers.pop(name, None)
            case (str() as unit, int() as number):
                self._worker(unit).tell(number)
            case _:
                return super().handle(message)
        return None

    def end(self) -> None:
        """End the units' actors, not the units."""
        for worker in self._workers.values():
            worker.stop(block=True, timeout=2.0)

    def _take(self, event: Recorded) -> None:
        self.position = event.position
        now = event.time
        body = event.body
        self._units.apply(event, now, self._settings)
        self._custody.apply(event)
        match body:
            case SettingsAdopted(settings=settings):
                self._settings = settings
            case Decided():
                standing = self._standing.setdefault(body.elf, Standing())
                standing.note(event, body, now)
                if self._epoch and body.epoch == self._epoch and body.mode == "act":
                    self._act(event.id, body)
            case EffectVerified() | EffectFailed():
                for standing in self._standing.values():
                    standing.settle(body)
                if self._stopping and not body.decision:
                    self._ended.add(body.target)
                    self._stop_next()
            case WorkerExited(unit=unit, generation=generation) if self._epoch:
                self._say_living()
                self._give_back(unit, generation)
            case WorkerStarted() if self._epoch:
                self._say_living()
            case IntentSet(intent=intent, target=target) if self._epoch:
                self._told(target, intent)
            case _:
                pass
        self._maybe_take_over()

    def _act(self, decision: str, decided: Decided) -> None:
        match decided.action:
            case StartUnit(generation=generation):
                self._worker(decided.target).tell(Start(decision, generation))
            case StopUnit(generation=generation):
                self._worker(decided.target).tell(End(decision, generation, again=False))
            case RestartUnit(generation=generation, drain=drain):
                wait = self._drain_time(decided.target) if drain else 0.0
                self._worker(decided.target).tell(End(decision, generation, again=True, drain_s=wait))
            case ContinueUnit(generation=generation):
                self._worker(decided.target).tell(Continue(decision, generation))
            case RaiseAlert(severity=severity):
                _log.warning("alert (%s): %s", severity, decided.text)
            case _:
                return

    def _drain_time(self, unit: str) -> float:
        """A task edge comes within the queue's own time-out; plain programs have none."""
        plan = self._plan(unit)
        if plan is None or not plan.queue:
            return 0.0
        timeout = next((queue.timeout_s for queue in self._settings.queues if queue.name == plan.queue), 0.0)
        return min(DRAIN_CAP_S, timeout)

    def _worker(self, unit: str) -> pykka.ActorRef[WorkerActor]:
        worker = self._workers.get(unit)
        if worker is None or not worker.is_alive():
            ref = self.actor_ref
            worker = WorkerActor.start(
                lambda down: _report(ref, down),
                self._node,
                lambda: self._plan(unit),
                unit,
                self._journal,
                self._clock,
                self._keeper,
                self._processes,
                self._ask_to_drain,
            )
            self._workers[unit] = worker
            known = self._units.units.get(unit)
            if known and known.alive:
                worker.tell(
                    Adopt(
                        known.generation,
                        known.nonce,
                        Identity(self._processes.boot(), known.pid, known.start),
                    )
                )
        return worker

    def _ask_to_drain(self, pool: str, unit: str) -> None:
        self._publish(f"run.{pool}.{unit}", b'{"do":"drain"}')

    def _told(self, target: str, intent: str) -> None:
        """Pass quiet, pause and their end on to living runners; a plain program is paused by a signal."""
        for name in targets(self._settings, target, self._units.units):
            unit = self._units.get(name)
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
        known = self._units.units.get(ended.unit)
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
        if ended.unit in self._workers:
            self._workers[ended.unit].tell(Ended(ended))

    def _is_reported(self, unit: Unit, ended: Exit) -> bool:
        if (ended.unit, ended.generation) in self._reported:
            return True
        if ended.generation < unit.generation:
            return True
        return ended.generation == unit.generation and (unit.exited or ended.nonce != unit.nonce)

    def _give_back(self, unit: str, generation: int) -> None:
        """Say no to every delivery a dead process held, so that the server delivers again at once."""
        for claim in self._custody.held_by(unit, generation):
            if claim.delivery:
                self._publish(claim.delivery, b"-NAK")

    def _say_living(self) -> None:
        """Tell the sampler whom to look at."""
        boot = self._processes.boot()
        self._tell_living(
            {
                unit.name: Alive(unit.generation, Identity(boot, unit.pid, unit.start))
                for unit in self._units.units.values()
                if unit.alive
            }
        )

    # --- taking over -----------------------------------------------------------------------------------------

    def _maybe_take_over(self) -> None:
        order = self._take_over
        if order is None or self.position < order.epoch:
            return
        self._take_over = None
        self._epoch = order.epoch
        found = compare(self._units, self._processes, self._keeper().units(), lambda: self._keeper().exits(0))
        for finding in found:
            self._found(finding)
        self._reconcile()
        self._say_living()
        early, self._early = self._early, []
        for ended in early:
            self._exited(ended)
        order.done()

    def _found(self, finding: Finding) -> None:
        """Act on one difference between what the log believes and what lives."""
        match finding:
            case Adopted(unit=unit, identity=identity):
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

    def _reconcile(self) -> None:
        """Settle acts whose node died under them by what is real now; the elves look again at what is not."""
        for standing in self._standing.values():
            for effect in list(standing.effects.values()):
                self._settle(effect)

    def _settle(self, effect: Effect) -> None:
        """A stop is carried on to its post-check, another act is judged by what its unit is doing."""
        unit = self._units.get(effect.target)
        identity = Identity(self._processes.boot(), unit.pid, unit.start)
        state = self._processes.state(identity) if unit.alive else "X"
        error = ""
        if effect.do == "stop_unit" and effect.generation == unit.generation:
            self._worker(unit.name).tell(End(effect.decision, unit.generation, again=False))
            return
        if effect.do == "continue_unit" and state in "TtZX":
            now = "stopped" if state in "Tt" else "gone"
            error = f"the node ended before the effect was seen; the unit is {now}"
        elif not unit.alive or unit.ended_by_us:
            error = "the node ended before the effect was seen"
        body: EffectVerified | EffectFailed = (
            EffectFailed(decision=effect.decision, target=effect.target, error=error)
            if error
            else EffectVerified(
                decision=effect.decision,
                target=effect.target,
                detail=f"found running in generation {unit.generation}",
            )
        )
        self._journal.write(body, cause=effect.decision)

    # --- stopping --------------------------------------------------------------------------------------------

    def _stop_next(self) -> None:
        """End those that nobody living depends on; the rest follows as these are gone."""
        order = self._stopping
        if order is None:
            return
        living = {
            unit.name: unit
            for unit in self._units.units.values()
            if (unit.alive or unit.name in self._asked) and unit.name not in self._ended
        }
        if not living:
            self._stopping = None
            order.done()
            return
        needed = {
            pool
            for worker in self._settings.workers
            if any(unit.pool == worker.name for unit in living.values())
            for pool in worker.after
        }
        for unit in living.values():
            if unit.pool not in needed and unit.name not in self._asked:
                self._asked.add(unit.name)
                self._worker(unit.name).tell(End("", unit.generation, again=False))


def _report(executor: Any, down: Down) -> None:
    tell(executor, down)

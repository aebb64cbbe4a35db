"""The life of every unit: its generations, its exits, what people want of it, what it has done."""

from collections.abc import Sequence

from msgspec import Struct, field

from events.decisions import (
    Decided,
    ProposeRestart,
    QuarantineUnit,
    RestartUnit,
    ScalePool,
    StartUnit,
    StopUnit,
)
from events.envelope import Recorded
from events.observations import (
    DeciderResumed,
    Intent,
    IntentSet,
    LeaseTaken,
    NodeStopping,
    Sampled,
    ScaleSet,
    UnitSample,
    WorkerExited,
    WorkerReady,
    WorkerSpoke,
)
from events.outcomes import EffectFailed, WorkerStarted, WorkerStartOrdered
from events.settings import Settings, SettingsAdopted, WorkerSettings
from events.tasks import (
    ResultSalvaged,
    TaskCancelled,
    TaskDied,
    TaskFailed,
    TaskFinished,
    TaskMoved,
    TaskReleased,
    TaskStarted,
    TaskSubmitted,
)

SECOND = 1_000_000
# Most events are these.
_OF_NO_UNIT = frozenset({TaskSubmitted, TaskStarted, TaskReleased, TaskCancelled, TaskMoved})


class Unit(Struct):
    """One worker process through all its generations. Times are forest microseconds, 0 means never.

    `late`: this generation is ended because it did not say in time that it is ready, which is a death of its own.
    `words` and `progress` are what a plain program says of itself.
    """

    name: str
    pool: str = ""
    generation: int = 0
    alive: bool = False
    ready: bool = False
    exited: bool = False
    pid: int = 0
    start: int = 0
    nonce: str = ""
    launch: str = ""
    ordered_at: int = 0
    started_at: int = 0
    ended_at: int = 0
    code: int | None = None
    signal: int | None = None
    error: str = ""
    ended_by_us: bool = False
    done_in_generation: int = 0
    tasks_done: int = 0
    tasks_failed: int = 0
    restarts: int = 0
    intent: Intent = "run"
    owes_restart: bool = False
    failures: int = 0
    early_deaths: list[int] = field(default_factory=list)
    quarantined_until: int = 0
    quarantines: int = 0
    start_decision: str = ""
    refusals: int = 0
    refused_at: int = 0
    refusal: str = ""
    sample: UnitSample | None = None
    fds: int = 0
    late: bool = False
    words: str = ""
    progress: str = ""


class Units(Struct):
    """All units by name; `early_wishes` are intents for names that no settings know yet.

    `scaled` names the wanted units of the pools that were scaled, `pinned` those whose size a person set.
    """

    units: dict[str, Unit] = {}
    early_wishes: dict[str, Intent] = {}
    scaled: dict[str, tuple[str, ...]] = {}
    pinned: dict[str, int] = {}

    def wanted(self, worker: WorkerSettings) -> tuple[str, ...]:
        """Return the units of a pool that shall run, people's wishes for single ones left aside."""
        return self.scaled.get(worker.name, worker.units)

    def get(self, name: str) -> Unit:
        """Return a unit, a blank one where nothing was ever heard of it."""
        unit = self.units.get(name)
        if unit is None:
            unit = self.units[name] = Unit(name)
        return unit

    def apply(self, event: Recorded, now: int, settings: Settings) -> None:
        """Fold one event."""
        if type(event.body) in _OF_NO_UNIT:
            return
        match event.body:
            case Sampled(units=samples, held=held):
                for sample in samples:
                    unit = self.units.get(sample.unit)
                    if unit and unit.generation == sample.generation:
                        unit.sample = sample
                for one in held:
                    unit = self.units.get(one.unit)
                    if unit and unit.generation == one.generation:
                        unit.fds = one.fds
            case TaskFinished(unit=name, generation=generation):
                self._task(name, generation, good=True)
            case (
                TaskFailed(unit=name, generation=generation)
                | ResultSalvaged(unit=name, generation=generation)
            ):
                self._task(name, generation, good=False)
            case TaskDied(unit=name):
                self._task(name, -1, good=False)
            case WorkerStartOrdered() as ordered:
                self._ordered(ordered, now, settings)
            case WorkerStarted() as started:
                self._started(started, now, settings)
            case WorkerReady(unit=name, generation=generation):
                unit = self.get(name)
                unit.ready = unit.ready or unit.generation == generation
            case WorkerSpoke(unit=name, generation=generation, words=words, progress=progress):
                unit = self.get(name)
                if unit.generation == generation:
                    unit.words, unit.progress = words, progress
            case NodeStopping():
                for unit in self.units.values():
                    unit.ended_by_us = unit.ended_by_us or unit.alive
            case WorkerExited() as exited:
                self._exited(exited, now, settings)
            case IntentSet() as intent:
                self._intent(intent, settings)
            case SettingsAdopted(settings=adopted):
                self._adopted(adopted)
            case ScaleSet() as scale:
                self._scale(scale, settings)
            case Decided(mode="act") as decided:
                self._decided(event.id, decided, settings)
            case EffectFailed(decision=decision, target=name, error=error):
                self._refused(name, decision, error, now)
            case LeaseTaken() | DeciderResumed(elf="executor"):
                # What fails from here on because its hands were gone says nothing about the unit.
                for unit in self.units.values():
                    unit.start_decision = ""
            case _:
                return

    def _decided(self, id: str, decided: Decided, settings: Settings) -> None:
        match decided.action:
            case ScalePool(pool=pool, units=names):
                self._want(pool, names, settings)
            case StartUnit():
                self.get(decided.target).start_decision = id
            case QuarantineUnit(until=until):
                unit = self.get(decided.target)
                unit.quarantined_until = until
                unit.quarantines += 1
            case ProposeRestart(generation=generation):
                # A person approved it, or lets the rule act.
                unit = self.get(decided.target)
                unit.owes_restart = unit.owes_restart or (unit.alive and unit.generation == generation)
            case StopUnit(generation=generation) if decided.rule == "not_ready":
                unit = self.get(decided.target)
                unit.late = unit.late or unit.generation == generation
            case StopUnit(generation=generation) | RestartUnit(generation=generation):
                unit = self.get(decided.target)
                unit.ended_by_us = unit.ended_by_us or unit.generation == generation
            case _:
                return

    def _task(self, name: str, generation: int, good: bool) -> None:
        unit = self.units.get(name)
        if unit is None:
            return
        if good:
            unit.tasks_done += 1
            unit.done_in_generation += generation == unit.generation
        else:
            unit.tasks_failed += 1

    def _refused(self, name: str, decision: str, error: str, now: int) -> None:
        """Count a start that nothing came of; one that reached a process is judged by its exit."""
        unit = self.units.get(name)
        if unit and decision and unit.start_decision == decision:
            unit.start_decision = ""
            unit.refusals += 1
            unit.refused_at, unit.refusal = now, error

    def _ordered(self, ordered: WorkerStartOrdered, now: int, settings: Settings) -> None:
        unit = self.get(ordered.unit)
        if ordered.generation <= unit.generation:
            # A dead node's word that reached the log behind its successor's: nothing was started by it.
            return
        unit.pool = ordered.pool
        unit.refusals = unit.refused_at = 0
        unit.start_decision = unit.refusal = ""
        unit.restarts += unit.generation > 0
        unit.generation = ordered.generation
        unit.nonce = ordered.nonce
        unit.ordered_at = now
        unit.alive = unit.ready = unit.exited = unit.ended_by_us = unit.owes_restart = False
        unit.done_in_generation = 0
        unit.sample = None
        unit.late = False
        unit.error = unit.words = unit.progress = ""
        unit.code = unit.signal = None
        unit.launch = launch_of(settings, ordered.pool)

    def _started(self, started: WorkerStarted, now: int, settings: Settings) -> None:
        unit = self.get(started.unit)
        if unit.generation != started.generation or unit.nonce != started.nonce or unit.exited:
            return
        worker = worker_of(settings, started.pool)
        unit.alive = True
        unit.ready = unit.ready or worker is None or not (worker.queue or worker.ready_s)
        unit.pid, unit.start, unit.nonce = started.pid, started.start, started.nonce
        if not started.adopted:
            unit.started_at = now

    def _exited(self, exited: WorkerExited, now: int, settings: Settings) -> None:
        unit = self.get(exited.unit)
        if unit.generation != exited.generation or unit.exited:
            return
        unit.exited = True
        lived = now - unit.started_at if unit.alive else 0
        worker = worker_of(settings, unit.pool)
        unborn = worker is not None and worker.ready_s > 0 and not unit.ready
        steady = (lived >= settings.limits.steady_s * SECOND and not unborn) or unit.done_in_generation > 0
        unit.alive = unit.ready = False
        unit.ended_at = max(now, unit.ordered_at)
        unit.code, unit.signal, unit.error = exited.code, exited.signal, exited.error
        if unit.late:
            unit.error = "it was not ready in time"
        unit.sample = None
        if unit.ended_by_us:
            return
        if steady:
            unit.failures = 0
            unit.early_deaths.clear()
            unit.quarantines = 0
            return
        unit.failures += 1
        unit.early_deaths.append(now)
        del unit.early_deaths[:-50]

    def _intent(self, intent: IntentSet, settings: Settings) -> None:
        """Apply what a person wants; a restart wants the unit to run, too."""
        if worker_of(settings, intent.target) is None and intent.target not in self.units:
            self.early_wishes[intent.target] = intent.intent
            return
        for name in targets(settings, intent.target, self.units):
            unit = self.get(name)
            unit.intent = intent.intent
            unit.owes_restart = unit.owes_restart or (intent.restart and unit.alive)
            if intent.restart or intent.intent == "run":
                self.rearm(unit)

    def _scale(self, scale: ScaleSet, settings: Settings) -> None:
        """Apply how large a person wants a pool; no policy scales it while that holds."""
        worker = worker_of(settings, scale.pool)
        if worker is None:
            return
        if scale.count < 0:
            self.pinned.pop(scale.pool, None)
            if not scalable(worker):
                # No policy would ever bring it back to the size that is configured.
                self.scaled.pop(scale.pool, None)
            return
        self.pinned[scale.pool] = scale.count
        self._want(scale.pool, worker.names[: scale.count], settings)

    def _want(self, pool: str, names: tuple[str, ...], settings: Settings) -> None:
        worker = worker_of(settings, pool)
        self.scaled[pool] = names
        for name in names if worker else ():
            self.get(name).pool = pool

    def _adopted(self, settings: Settings) -> None:
        for pool in list(self.scaled):
            worker = worker_of(settings, pool)
            if worker is None or not set(self.scaled[pool]) <= set(worker.names):
                # Its range changed: it begins at its smallest again.
                del self.scaled[pool]
                self.pinned.pop(pool, None)
        for worker in settings.workers:
            # What somebody said before any settings named it.
            of_pool = self.early_wishes.pop(worker.name, None)
            for name in worker.units:
                unit = self.get(name)
                unit.pool = worker.name
                unit.intent = self.early_wishes.pop(name, of_pool or unit.intent)
                if unit.launch and unit.launch != worker.launch:
                    self.rearm(unit)
                # Nobody waits any more for what it would have said.
                unit.ready = unit.ready or (unit.alive and not worker.queue and not worker.ready_s)

    def rearm(self, unit: Unit) -> None:
        """Forget old failures: a person or a new configuration gives the unit a fresh chance."""
        unit.failures = unit.refusals = 0
        unit.early_deaths.clear()
        unit.quarantined_until = 0
        unit.quarantines = 0


def launch_of(settings: Settings, pool: str) -> str:
    """Return the launch digest of a pool in force."""
    worker = worker_of(settings, pool)
    return worker.launch if worker else ""


def scalable(worker: WorkerSettings) -> bool:
    """Tell whether a pool has a range to be scaled in."""
    return bool(worker.queue) and len(worker.names) > len(worker.units)


def worker_of(settings: Settings, pool: str) -> WorkerSettings | None:
    """Return a pool's settings."""
    return next((worker for worker in settings.workers if worker.name == pool), None)


def unneeded(living: Sequence[Unit], settings: Settings) -> list[Unit]:
    """Return those that no other living unit was declared to come `after`."""
    pools = {unit.pool for unit in living}
    needed = {pool for worker in settings.workers if worker.name in pools for pool in worker.after}
    return [unit for unit in living if unit.pool not in needed]


def targets(settings: Settings, target: str, units: dict[str, Unit]) -> tuple[str, ...]:
    """Resolve a name to units: a pool means all of its units, configured or living."""
    worker = worker_of(settings, target)
    if worker is None:
        return (target,)
    extra = sorted(name for name, unit in units.items() if unit.pool == target and name not in worker.units)
    return (*worker.units, *extra)

"""Signs of sickness, counted tick by tick: a verdict needs the same sign in two evaluations in a row."""

from msgspec import Struct

from events.decisions import ContinueUnit, Decided
from events.envelope import Recorded
from events.observations import LeaseTaken, Sampled
from events.outcomes import WorkerStartOrdered
from events.settings import Settings
from projections.units import SECOND, Unit, Units, worker_of

# A plain program that gives none of so many beats in a row does not respond.
BEATS = 3


class Signs(Struct):
    """One unit's signs: how many ticks in a row each has held, and when it was last continued."""

    generation: int = 0
    stopped: int = 0
    silent: int = 0
    swollen: int = 0
    continued_at: int = 0
    late: int = 0


class Health(Struct):
    """Signs of all units by name."""

    signs: dict[str, Signs] = {}

    def get(self, name: str) -> Signs:
        """Return a unit's signs."""
        signs = self.signs.get(name)
        if signs is None:
            signs = self.signs[name] = Signs()
        return signs

    def apply(self, event: Recorded, now: int, units: Units, settings: Settings) -> None:
        """Fold one event. Call after the units have folded it."""
        match event.body:
            case Sampled():
                for unit in units.units.values():
                    self._tick(unit, now, settings)
            case LeaseTaken():
                # What was said while nobody led is still to be heard.
                for signs in self.signs.values():
                    signs.late = 0
            case WorkerStartOrdered(unit=name, generation=generation):
                # What was seen of the old process says nothing about the new one.
                signs = self.get(name)
                signs.generation = generation
                signs.stopped = signs.silent = signs.swollen = signs.late = 0
            case Decided(action=ContinueUnit(), target=name, mode="act"):
                signs = self.get(name)
                signs.continued_at = now
                signs.stopped = 0
            case _:
                return

    def _tick(self, unit: Unit, now: int, settings: Settings) -> None:
        signs = self.get(unit.name)
        sample = unit.sample
        if sample is None or not unit.alive:
            signs.stopped = signs.silent = signs.swollen = signs.late = 0
            return
        if sample.status == "?":
            # Unknown is a value: it neither proves sickness nor health, so counting stands still.
            return
        limits = settings.limits
        worker = worker_of(settings, unit.pool)
        beat_s = 0.0 if worker is None else worker.beat_s
        lost_s = BEATS * beat_s or limits.beat_lost_s
        silent = sample.beat_age_ms >= lost_s * 1000 and sample.status != "T" and (unit.ready or not beat_s)
        late = worker is not None and 0 < worker.ready_s * SECOND <= now - unit.started_at and not unit.ready
        # A unit that a person paused is stopped on purpose.
        stopped = sample.status in ("T", "t") and unit.intent != "pause"
        signs.stopped = signs.stopped + 1 if stopped else 0
        signs.silent = signs.silent + 1 if silent else 0
        signs.late = signs.late + 1 if late and sample.status != "T" else 0
        percent = memory_percent(unit, settings)
        swollen = percent is not None and percent >= limits.memory_restart_percent
        signs.swollen = signs.swollen + 1 if swollen else 0


def memory_percent(unit: Unit, settings: Settings) -> float | None:
    """Return the tree's memory in percent of the limit declared for the worker; None without a limit or sample."""
    worker = worker_of(settings, unit.pool)
    if worker is None or not worker.memory_limit or unit.sample is None:
        return None
    return round(100.0 * unit.sample.memory / worker.memory_limit, 1)

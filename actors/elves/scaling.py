"""How many processes a pool should have: by the time its backlog takes, not by its length.

Desired = ceil((λ·S/ρ + max(0, backlog - idle slots)·S/D) / slots) with λ arrivals a second, S mean seconds a task,
ρ the wished utilisation and D the time in which the backlog shall be gone.
"""

from collections.abc import Sequence
from math import ceil
from typing import Literal

from msgspec import Struct

from events.observations import HostSample, UnitSample
from events.settings import Limits, WorkerSettings
from projections.units import SECOND, Unit

# A step up is at most twofold, or by so many.
STEP = 4
# On a machine that has nothing left to give, one more process that computes only slows the others; those that wait
# for something else may be more. Who uses this part of `cpu_percent` computes: half a core, as printed.
_COMPUTES = 5 / 9
TOLERANCE = 0.1
# A smaller surplus is kept: growing and shrinking by one all day serves nobody.
SURPLUS = 0.3
# When its work would take longer than this, a cap for the night gives way.
NIGHT_PATIENCE_S = 600.0
_PRINTED = Limits()


class Load(Struct, frozen=True, kw_only=True):
    """What a pool has before it: `rate` a second, `service_s` a task, tasks waiting, slots busy and idle."""

    rate: float
    service_s: float
    waiting: int
    busy: int
    idle: int


class Wish(Struct, frozen=True):
    """How many processes the load asks for, and when it did (forest time)."""

    at: int
    count: int


class Pool(Struct):
    """What is remembered of one pool: highest wishes of the last minutes in falling order, its last step up."""

    wishes: list[Wish] = []
    grown_at: int = 0

    def note(self, wish: Wish, window: int) -> None:
        """Keep a wish as long as it may be the highest of the window (microseconds)."""
        while self.wishes and self.wishes[-1].count <= wish.count:
            self.wishes.pop()
        self.wishes.append(wish)
        while self.wishes[0].at <= wish.at - window:
            self.wishes.pop(0)

    @property
    def highest(self) -> int:
        """The highest wish of the window."""
        return self.wishes[0].count if self.wishes else 0


def desired(load: Load, worker: WorkerSettings, limits: Limits) -> int:
    """Return the number of processes that the load asks for, bounds left aside."""
    steady = load.rate * load.service_s / limits.scale_utilisation
    left = max(0, load.waiting - load.idle)
    drain = left * load.service_s / limits.scale_drain_s
    if not load.service_s and left:
        # Nothing has ended yet: how long a task takes is not known, that some wait is.
        return ceil((load.busy + min(left, STEP * worker.slots)) / worker.slots)
    return ceil((steady + drain) / worker.slots - 1e-9)


def next_count(now: int, count: int, wish: int, pool: Pool, limits: Limits, low: int, high: int) -> int:
    """Return the number of processes from here on: up at once but in steps, down to the window's highest wish."""
    bounded = max(low, min(high, wish))
    if bounded > count * (1 + TOLERANCE) or (count == 0 and bounded > 0):
        if pool.grown_at and now - pool.grown_at < limits.scale_step_s * SECOND:
            return count
        return min(bounded, max(2 * count, count + STEP))
    floor = max(low, min(high, pool.highest))
    if floor < count and (count > high or floor == low or floor < count * (1 - SURPLUS)):
        return floor
    return count


def room(host: HostSample | None, units: Sequence[Unit], count: int, limits: Limits = _PRINTED) -> int | None:
    """Return how many processes the machine can carry; None where nobody knows. Memory: the largest of them."""
    samples = [unit.sample for unit in units if unit.alive and unit.sample and unit.sample.memory]
    if host is None or not samples:
        return None
    if is_full(host, samples, limits) == "cpu":
        return count
    return count + _more(host, samples, limits)


def is_full(
    host: HostSample | None, samples: Sequence[UnitSample], limits: Limits
) -> Literal["", "cpu", "memory"]:
    """Tell what the machine has too little of for one more such process."""
    if host is None:
        return ""
    if host.cpu >= 10 * limits.host_cpu_percent and computes(samples, limits):
        return "cpu"
    return "" if _more(host, samples, limits) else "memory"


def computes(samples: Sequence[UnitSample], limits: Limits) -> bool:
    """Tell whether these processes are at work in the sense of CPU."""
    return sum(sample.cpu for sample in samples) >= 10 * limits.cpu_percent * _COMPUTES * len(samples)


def _more(host: HostSample, samples: Sequence[UnitSample], limits: Limits) -> int:
    """Return how many more processes there is memory for; at most a share of what is free now is taken."""
    return int(host.memory * limits.host_memory_percent / 100 // max(sample.memory for sample in samples))


def at_night(minute: int, start: int, end: int) -> bool:
    """Tell whether a minute of the day lies in [start, end), which may go over midnight."""
    return start <= minute < end if start <= end else minute >= start or minute < end


def retire(names: Sequence[str], units: dict[str, Unit], held: dict[str, int], surplus: int) -> list[str]:
    """Return which units go: idle ones only, those that do not run first, then the oldest generation."""
    idle = [name for name in names if not held.get(name)]
    idle.sort(key=lambda name: (units[name].alive if name in units else False, started(units, name), name))
    return idle[:surplus]


def started(units: dict[str, Unit], name: str) -> int:
    """Return when the unit's present process began."""
    unit = units.get(name)
    return unit.started_at if unit else 0


def enlist(worker: WorkerSettings, wanted: Sequence[str], count: int) -> tuple[str, ...]:
    """Return the wanted units and enough others, in the order of their numbers."""
    fresh = [name for name in worker.names if name not in wanted]
    chosen = {*wanted, *fresh[: max(0, count - len(wanted))]}
    return tuple(name for name in worker.names if name in chosen)

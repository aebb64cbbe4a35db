"""Does a worker leak? Growth that neither warm-up, nor more work, nor one wild value explains.

Slow: over six hours of five-minute medians Mann-Kendall with p < 0.01, at least 0.3 points of the limit an hour and the
limit within 48 hours, in three windows half an hour apart. Fast, for what would be full before that: over 90 minutes of
minima z >= 3.5, at least 10 points an hour and 5 points in all, hardly slower in the last third, four times in a row;
from 24 points an hour on 45 minutes will do. Levels: `watch` grows; `suspect` grows though no more tasks are done, or
beyond what they explain; `confirmed` kept its memory when it was asked to collect garbage, or cannot be asked. All
times are those of five-minute slots and shrink with `limits.leak_slot_s`, an hour being twelve slots.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from actors.elves.rank_tests import trend
from events.decisions import Decided, Remind
from events.envelope import Recorded
from events.outcomes import EffectFailed
from events.reminders import RequestAnswered
from events.settings import Settings
from projections.growth import Growth, Memory, Point
from projections.units import Unit, Units, worker_of

Level = Literal["watch", "suspect", "confirmed"]

WARM_UP = 4
_HOUR = 12

_SLOW_WINDOW = 72
_SLOW_EVERY = 6
_SLOW_ROW = 3
_SLOW_Z = 2.326
_SLOW_POINTS = 0.3
_SLOW_HOURS = 48.0

_FAST_WINDOW = 18
_FAST_LEAST = 9
_FAST_ROW = 4
_FAST_Z = 3.5
# The slow windows take 7 hours and 20 minutes: a worker that starts at a quarter of its limit and grows faster is full.
_FAST_POINTS = 10.0
_HASTE_POINTS = 24.0
_FAST_GROWTH = 5.0
_FAST_LASTS = 0.6

# A fall by this share of what was used is a new beginning, as after a restart.
_FALL = 0.3
# So many slots without a value break the windows.
_GAP = 3
# An answer to a request for garbage collection that frees less than this share of the growth confirms.
_FREED = 0.2
_ANSWER_HOLDS_US = 12 * 3_600_000_000


class Leak(Struct, frozen=True, kw_only=True):
    """A unit that leaks: points of its limit an hour, and the forest time at which the limit would be reached."""

    unit: str
    generation: int
    level: Level
    path: Literal["slow", "fast"]
    points_per_h: float
    percent: float
    full_at: int
    z: float
    grown: float
    since: int

    @property
    def text(self) -> str:
        """Say it."""
        return f"grows by {self.points_per_h:.1f} % of its limit an hour, {self.percent:.0f} % are used"


class Watch(Struct):
    """One unit's windows in a row, what was found, and what came of asking it to collect garbage."""

    generation: int = 0
    start: int = 0
    slow: int = 0
    fast: int = 0
    looked: int = 0
    found: Leak | None = None
    asked: str = ""
    kept_at: int = 0
    freed_at: int = 0


class Leaks(Struct):
    """What the elf keeps about growing units."""

    growth: Growth = field(default_factory=lambda: Growth({}))
    watched: dict[str, Watch] = {}

    def apply(self, event: Recorded, now: int, units: Units, settings: Settings) -> None:
        """Fold one event. Call after the units have folded it."""
        self.growth.apply(event, now, units, max(1000, round(settings.limits.leak_slot_s * 1e6)))
        match event.body:
            case Decided(action=Remind(unit=name, request="gc"), mode="act") if name in self.watched:
                self.watched[name].asked = event.id
            case RequestAnswered(unit=name, do="gc") as answer if name in self.watched:
                self._answered(self.watched[name], answer, now)
            case EffectFailed(decision=decision) if decision:
                for watch in self.watched.values():
                    if watch.asked == decision:
                        watch.kept_at, watch.asked = now, ""
            case _:
                pass
        for name in self.growth.closed:
            worker = worker_of(settings, units.get(name).pool)
            if worker and worker.memory_limit:
                memory = self.growth.units[name]
                watch = self.watched.setdefault(name, Watch())
                watch.found = look(name, watch, memory, float(worker.memory_limit))
                if watch.found:
                    watch.found = _raised(watch.found, watch, memory, bool(worker.queue), now)

    def of(self, unit: Unit) -> Leak | None:
        """Return what this living generation leaks, None for nothing."""
        watch = self.watched.get(unit.name)
        found = watch.found if watch else None
        return found if found and found.generation == unit.generation else None

    def leaks(self) -> Iterable[Leak]:
        """Yield every unit that leaks now, of any level."""
        for name in sorted(self.watched):
            found = self.watched[name].found
            if found and found.generation == self.growth.units[name].generation:
                yield found

    def _answered(self, watch: Watch, answer: RequestAnswered, now: int) -> None:
        # Asked before any growth was found: what it freed is held against all that it used.
        grown = watch.found.grown if watch.found else float(answer.before)
        kept = not answer.ok or answer.before - answer.after < _FREED * grown
        watch.kept_at, watch.freed_at = (now, 0) if kept else (0, now)
        watch.asked = ""


def look(name: str, watch: Watch, memory: Memory, limit: float) -> Leak | None:
    """Look at a unit whose slot has just closed; `limit` in the unit of its memory."""
    points = memory.points
    last = points[-1]
    if watch.generation != memory.generation:
        watch.generation, watch.start = memory.generation, memory.began + WARM_UP
        watch.slow = watch.fast = watch.looked = watch.kept_at = watch.freed_at = 0
        watch.found = None
    elif len(points) > 1 and (
        last.slot > points[-2].slot + _GAP or last.middle < points[-2].middle * (1 - _FALL)
    ):
        watch.start = last.slot + WARM_UP
        watch.slow = watch.fast = watch.looked = 0
        watch.found = None
    usable = [point for point in points[-_SLOW_WINDOW:] if point.slot >= watch.start]
    slow = _slow(name, watch, memory, usable, limit)
    return _fast(name, watch, memory, usable[-_FAST_WINDOW:], limit) or slow


def _slow(name: str, watch: Watch, memory: Memory, points: list[Point], limit: float) -> Leak | None:
    held = watch.found if watch.found and watch.found.path == "slow" else None
    if len(points) < _SLOW_WINDOW:
        return None
    slot = points[-1].slot
    if watch.looked and slot - watch.looked < _SLOW_EVERY:
        return held
    watch.looked = slot
    values = [100.0 * point.middle / limit for point in points]
    found = trend(values)
    rate = found.slope * _HOUR
    level = sorted(values[-6:])[3]
    hours = (100.0 - level) / rate if rate > 0 else float("inf")
    grows = found.z >= _SLOW_Z and rate >= _SLOW_POINTS and hours < _SLOW_HOURS
    watch.slow = watch.slow + 1 if grows else 0
    if watch.slow < _SLOW_ROW:
        return None
    return _leak(
        name, memory, "slow", rate, level, found.z, points[0].slot, found.slope * len(points) * limit / 100
    )


def _fast(name: str, watch: Watch, memory: Memory, points: list[Point], limit: float) -> Leak | None:
    if len(points) < _FAST_LEAST:
        return None
    values = [100.0 * point.low / limit for point in points]
    found = trend(values, corrected=False)
    third = len(values) // 3
    parts = (values[: third + 1], values[third : 2 * third + 1], values[2 * third :])
    first, second, last = (trend(part, False).slope for part in parts)
    grows = (
        found.z >= _FAST_Z
        and found.slope * _HOUR >= (_FAST_POINTS if len(values) == _FAST_WINDOW else _HASTE_POINTS)
        and values[-1] - values[0] >= _FAST_GROWTH
        and last >= _FAST_LASTS * max(first, second)
    )
    watch.fast = watch.fast + 1 if grows else 0
    if watch.fast < _FAST_ROW:
        return None
    grown = (values[-1] - values[0]) * limit / 100
    return _leak(name, memory, "fast", found.slope * _HOUR, values[-1], found.z, points[0].slot, grown)


def _leak(
    name: str,
    memory: Memory,
    path: Literal["slow", "fast"],
    rate: float,
    percent: float,
    z: float,
    since: int,
    grown: float,
) -> Leak:
    slot = memory.points[-1].slot + 1
    hours = max(0.0, 100.0 - percent) / rate
    return Leak(
        unit=name,
        generation=memory.generation,
        level="watch",
        path=path,
        points_per_h=round(rate, 3),
        percent=round(percent, 1),
        full_at=slot * memory.width + int(hours * _HOUR * memory.width),
        z=round(z, 2),
        grown=round(grown, 3),
        since=since * memory.width,
    )


def _raised(found: Leak, watch: Watch, memory: Memory, asked: bool, now: int) -> Leak:
    """Return it with the level that its work and its answer allow."""
    level: Level = "suspect" if _unexplained(found, memory) else "watch"
    if watch.freed_at and now - watch.freed_at < _ANSWER_HOLDS_US:
        level = "watch"
    elif level == "suspect" and (not asked or (watch.kept_at and now - watch.kept_at < _ANSWER_HOLDS_US)):
        level = "confirmed"
    return replace(found, level=level)


def _unexplained(found: Leak, memory: Memory) -> bool:
    """Tell whether memory grows though no more tasks are done than before, or beyond what these explain."""
    points = [point for point in memory.points if point.slot * memory.width >= found.since]
    work = [float(second.done - first.done) for first, second in pairwise(points)]
    if len(work) < _FAST_LEAST - 1 or trend(work).z < _SLOW_Z:
        return True
    used = [point.middle for point in points[1:]]
    # What one more task in five minutes costs: from the changes alone, which a steady growth hardly touches.
    changes = list(zip(_changes(used), _changes(work), strict=True))
    varied = sum(more * more for _, more in changes)
    price = sum(rise * more for rise, more in changes) / varied if varied else 0.0
    rest = [value - max(0.0, price) * done for value, done in zip(used, work, strict=True)]
    return trend(rest).z >= _SLOW_Z


def _changes(values: list[float]) -> list[float]:
    return [second - first for first, second in pairwise(values)]

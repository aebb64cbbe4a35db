"""Each unit's memory of its last hours, thinned to a point every five minutes, with the work it did meanwhile.

Another figure of its samples can be kept in the same way.
"""

from statistics import median
from typing import Literal, assert_never

from msgspec import Struct, field

from events.envelope import Recorded
from events.observations import Sampled, UnitSample
from events.outcomes import WorkerStartOrdered
from projections.units import Unit, Units

SLOT_US = 300_000_000
# Six hours and what two further windows need.
KEPT = 90
# Of a slot at most so many values are kept.
_VALUES = 20


class Point(Struct, frozen=True, array_like=True):
    """One slot of one unit: least and median memory in bytes, tasks ended so far in its generation."""

    slot: int
    low: float
    middle: float
    done: int


class Memory(Struct):
    """One generation's memory; slots of `width` microseconds count from 1970, `began` is the one it was started in."""

    generation: int = 0
    width: int = SLOT_US
    began: int = 0
    slot: int = 0
    seen_at: int = 0
    done: int = 0
    values: list[float] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)

    def restart(self, generation: int, now: int) -> None:
        """Begin another generation: what the old one used says nothing about it."""
        self.generation, self.began = generation, now // self.width
        self.slot = self.done = 0
        self.values.clear()
        self.points.clear()

    def observe(self, now: int, value: float, done: int) -> bool:
        """Take a value at forest time `now`; tell whether it closed a slot."""
        slot = now // self.width
        closed = bool(self.slot) and slot > self.slot and bool(self.values)
        if closed:
            self.points.append(Point(self.slot, min(self.values), float(median(self.values)), self.done))
            del self.points[:-KEPT]
        if slot != self.slot:
            self.slot, self.seen_at = slot, 0
            self.values.clear()
        self.done = done
        if now - self.seen_at >= self.width // _VALUES:
            self.values.append(value)
            self.seen_at = now
        return closed


class Growth(Struct):
    """All units by name; `closed` are those for whom the last event closed a slot, `of` the figure that is kept."""

    units: dict[str, Memory] = {}
    closed: list[str] = field(default_factory=list)
    of: Literal["memory", "fds", "threads"] = "memory"

    def apply(self, event: Recorded, now: int, units: Units, width: int = SLOT_US) -> None:
        """Fold one event; a slot is `width` microseconds long. Call after the units have folded it."""
        self.closed.clear()
        match event.body:
            case WorkerStartOrdered(unit=name, generation=generation):
                memory = self._get(name)
                memory.width = width
                memory.restart(generation, now)
            case Sampled():
                for unit in units.units.values():
                    if not unit.alive or unit.sample is None or unit.sample.status == "?":
                        continue
                    memory = self._get(unit.name)
                    if memory.generation != unit.generation or memory.width != width:
                        memory.width = width
                        memory.restart(unit.generation, now)
                    if memory.observe(
                        now, float(_figure(unit, unit.sample, self.of)), unit.done_in_generation
                    ):
                        self.closed.append(unit.name)
            case _:
                return

    def _get(self, name: str) -> Memory:
        memory = self.units.get(name)
        if memory is None:
            memory = self.units[name] = Memory()
        return memory


def _figure(unit: Unit, sample: UnitSample, of: Literal["memory", "fds", "threads"]) -> int:
    match of:
        case "memory":
            return sample.memory
        case "fds":
            return unit.fds
        case "threads":
            return sample.threads
    assert_never(of)

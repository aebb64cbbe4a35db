"""Leaks of file descriptors and threads: what a worker holds when it holds the least only ever grows.

Over 60 to 90 minutes of least values (twelve to eighteen of `limits.leak_slot_s`, after the first four as warm-up):
Mann-Kendall with z >= 3.5, doubled and 20 more at least, three times in a row. What was found stands until half of it
is given back. People are told, and a restart at a task edge is advised; `elf approve` follows it.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from actors.elves import Draft, View
from actors.elves.alarm import Alarm, sound
from actors.elves.rank_tests import trend
from events.decisions import RestartUnit
from events.envelope import Recorded
from events.settings import Settings
from projections.growth import Growth, Memory
from projections.units import Unit, Units

WARM_UP, LEAST, WINDOW, ROW = 4, 12, 18, 3
_Z = 3.5
_MORE = 20
PLANNED_COST = 10
_WORDS = {"fds": "file descriptors", "threads": "threads"}


class Rise(Struct, frozen=True):
    """What one generation holds of something: at first and now, and how surely it grows."""

    generation: int
    before: int
    now: int
    z: float


class Rises(Struct):
    """One kind of handle: its growth in slots, windows in a row that grew, what was found."""

    growth: Growth
    row: dict[str, int] = {}
    found: dict[str, Rise] = {}


class Handles(Struct):
    """What units hold beside memory."""

    fds: Rises = field(default_factory=lambda: Rises(Growth({}, of="fds")))
    threads: Rises = field(default_factory=lambda: Rises(Growth({}, of="threads")))

    def apply(self, event: Recorded, now: int, units: Units, settings: Settings) -> None:
        """Fold one event. Call after the units have folded it."""
        width = max(1000, round(settings.limits.leak_slot_s * 1e6))
        for rises in (self.fds, self.threads):
            rises.growth.apply(event, now, units, width)
            for name in rises.growth.closed:
                _look(rises, name)

    def kinds(self) -> tuple[tuple[str, Rises], ...]:
        """Return both by name."""
        return ("fds", self.fds), ("threads", self.threads)


def _look(rises: Rises, name: str) -> None:
    """Look at a unit whose slot has just closed."""
    memory = rises.growth.units[name]
    known, least = rises.found.pop(name, None), memory.points[-1].low
    if known and known.generation == memory.generation and 2 * least > known.before + known.now:
        # What was found stands until half of it is given back, however slowly it still grows.
        rises.found[name] = replace(known, now=max(known.now, int(least)))
        return
    rise = grown(memory)
    rises.row[name] = rises.row.get(name, 0) + 1 if rise else 0
    if rise and rises.row[name] >= ROW:
        rises.found[name] = rise


def grown(memory: Memory) -> Rise | None:
    """Return what the last slots say, None for nothing."""
    points = [point for point in memory.points[-WINDOW:] if point.slot >= memory.began + WARM_UP]
    values = [point.low for point in points]
    if len(values) < LEAST or values[-1] - values[0] < max(_MORE, values[0]):
        return None
    z = trend(values, corrected=False).z
    return Rise(memory.generation, int(values[0]), int(values[-1]), round(z, 2)) if z >= _Z else None


def handle_leaks(handles: Handles, units: Units, view: View) -> Iterator[Draft]:
    """Tell people of what grows, until it ends, and advise a restart."""
    for kind, rises in handles.kinds():
        for name in sorted(units.units):
            unit = units.units[name]
            rise = rises.found.get(name) if unit.alive else None
            if rise and rise.generation != unit.generation:
                rise = None
            cause = f"{kind}_leak"
            if rise or view.alerts.find(cause, name):
                yield from sound(_alarm(kind, cause, name, rise), view)
            if rise and not view.standing.busy(name):
                yield _restart(kind, unit, rise)


def _alarm(kind: str, cause: str, name: str, rise: Rise | None) -> Alarm:
    return Alarm(
        rule="handle_leak",
        cause=cause,
        target=name,
        high=rise is not None,
        low=rise is None,
        reason=cause,
        text=_text(kind, name, rise),
        calm=f"{name} does not hold ever more {_WORDS[kind]} any longer",
        facts=_facts(rise),
    )


def _restart(kind: str, unit: Unit, rise: Rise) -> Draft:
    return Draft(
        rule="handle_restart",
        target=unit.name,
        action=RestartUnit(generation=unit.generation, drain=True),
        reason=f"{kind}_leak",
        text=f"{_text(kind, unit.name, rise)}; a restart at a task edge would free them",
        inputs={"generation": unit.generation, **_facts(rise)},
        cost=PLANNED_COST,
        advice=True,
    )


def _text(kind: str, name: str, rise: Rise | None) -> str:
    return f"{name} holds {rise.now} {_WORDS[kind]}, it held {rise.before}, and never fewer" if rise else name


def _facts(rise: Rise | None) -> dict[str, Any]:
    return {"before": rise.before, "now": rise.now, "z": rise.z} if rise else {}

"""A time zone as data: what a clock on the wall shows follows from the log, not from the machine that reads it."""

from bisect import bisect_right

from msgspec import Struct


class Zone(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`base` is the offset to UTC in seconds before the first of `changes`: (instant in UTC seconds, offset then)."""

    name: str = "UTC"
    base: int = 0
    changes: tuple[tuple[int, int], ...] = ()


def offset_at(zone: Zone, at: int) -> int:
    """Return the offset in seconds at an instant (seconds since 1970)."""
    index = bisect_right(zone.changes, (at, 1 << 40))
    return zone.changes[index - 1][1] if index else zone.base


def next_change(zone: Zone, at: int) -> tuple[int, int] | None:
    """Return the first change behind an instant, None where there is none."""
    index = bisect_right(zone.changes, (at, 1 << 40))
    return zone.changes[index] if index < len(zone.changes) else None


def instant_of(zone: Zone, wall: int) -> int:
    """Return when clocks first show `wall` (seconds since 1970 read as local time).

    What a change forward skips is shown by nobody: the instant of the change stands for it.
    """
    first = max(0, bisect_right(zone.changes, (wall - 86_400, 1 << 40)) - 1)
    before = zone.changes[first - 1][1] if first else zone.base
    for at, offset in zone.changes[first:]:
        if wall - before < at:
            break
        if wall - offset < at:
            return at
        before = offset
    return wall - before

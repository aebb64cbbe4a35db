"""When something by the clock is due: the next instant of a schedule in a time zone, from data alone."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal

from cronsim import CronSim
from msgspec import Struct

from events.zones import Zone, instant_of, next_change, offset_at

SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Kind = Literal["clock", "interval", "memory"]


class Schedule(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`cron` are the five fields of a clock schedule, `every_s` an interval, `percent` a share of a memory limit."""

    kind: Kind
    cron: str = ""
    every_s: int = 0
    percent: float = 0.0


def next_after(schedule: Schedule, zone: Zone, now: int) -> int:
    """Return the first instant behind `now` (microseconds); 0 for what no clock decides.

    Intervals are multiples since 1970 in UTC. A time of the day that a change of the clocks skips is at that change;
    one that comes twice is at its first coming. A field of minutes or hours that begins with `*` goes on through both.
    """
    if schedule.kind == "interval":
        step = schedule.every_s * SECOND
        return (now // step + 1) * step
    if schedule.kind == "memory":
        return 0
    minutes, hours = schedule.cron.split()[:2]
    rolling = minutes.startswith("*") or hours.startswith("*")
    found = (_rolling if rolling else _fixed)(schedule.cron, zone, now // SECOND)
    return found * SECOND


def upcoming(schedule: Schedule, zone: Zone, now: int, count: int) -> list[int]:
    """Return the next so many instants (microseconds)."""
    times: list[int] = []
    while len(times) < count and (at := next_after(schedule, zone, times[-1] if times else now)):
        times.append(at)
    return times


def latest_until(schedule: Schedule, zone: Zone, first: int, now: int) -> int:
    """Return the last instant up to `now`, `first` (microseconds, up to `now`) being one."""
    if schedule.kind == "interval":
        step = schedule.every_s * SECOND
        return max(first, now // step * step)
    while (at := next_after(schedule, zone, first)) and at <= now:
        first = at
    return first


def _fixed(cron: str, zone: Zone, now: int) -> int:
    for wall in _walls(cron, now + offset_at(zone, now)):
        at = instant_of(zone, wall)
        if at > now:
            return at
    return 0


def _rolling(cron: str, zone: Zone, now: int) -> int:
    while True:
        offset, change = offset_at(zone, now + 1), next_change(zone, now + 1)
        wall = next(_walls(cron, now + offset), None)
        if wall is None:
            return 0
        if change is None or wall - offset < change[0]:
            return wall - offset
        now = change[0] - 1


def _walls(cron: str, after: int) -> Iterator[int]:
    """Yield the times that match, seconds since 1970 read as local time."""
    for moment in CronSim(cron, _EPOCH + timedelta(seconds=after)):
        yield int((moment - _EPOCH).total_seconds())

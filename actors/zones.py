"""Time zones of this machine, read once and carried on as data."""

from datetime import datetime
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from events.zones import Zone

# 2020 to 2050, in seconds since 1970; later than that a clock keeps its last offset.
_FIRST, _LAST = 1_577_836_800, 2_524_608_000
_DAY = 86_400


@cache
def zone_of(name: str) -> Zone:
    """Return a zone with its changes. Raises KeyError or ValueError where this machine has none of that name."""
    zone = ZoneInfo(name)
    days = range(_FIRST, _LAST + _DAY, _DAY)
    changes = tuple(
        (_change(zone, before, after), _offset(zone, after))
        for before, after in pairwise(days)
        if _offset(zone, before) != _offset(zone, after)
    )
    return Zone(name=name, base=_offset(zone, _FIRST), changes=changes)


def _offset(zone: ZoneInfo, at: int) -> int:
    offset = datetime.fromtimestamp(at, zone).utcoffset()
    return int(offset.total_seconds()) if offset else 0


def _change(zone: ZoneInfo, before: int, after: int) -> int:
    """Return the second of the one change between two instants."""
    known = _offset(zone, before)
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (middle, after) if _offset(zone, middle) == known else (before, middle)
    return after

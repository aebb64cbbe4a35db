"""Why a queue is slow: the possible causes in a fixed order, each with the facts for or against it."""

from collections import Counter
from statistics import median
from typing import Any

from msgspec import Struct

from events.settings import Settings
from projections.health import memory_percent
from projections.minutes import Minute
from projections.queues import Queue
from projections.streams import End, Stream, Streams, serving
from projections.units import Unit, Units

# Tasks of known kinds that take this much longer than they did are slow themselves, not more of the long ones.
_SLOWER = 1.3
_LONGER_MIX = 1.5
_CPU_FULL = 900
_MEMORY_FULL = 95.0
_HOST_LEAST = 0.05
_FAILING = 0.2
# A cause explains a slow-down if it is at least this part of it.
_EXPLAINS = 0.5
# An outlier needs so many to be compared with, and so many ends of theirs.
PEERS = 3
PEER_ENDS = 5
PEER_SLOW = 0.5


class Cause(Struct, frozen=True):
    """One possible cause: whether it is there, and the facts."""

    name: str
    there: bool
    facts: dict[str, Any]


class Scene(Struct, frozen=True):
    """All that a cause may rest on: `drop` is the lost part of the usual speed over the last `window` minutes."""

    queue: Queue
    stream: Stream
    streams: Streams
    living: list[Unit]
    settings: Settings
    drop: float
    window: int
    since: int


def scene(
    queue: Queue, streams: Streams, units: Units, settings: Settings, drop: float, window: int, since: int
) -> Scene:
    """Return what is to be looked at."""
    stream = streams.get(queue.name)
    living = serving(units, settings, queue.name)
    return Scene(queue, stream, streams, living, settings, drop, window, since)


def causes(seen: Scene) -> list[Cause]:
    """Return all causes in the order in which they are asked about; the first that is there is the one to name."""
    return [
        _fewer_workers(seen),
        _slow_peer(seen),
        _longer_mix(seen),
        _cpu(seen),
        _memory(seen),
        _errors(seen),
        _broker(seen),
        _slower_tasks(seen),
    ]


def _fewer_workers(seen: Scene) -> Cause:
    before = [minute.living for minute in seen.stream.minutes.past[: -seen.window] if minute.busy]
    usual = median(before) if before else float(len(seen.living))
    lost = 1 - len(seen.living) / usual if usual else 0.0
    facts = {"living": len(seen.living), "usual": usual}
    return Cause("fewer_workers", lost > 0 and lost >= _EXPLAINS * seen.drop, facts)


def _slow_peer(seen: Scene) -> Cause:
    name, ends, others = slowest(seen.living, _recent(seen), seen.since)
    slow = bool(name) and others >= PEER_ENDS and ends < PEER_SLOW * others
    return Cause("slow_peer", slow, {"unit": name, "ends": ends, "median_of_others": others})


def slowest(living: list[Unit], ends: list[End], since: int) -> tuple[str, int, float]:
    """Return who of at least three ended the fewest tasks, how many, and the median of the others' ends.

    Only those are compared that lived all the time.
    """
    steady = [unit for unit in living if unit.started_at <= since]
    if len(steady) < PEERS:
        return "", 0, 0.0
    ended = Counter(end.unit for end in ends)
    counts = {unit.name: ended[unit.name] for unit in steady}
    least = min(counts, key=lambda name: (counts[name], name))
    return least, counts[least], median(count for name, count in counts.items() if name != least)


def _longer_mix(seen: Scene) -> Cause:
    """Compare what the last claims should take with what the usual mixture takes, by each kind's own time."""
    times = _times(seen)
    claims = [kind for kind in seen.stream.claims[-50:] if kind in times]
    # In one order whatever a snapshot made of it: sums of fractions depend on it.
    mix = [(kind, share) for kind, share in sorted(seen.stream.mix.items()) if kind in times]
    usual = sum(share * times[kind] for kind, share in mix)
    share = sum(share for _, share in mix)
    if not claims or not usual:
        return Cause("longer_tasks", False, {"kinds": len(times)})
    expected = sum(times[kind] for kind in claims) / len(claims)
    ratio = expected / (usual / share)
    facts = {"expected_ms": round(expected), "usual_ms": round(usual / share), "kinds": len(times)}
    return Cause("longer_tasks", ratio >= _LONGER_MIX, facts)


def _cpu(seen: Scene) -> Cause:
    minutes = _window(seen)
    load = sum(minute.cpu for minute in minutes) / len(minutes) if minutes else 0.0
    facts = {"cpu_percent": round(load / 10, 1), "slower": round(_slower(seen), 2)}
    return Cause("cpu_pressure", load >= _CPU_FULL and _slower(seen) >= _SLOWER, facts)


def _memory(seen: Scene) -> Cause:
    host = seen.streams.host
    held = [unit.name for unit in seen.living if _holds_back(unit, seen.settings)]
    short = host is not None and host.total > 0 and host.memory < _HOST_LEAST * host.total
    enough = bool(held) and len(held) / len(seen.living) >= _EXPLAINS * seen.drop
    free = round(100 * host.memory / host.total, 1) if host and host.total else None
    return Cause("memory_pause", short or enough, {"held_back": held, "free_percent": free})


def _holds_back(unit: Unit, settings: Settings) -> bool:
    """Tell whether a unit takes no tasks: for its memory, or because somebody said so."""
    percent = memory_percent(unit, settings)
    return unit.intent in ("pause", "quiet") or (percent is not None and percent >= _MEMORY_FULL)


def _errors(seen: Scene) -> Cause:
    minutes, before = _window(seen), seen.stream.minutes.past[: -seen.window]
    now, then = _failing(minutes), _failing(before)
    failed = sum(minute.failed for minute in minutes)
    facts = {"failed": failed, "share": round(now, 3), "usual_share": round(then, 3)}
    return Cause("errors", failed >= PEER_ENDS and now >= _FAILING and now >= 2 * then, facts)


def _broker(seen: Scene) -> Cause:
    """Work waits and workers ask, but it does not come: what is under way does not even keep one in two busy."""
    idle = seen.queue.in_flight * 2 <= len(seen.living)
    facts = {"in_flight": seen.queue.in_flight, "pulls": seen.queue.pulls, "pending": seen.queue.pending}
    return Cause("broker", bool(seen.living) and seen.queue.pulls > 0 and idle, facts)


def _slower_tasks(seen: Scene) -> Cause:
    return Cause("slower_tasks", _slower(seen) >= _SLOWER, {"slower": round(_slower(seen), 2)})


def _recent(seen: Scene) -> list[End]:
    return [end for end in seen.stream.ends if end.at >= seen.since]


def _window(seen: Scene) -> list[Minute]:
    return seen.stream.minutes.last(seen.window)


def _times(seen: Scene) -> dict[str, float]:
    """Return each kind's time before the window, the present one of a kind that is new."""
    times = dict(seen.stream.times)
    for end in reversed(_recent(seen)):
        if end.good:
            times[end.kind] = end.usual_ms
    return times


def _slower(seen: Scene) -> float:
    """Return how much longer tasks take than others of their kind did before the window."""
    times = _times(seen)
    ends = [end for end in _recent(seen) if end.good and times.get(end.kind)]
    return sum(end.ms / times[end.kind] for end in ends) / len(ends) if ends else 1.0


def _failing(minutes: list[Minute]) -> float:
    failed = sum(minute.failed for minute in minutes)
    ends = failed + sum(minute.done for minute in minutes)
    return failed / ends if ends else 0.0

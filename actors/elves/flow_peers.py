"""Workers of one queue beside each other: one that does far more than its share, one that does far less."""

from collections import Counter
from collections.abc import Iterator
from math import comb

from actors.elves import Draft, View
from actors.elves.alarm import Alarm, sound
from actors.elves.flow_causes import PEER_ENDS, PEER_SLOW, PEERS, slowest
from projections.queues import Queue
from projections.streams import Streams, serving
from projections.units import SECOND, Units

_SKEW = 1.5
_CHANCE = 0.01
_ENDS = 50
_WINDOW = 600 * SECOND


def skew(queue: Queue, streams: Streams, units: Units, view: View) -> Iterator[Draft]:
    """Say when one worker ends more than one and a half times its fair share, beyond chance, of 50 tasks or more."""
    living = serving(units, view.settings, queue.name)
    if len(living) < 2 and view.alerts.find("skew", queue.name) is None:
        return
    # Before the youngest lived, the others did its share.
    since = max((unit.started_at for unit in living), default=0)
    ended = Counter(end.unit for end in streams.get(queue.name).ends if end.at > since)
    counts = {unit.name: ended[unit.name] for unit in living}
    total = sum(counts.values())
    most = max(counts, key=lambda name: (counts[name], name), default="")
    fair = 1 / len(living) if living else 1.0
    share = counts[most] / total if total else 0.0
    told = len(living) > 1 and total >= _ENDS
    high = told and share > _SKEW * fair and at_least(counts[most], total, fair) < _CHANCE
    alarm = Alarm(
        rule="skew",
        cause="skew",
        target=queue.name,
        high=high,
        low=len(living) < 2 or (told and share <= _SKEW * fair),
        reason="one_does_most",
        text=f"{most} did {share:.0%} of the last {total} tasks of {queue.name}, {fair:.0%} would be its share",
        calm=f"the workers of {queue.name} share its tasks evenly enough",
        facts={"unit": most, "ends": counts, "fair": round(fair, 3)},
        severity="info",
    )
    yield from sound(alarm, view)


def slow_peers(queue: Queue, streams: Streams, units: Units, view: View) -> Iterator[Draft]:
    """Say which of three or more workers ends less than half of what its peers do while work waits."""
    stream = streams.get(queue.name)
    living = serving(units, view.settings, queue.name)
    if len(living) < PEERS:
        return
    now = view.timeline.now
    since = max(stream.busy_since, now - _WINDOW)
    ends = [end for end in stream.ends if end.at >= since]
    name, count, others = slowest(living, ends, since) if stream.busy_since else ("", 0, 0.0)
    behind = bool(name) and count < PEER_SLOW * others
    chance = at_most(count, len(ends), 1 / len(living)) if behind else 1.0
    slow = behind and others >= PEER_ENDS and chance < _CHANCE
    for unit in living:
        alarm = Alarm(
            rule="slow_peer",
            cause="slow_peer",
            target=unit.name,
            high=slow and unit.name == name,
            low=bool(name) and not (behind and unit.name == name),
            reason="behind_its_peers",
            text=f"{unit.name} ended {count} tasks of {queue.name} while its peers ended {others:g} each",
            calm=f"{unit.name} keeps up with its peers",
            facts={
                "queue": queue.name,
                "ends": count,
                "median_of_others": others,
                "chance": round(chance, 6),
            },
        )
        yield from sound(alarm, view)


def at_least(count: int, of: int, share: float) -> float:
    """Return the chance of `count` or more hits among `of` at this share each (binomial)."""
    return at_most(of - count, of, 1 - share)


def at_most(count: int, of: int, share: float) -> float:
    """Return the chance of `count` hits or fewer among `of` at this share each (binomial)."""
    return sum(comb(of, hits) * share**hits * (1 - share) ** (of - hits) for hits in range(count + 1))

"""How fast a queue drains: a backlog that would last too long, and a speed below what is usual, with its cause."""

from collections.abc import Iterator
from math import ceil

from msgspec.structs import replace

from actors.elves import Draft, View
from actors.elves.alarm import Alarm, sound
from actors.elves.flow_causes import causes, scene
from events.decisions import Candidate
from projections.hours import zone_of
from projections.minutes import KEPT, MINUTE
from projections.queues import Queue
from projections.streams import Streams
from projections.units import Units

CLEAR_SHARE = 0.8
TICKS = 2
# Work must have waited for so long, and so many ends be usual in that time, before a lack of them says anything.
_LEAST_MINUTES = 3
_LEAST_ENDS = 20


def drain(queue: Queue, streams: Streams, view: View) -> Iterator[Draft]:
    """Say when a backlog would last too long: a hundred short tasks are no problem, five long ones are."""
    limit = view.settings.limits.queue_drain_s
    stream = streams.get(queue.name)
    if stream.draining < TICKS and view.alerts.find("drain", queue.name) is None:
        return
    rate = stream.minutes.present_rate()
    lasts = queue.backlog / rate if rate > 0 else 0.0
    alarm = Alarm(
        rule="drain",
        cause="drain",
        target=queue.name,
        high=stream.draining >= TICKS,
        low=not stream.busy_since or (rate > 0 and lasts < limit * CLEAR_SHARE),
        reason="drains_slowly",
        text=f"{queue.name} needs {lasts:.0f} s for its {queue.backlog} tasks, the limit is {limit:g} s",
        calm=f"{queue.name} needs {lasts:.0f} s for its {queue.backlog} tasks",
        facts={
            "backlog": queue.backlog,
            "lasts_s": round(lasts),
            "limit": limit,
            **stream.speeds(view.timeline.now),
        },
    )
    yield from sound(alarm, view)


def speed(queue: Queue, streams: Streams, units: Units, view: View) -> Iterator[Draft]:
    """Say when fewer than half as many tasks end as usual in this hour of the week while others wait, and why."""
    now, limits = view.timeline.now, view.settings.limits
    stream = streams.get(queue.name)
    zone = zone_of(view.settings)
    usual, whose = stream.minutes.usual_rate(now, _LEAST_MINUTES, zone)
    window = max(_LEAST_MINUTES, ceil(_LEAST_ENDS / (60 * usual))) if usual > 0 else KEPT + 1
    if whose == "hour" and usual > 0:
        # What is usual ended before the minutes that are judged.
        usual, whose = stream.minutes.usual_rate(now, window, zone)
    last = stream.minutes.last(window)
    judged = usual > 0 and len(last) == window and all(minute.busy for minute in last)
    present = sum(minute.done for minute in last) / (60 * window) if judged else 0.0
    slow = judged and present < limits.speed_drop * usual
    alert = view.alerts.find("slow_queue", queue.name)
    if not slow and alert is None:
        return
    drop = 1 - present / usual if slow else 0.0
    since = (now // MINUTE - window) * MINUTE
    found = causes(scene(queue, streams, units, view.settings, drop, window, since)) if slow else []
    cause = next((one.name for one in found if one.there), "unknown")
    percent = round(100 * (1 - drop))
    alarm = Alarm(
        rule="speed",
        cause="slow_queue",
        target=queue.name,
        high=slow,
        low=not stream.busy_since or (judged and present >= (limits.speed_drop + 0.1) * usual),
        reason=cause,
        text=f"{queue.name} does {percent} % of its usual speed ({whose}) for {window} min: {cause}",
        calm=f"{queue.name} is as fast as usual or has no work waiting",
        facts={
            "cause": cause,
            "done_per_min": round(60 * present, 2),
            "usual_per_min": round(60 * usual, 2),
            "usual_of": whose,
            "window_min": window,
            "flow": stream.speeds(now),
            "causes": {one.name: one.facts for one in found},
        },
    )
    looked_at = tuple(Candidate(name=one.name, why_not="" if one.there else "not_there") for one in found)
    for draft in sound(alarm, view):
        yield replace(draft, candidates=looked_at)

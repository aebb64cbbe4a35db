"""What the Time elf knows of the week: it announces batches, proposes when to maintain and what to restart when."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from actors.elves import Draft, View
from events.decisions import Prepare, ProposeMaintenance, ProposeRestart
from projections.drift import Drifts
from projections.hours import HOUR, WEEK, Hours, slot_of, zone_of
from projections.jobs import Jobs
from projections.reminders import Reminders, schedule_of
from projections.schedule import next_after

AHEAD = 600_000_000
# A batch: at least so many tasks of a kind, at least so many times its mean hour, in at least so many weeks.
BATCH, TIMES, SEEN = 20, 3.0, 3
EVERY = WEEK * HOUR
RESTART_COST = 10
# Before half of the week's hours are known the quietest of them is not.
KNOWN = WEEK // 2


class Batch(Struct, frozen=True):
    """What an hour of the week usually brings of one queue and kind."""

    key: str
    at: int
    expected: int
    confidence: float
    weeks: int


def batches(hours: Hours, at: int, view: View) -> list[Batch]:
    """Return the batches that the hour of `at` usually brings."""
    slot = str(slot_of(at, zone_of(view.settings)))
    found = []
    for key in sorted(hours.arrivals):
        bins = hours.arrivals[key]
        counts = bins.get(slot, [])
        everything = [count for values in bins.values() for count in values]
        if len(counts) < SEEN or not everything:
            continue
        mean = sum(counts) / len(counts)
        usual = sum(everything) / len(everything)
        if mean >= BATCH and mean >= TIMES * usual:
            came = sum(count >= mean / 2 for count in counts)
            confidence = round((came + 1) / (len(counts) + 2), 3)
            found.append(Batch(key, at, round(mean), confidence, len(counts)))
    return found


def announce(hours: Hours, prepared: dict[str, int], view: View) -> Iterable[Draft]:
    """Draft announcements ten minutes before the hour."""
    now = view.timeline.now
    hour = (now // HOUR + 1) * HOUR
    if hour - now > AHEAD:
        return
    for batch in batches(hours, hour, view):
        if batch.confidence < 0.5 or prepared.get(batch.key) == hour:
            continue
        queue, _, kind = batch.key.partition("/")
        yield Draft(
            rule="prepare",
            target=queue,
            action=Prepare(
                queue=queue, kind=kind, expected=batch.expected, at=hour, confidence=batch.confidence
            ),
            reason="weekly_batch",
            text=f"{queue}: about {batch.expected} tasks{f' of {kind}' if kind else ''} are expected"
            f" within ten minutes (as in {batch.weeks} weeks)",
            inputs={"expected": batch.expected, "weeks": batch.weeks, "confidence": batch.confidence},
        )


def maintenance(
    hours: Hours, reminders: Reminders, jobs: Jobs, worn: Sequence[str], view: View
) -> Iterable[Draft]:
    """Draft the two hours of the next week with the least work expected, once a week."""
    now = view.timeline.now
    zone = zone_of(view.settings)
    known = sum(len(values) >= 2 for values in hours.busy.values())
    if known < KNOWN or not any(any(values) for values in hours.busy.values()):
        return
    taken = _clocks(reminders, jobs, now)
    best: tuple[float, int] | None = None
    slots = 0
    for number in range(1, WEEK - 1):
        start = (now // HOUR + number) * HOUR
        loads = [hours.load_at(start + part * HOUR, zone) for part in range(2)]
        if any(load is None for load in loads) or any(start <= at < start + 2 * HOUR for at in taken):
            continue
        if batches(hours, start, view) or batches(hours, start + HOUR, view):
            continue
        slots += 1
        load = sum(load or 0.0 for load in loads)
        if best is None or load < best[0]:
            best = (load, start)
    if best is None:
        return
    load, start = best
    yield Draft(
        rule="maintenance",
        target=view.settings.node,
        action=ProposeMaintenance(start=start, end=start + 2 * HOUR, restarts=tuple(worn)),
        reason="least_load",
        text=f"the two hours with the least work expected: at most {load / 1000:.0f} s of it nine times in ten"
        f"{'; ' + ', '.join(worn) + ' could be restarted then' if worn else ''}",
        inputs={"busy_ms": round(load, 1), "slots": slots, "known_hours": known},
        advice=True,
    )


def restarts(drifts: Drifts, hours: Hours, view: View) -> Iterable[Draft]:
    """Draft a restart of what has drifted by more than a fifth where earlier restarts undid just that."""
    for name in sorted(drifts.units):
        wear = drifts.units[name]
        what, ratio = wear.drift()
        approved = view.standing.may("restart_advice", name, view.timeline.now)
        if not what or not wear.undone or (wear.said == wear.generation and not approved):
            continue
        at = quietest(hours, view)
        yield Draft(
            rule="restart_advice",
            target=name,
            action=ProposeRestart(generation=wear.generation, at=at),
            reason="drift",
            text=f"{name}: {what} is {ratio:.2f} times what it was after the start; {wear.undone} earlier"
            " restart(s) undid that",
            inputs={"what": what, "ratio": round(ratio, 3), "undone": wear.undone, "tasks": wear.tasks},
            cost=RESTART_COST,
            advice=True,
        )


def quietest(hours: Hours, view: View) -> int:
    """Return the start of the quietest known hour of the next day; now where none is known."""
    now = view.timeline.now
    zone = zone_of(view.settings)
    starts = [(now // HOUR + number) * HOUR for number in range(1, 25)]
    known = [(load, at) for at in starts if (load := hours.load_at(at, zone)) is not None]
    return min(known)[1] if known else now


def _clocks(reminders: Reminders, jobs: Jobs, now: int) -> list[int]:
    """Return when reminders and jobs come up within a week; what comes every few minutes binds nobody."""
    found: list[int] = []
    clocks = [(item.when, item.zone, item.due) for item in reminders.items.values()]
    clocks += [(job.every, job.zone, job.due) for job in jobs.items.values()]
    for when, zone, due in clocks:
        schedule = schedule_of(when)
        at = due
        for _ in range(8 if schedule.kind == "clock" else 0):
            if not at or at > now + EVERY:
                break
            found.append(at)
            at = next_after(schedule, zone, at)
    return found

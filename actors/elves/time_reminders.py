"""The Time elf reminds: by the clock, once and late after a pause, and by a condition, once for each rise."""

from collections.abc import Iterable

from actors.elves import Draft, View
from events.decisions import Remind
from projections.gauges import Gauges, asks_for_garbage, conditions, garbage_of
from projections.health import memory_percent
from projections.reminders import Reminders
from projections.units import Units, worker_of

# A request disturbs a worker a little, a line in a log does not.
GARBAGE_COST = 2


def by_the_clock(reminders: Reminders, view: View) -> Iterable[Draft]:
    """Draft what is due; of several times that went by only the last is told."""
    now = view.timeline.now
    for name in sorted(reminders.items):
        item = reminders.items[name]
        if not item.due or item.due > now or view.standing.busy(name):
            continue
        due, late = reminders.late_due(item, now)
        yield Draft(
            rule="remind",
            target=name,
            action=Remind(
                reminder=name,
                worker=item.worker,
                words=item.text,
                due=due,
                late_s=late,
                request="gc" if garbage_of(item, view.settings) else "",
            ),
            reason="late" if late else "due",
            text=f"{item.worker}: {item.text} ({item.when}{f', {late} s late' if late else ''})",
            inputs={"when": item.when, "zone": item.zone.name, "due": due, "since": item.since},
        )


def by_memory(gauges: Gauges, units: Units, reminders: Reminders, view: View, now: int) -> Iterable[Draft]:
    """Draft what a share of the memory limit asks for."""
    for condition in conditions(units, reminders, view.settings):
        percent = memory_percent(units.units[condition.unit], view.settings)
        if percent is None or view.standing.busy(condition.key):
            continue
        if not gauges.fires(condition, percent, now):
            continue
        garbage = asks_for_garbage(condition.text, worker_of(view.settings, condition.worker))
        yield Draft(
            rule="condition",
            target=condition.key,
            action=Remind(
                reminder=condition.name,
                worker=condition.worker,
                words=condition.text,
                due=0,
                unit=condition.unit,
                request="gc" if garbage else "",
            ),
            reason="memory_high",
            text=f"{condition.unit} uses {percent} % of its memory limit: {condition.text}",
            inputs={"memory_percent": percent, "percent": condition.percent},
            cost=GARBAGE_COST if garbage else 0,
        )

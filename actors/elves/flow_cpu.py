"""Abnormal CPU: a core at work though no task is at hand, or far more than this worker ever needs."""

from collections.abc import Iterator

from actors.elves import Draft, View
from actors.elves.alarm import Alarm, sound
from projections.loads import KNOWN, Loads
from projections.units import SECOND, Unit, Units, worker_of

# A worker that always computes is not abnormal: high is three times what is usual, too.
_TIMES = 3.0
# Calm again is who uses less than this part of what raised the alert.
_CALM = 0.55


def abnormal_cpu(loads: Loads, units: Units, view: View) -> Iterator[Draft]:
    """Say which units use most of a core for `cpu_s` and should not, and which do so no more."""
    for name in sorted(units.units):
        unit = units.units[name]
        if unit.alive or view.alerts.find("abnormal_cpu", name):
            yield from _look(unit, loads, view)


def _look(unit: Unit, loads: Loads, view: View) -> Iterator[Draft]:
    worker, load, now = worker_of(view.settings, unit.pool), loads.of(unit), view.timeline.now
    patience = int(view.settings.limits.cpu_s * SECOND)
    takes_tasks = worker is not None and bool(worker.queue)
    cpu = unit.sample.cpu if unit.alive and unit.sample else 0
    busy = unit.sample is not None and unit.sample.in_flight > 0
    idle = takes_tasks and load.idle_since > 0 and now - load.idle_since >= patience
    much = load.ticks >= KNOWN and cpu >= _TIMES * load.usual
    # A task may compute: of a worker at a task the rules about progress judge.
    unusual = not takes_tasks and much and load.high_since > 0 and now - load.high_since >= patience
    since = load.idle_since if idle else load.high_since
    why = "without a task at hand" if idle else f"usually it uses {load.usual / 10:.0f} %"
    yield from sound(
        Alarm(
            rule="cpu",
            cause="abnormal_cpu",
            target=unit.name,
            high=unit.alive and (idle or unusual),
            low=not unit.alive
            or cpu < _CALM * 10 * view.settings.limits.cpu_percent
            or (takes_tasks and busy),
            reason="cpu_without_task" if idle else "cpu_unusual",
            text=f"{unit.name} uses {cpu / 10:.0f} % of a core for {(now - since) // SECOND if since else 0} s: {why}",
            calm=f"{unit.name} uses {cpu / 10:.0f} % of a core",
            facts={
                "cpu_percent": cpu / 10,
                "usual_percent": round(load.usual / 10, 1),
                "ticks": load.ticks,
                "pid": unit.pid,
            },
        ),
        view,
    )

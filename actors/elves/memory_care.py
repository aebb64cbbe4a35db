"""Workers that use too much memory, and those that leak: from a task edge to no waiting at all.

At `memory_restart_percent` a restart at a task edge, at `memory_quiet_percent` no more tasks until then, at
`memory_stop_percent` no more waiting. A confirmed leak: look at the memory, tell people, restart at a quiet moment
before the limit would be reached.
"""

from collections.abc import Iterator
from typing import Any

from actors.elves import Draft, View
from actors.elves.alarm import Alarm, sound
from actors.elves.leak import Leak, Leaks
from actors.elves.playbooks import OWNERS, steps_of
from events.decisions import AnyAction, Notify, RestartUnit, TakeEvidence, TellUnit
from projections.ailments import Ailments
from projections.health import memory_percent
from projections.units import SECOND, Unit, Units, worker_of

TICKS = 2
PLANNED_COST = 10
# What would be lost at the limit is the work at hand: an end by force is not dearer than a planned one.
_FULL_COST = 1
_HURRY_US = 1_800 * SECOND
_SAID = "leak"


def swollen(unit: Unit, ticks: int, ailments: Ailments, view: View) -> Iterator[Draft]:
    """Say what is to be done for a unit above the line, seen so in so many looks."""
    limits = view.settings.limits
    percent = memory_percent(unit, view.settings) or 0.0
    limit = limits.memory_restart_percent
    facts: dict[str, Any] = {
        "generation": unit.generation,
        "pid": unit.pid,
        "memory_percent": percent,
        "limit_percent": limit,
        "ticks": ticks,
    }
    if ticks >= TICKS and percent >= limits.memory_stop_percent:
        facts["limit_percent"] = limits.memory_stop_percent
        now = RestartUnit(generation=unit.generation, evidence=True)
        text = f"uses {percent} % of its memory limit and is not waited for any longer"
        yield _draft("memory", unit, now, "memory_full", text, facts, _FULL_COST, urgent=True)
        return
    worker = worker_of(view.settings, unit.pool)
    pulls = worker is not None and worker.queue
    if pulls and percent >= limits.memory_quiet_percent and "quiet" not in ailments.get(unit.name).told:
        quiet = TellUnit(generation=unit.generation, verb="quiet")
        text = f"uses {percent} % of its memory limit and takes no more tasks"
        yield _draft("memory_quiet", unit, quiet, "memory_high", text, facts)
    if ticks >= TICKS:
        action = RestartUnit(generation=unit.generation, drain=True)
        text = f"uses {percent} % of its memory limit, {limit:g} % is the line"
        yield _draft("memory", unit, action, "memory_high", text, facts, PLANNED_COST)


def unquiet(unit: Unit, ailments: Ailments, view: View) -> Iterator[Draft]:
    """Let a unit take tasks again whose memory fell by itself."""
    told = ailments.get(unit.name).told
    percent = memory_percent(unit, view.settings)
    if told and told[-1] == "quiet" and percent is not None and unit.intent == "run":
        facts = {"generation": unit.generation, "memory_percent": percent}
        again = TellUnit(generation=unit.generation, verb="renew")
        yield _draft("memory_quiet", unit, again, "memory_fell", "may take tasks again", facts)


def hurried(unit: Unit, ailments: Ailments, view: View) -> Iterator[Draft]:
    """Do not wait for the task edge of a restart under way while memory runs out."""
    effect = view.standing.effects.get(unit.name)
    percent = memory_percent(unit, view.settings)
    line = view.settings.limits.memory_stop_percent
    waits = effect is not None and effect.do == "restart_unit" and unit.alive
    if waits and percent is not None and percent >= line and "hurry" not in ailments.get(unit.name).told:
        facts = {"generation": unit.generation, "memory_percent": percent, "limit_percent": line}
        hurry = TellUnit(generation=unit.generation, verb="hurry")
        text = f"uses {percent} % of its memory limit: its restart waits no longer"
        yield _draft("memory_hurry", unit, hurry, "memory_full", text, facts)


def leaking(leak: Leak, unit: Unit, ailments: Ailments, view: View) -> Iterator[Draft]:
    """Follow the playbook for a confirmed leak: look, restart in a quiet moment before the limit, tell people."""
    if leak.level != "confirmed":
        return
    examined, now = ailments.get(unit.name).examined, view.timeline.now
    facts = {"generation": unit.generation, **_facts(leak)}
    steps = steps_of(view.settings, "memory_leak_detected")
    looked = _SAID in examined
    # People are told together with the look; without one for themselves.
    told = looked if "log_memory_snapshot" in steps else "leak_notice" in examined
    ready = True
    for step in steps:
        match step:
            case "log_memory_snapshot":
                ready = ready and looked
                if not looked:
                    look = TakeEvidence(generation=unit.generation, kind=_SAID)
                    yield _draft("leak", unit, look, step, leak.text, facts)
            case "schedule_restart":
                busy = unit.sample is not None and unit.sample.in_flight > 0
                if ready and (not busy or leak.full_at - now <= _HURRY_US):
                    action = RestartUnit(generation=unit.generation, drain=True)
                    yield _draft("leak", unit, action, step, leak.text, facts, PLANNED_COST)
            case _:
                ready = ready and told
                if not told:
                    known = any(channel.name == OWNERS for channel in view.settings.channels)
                    notice = Notify(channel=OWNERS) if known else Notify(topic="memory_leak")
                    yield _draft("leak_notice", unit, notice, "notify_owner", leak.text, facts)


def leak_alarms(leaks: Leaks, units: Units, view: View) -> Iterator[Draft]:
    """Tell people of growth that nothing explains, until it ends."""
    for name in sorted(units.units):
        unit = units.units[name]
        leak = leaks.of(unit) if unit.alive else None
        if leak is None and view.alerts.find("leak", name) is None:
            continue
        high = leak is not None and leak.level != "watch"
        yield from sound(
            Alarm(
                rule="leak_alert",
                cause="leak",
                target=name,
                high=high,
                low=leak is None,
                reason=f"leak_{leak.level}" if leak else "leak",
                text=f"{name} {leak.text if leak else ''}",
                calm=f"{name} does not leak any more",
                facts=_facts(leak) if leak else {},
            ),
            view,
        )


def _facts(leak: Leak) -> dict[str, Any]:
    return {
        "level": leak.level,
        "path": leak.path,
        "points_per_h": leak.points_per_h,
        "memory_percent": leak.percent,
        "full_at": leak.full_at,
        "z": leak.z,
    }


def _draft(
    rule: str,
    unit: Unit,
    action: AnyAction,
    reason: str,
    text: str,
    facts: dict[str, Any],
    cost: int = 0,
    urgent: bool = False,
) -> Draft:
    return Draft(
        rule=rule,
        target=unit.name,
        action=action,
        reason=reason,
        text=f"{unit.name} {text}",
        inputs=dict(facts),
        cost=cost,
        urgent=urgent,
    )

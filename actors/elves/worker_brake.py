"""How many living workers may be restarted at once, whatever the reasons: caps beside mana, and the brake.

Unavailable by us is at most one unit of a pool or `unavailable_share` of it; one unhealthy process of a pool is ended
every `kill_gap_s`, eight of the forest in a minute. A planned restart never takes the last unit that works. While many
suspicions are new at once, nobody is restarted for one.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from actors.elves import Draft, View
from actors.elves.alarm import Alarm, sound
from events.decisions import Notify, RestartUnit
from projections.suspicion import FOREST, Suspicion
from projections.units import SECOND, Unit, Units

# Rules that rest on suspicion; what two equal looks have proven is not held back by others' suspicions.
_UNPROVEN = ("not_responding", "not_pulling")
# What people ordered is done as they ordered it.
_FREE = ("order",)
_KILLS = 8
_ENDING = ("restart_unit", "stop_unit")


def braked(drafts: Iterable[Draft], units: Units, suspicion: Suspicion, view: View) -> list[Draft]:
    """Return the drafts without the restarts that must wait; those that have waited longest go first."""
    drafts = list(drafts)
    candidates = [
        draft
        for draft in drafts
        if isinstance(draft.action, RestartUnit) and draft.rule not in _FREE and draft.target in units.units
    ]
    candidates.sort(
        key=lambda draft: (suspicion.since.get(draft.target, 0) or view.timeline.now, draft.target)
    )
    taken: dict[str, int] = {}
    waits: set[int] = set()
    for draft in candidates:
        unit = units.units[draft.target]
        if _must_wait(draft, unit, units, suspicion, taken, view):
            waits.add(id(draft))
        else:
            taken[unit.pool] = taken.get(unit.pool, 0) + 1
            if not _drains(draft):
                taken[""] = taken.get("", 0) + 1
    late = {(draft.rule, draft.target) for draft in candidates if id(draft) in waits}
    return [
        draft
        for draft in drafts
        # What people are told of a restart waits with it.
        if id(draft) not in waits
        and not (isinstance(draft.action, Notify) and (draft.rule, draft.target) in late)
    ]


def _must_wait(
    draft: Draft, unit: Unit, units: Units, suspicion: Suspicion, taken: dict[str, int], view: View
) -> bool:
    if draft.rule in _UNPROVEN and suspicion.holds(unit.pool):
        return True
    limits, now = view.settings.limits, view.timeline.now
    pool = [one for one in units.units.values() if one.pool == unit.pool and one.generation]
    here = taken.get(unit.pool, 0)
    away = here + sum(_is_away(one, view) for one in pool if one is not unit)
    if away >= max(1, int(limits.unavailable_share * len(pool))):
        return True
    if _drains(draft):
        others = [one for one in pool if one is not unit]
        works = [one for one in others if one.alive and one.ready and one.name not in suspicion.since]
        return bool(others) and len(works) <= here
    last = suspicion.last_kill(unit.pool)
    soon = bool(last) and now - last < limits.kill_gap_s * SECOND
    return bool(here) or soon or suspicion.recent_kills(now) + taken.get("", 0) >= _KILLS


def _drains(draft: Draft) -> bool:
    return isinstance(draft.action, RestartUnit) and draft.action.drain


def _is_away(unit: Unit, view: View) -> bool:
    """Tell whether we took it away, or it has not come back yet."""
    effect = view.standing.effects.get(unit.name)
    return (effect is not None and effect.do in _ENDING) or (
        unit.alive and not unit.ready and unit.restarts > 0
    )


def brake_alarms(suspicion: Suspicion, units: Units, view: View) -> Iterator[Draft]:
    """Tell people once that many fail together, and once that this is over."""
    groups = {FOREST, *(unit.pool for unit in units.units.values() if unit.pool)}
    for group in sorted(groups):
        high = group in suspicion.frozen and (group == FOREST or FOREST not in suspicion.frozen)
        low = group not in suspicion.frozen
        if not high and view.alerts.find("shared_cause", group) is None:
            continue
        sick = sorted(
            name
            for name in suspicion.since
            if group == FOREST or (name in units.units and units.units[name].pool == group)
        )
        facts: dict[str, Any] = {"suspects": len(sick), "first": sick[:10]}
        where = "of the forest" if group == FOREST else f"of {group}"
        yield from sound(
            Alarm(
                rule="shared_cause",
                cause="shared_cause",
                target=group,
                high=high,
                low=low,
                reason="shared_cause",
                text=f"{len(sick)} workers {where} fail together: none is restarted for it; look for one cause",
                calm=f"the workers {where} do not fail together any more",
                facts=facts,
                severity="critical",
            ),
            view,
        )

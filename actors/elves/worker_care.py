"""Workers that live and do not get on: stalled, dead-locked, looping, stopped inside, not pulling, leaving zombies.

Nothing is restarted without two looks that agree; a task that merely lasts is told of and left to its own limit.
"""

from collections.abc import Iterator
from typing import Any

from actors.elves import Draft, View
from actors.elves.alarm import Alarm, sound
from actors.elves.playbooks import NOTIFY, OWNERS, unusual
from actors.elves.worker_verdicts import Verdict, verdict
from events.decisions import AnyAction, ContinueUnit, Notify, RestartUnit, TakeEvidence, TellUnit
from projections.ailments import Ailment, Ailments
from projections.units import SECOND, Unit, Units, worker_of

TICKS = 2
PROVEN_COST = 1
PLANNED_COST = 10
_MANY_ZOMBIES = 10
_MORE_ZOMBIES = 3
_LONGEST_GAP_S = 600.0
_WORDS = {
    "deadlock": "waits for a lock in every thread and in the same place each time",
    "livelock": "computes in one function and does not get on",
    "stopped": "has a stopped process inside",
    "gil_held": "is in a call that holds the interpreter",
    "blocked_io": "waits for another side that does not answer",
    "stalled": "has been at one task for too long",
}
# What is only told of: the task's own limit ends it.
_TOLD: tuple[Verdict, ...] = ("stalled", "gil_held", "blocked_io")


def found_in(unit: Unit, ailments: Ailments, view: View) -> Verdict | None:
    """Return what a unit suffers from by the looks taken so far; None when its tasks get on."""
    ailment = ailments.get(unit.name)
    worker = worker_of(view.settings, unit.pool)
    if not unit.alive or ailment.ticks < TICKS or ailment.sign is None or worker is None:
        return None
    if ailment.generation != unit.generation:
        return None
    return verdict(ailment.looks, ailment.sign, view.settings.limits, ailments.knows(worker.queue))


def worker_care(unit: Unit, ailments: Ailments, view: View) -> Iterator[Draft]:
    """Say what is to be done for a living unit that is not busy with another act."""
    ailment = ailments.get(unit.name)
    if ailment.generation != unit.generation:
        return
    found = found_in(unit, ailments, view)
    if found:
        yield from _stalled(unit, ailments, found, view)
    elif _zombie_restart(ailment, view):
        sign = ailment.sign
        facts = {"zombies": sign.zombies if sign else 0, "first": ailment.zombies_first}
        action = RestartUnit(generation=unit.generation, drain=True)
        text = f"leaves ended children behind, {facts['zombies']} by now"
        yield _draft("zombies", unit, action, "zombies", text, facts, PLANNED_COST)
    elif ailment.dry_since:
        yield from _dry(unit, ailments, view)


def worker_alarms(units: Units, ailments: Ailments, view: View) -> Iterator[Draft]:
    """Raise and clear what people are told about single workers."""
    verdicts = {name: found_in(unit, ailments, view) for name, unit in units.units.items()}
    blocked = sum(found == "blocked_io" for found in verdicts.values())
    now, limits = view.timeline.now, view.settings.limits
    for name in sorted(units.units):
        unit, ailment, found = units.units[name], ailments.get(name), verdicts[name]
        looked = len(ailment.looks) >= 2
        facts = _facts(ailment)
        if blocked > 1:
            facts["blocked_alike"] = blocked
        for cause in _TOLD:
            more = f", as {blocked - 1} others do: a cause in common?" if blocked > 1 else ""
            high = found == cause and looked
            yield from _alarm(cause, name, high, found != cause, _WORDS[cause] + more, facts, view)
        alive = unit.alive and ailment.generation == unit.generation
        asleep = now - ailment.disk_since if alive and ailment.disk_since else 0
        text = "is held by the kernel in a disk or network read; a signal would not help"
        high = asleep >= limits.disk_sleep_s * SECOND
        yield from _alarm("disk_sleep", name, high, not asleep, text, {"seconds": asleep // SECOND}, view)
        since = now - ailment.zombies_since if alive and ailment.zombies_since else 0
        zombies = ailment.sign.zombies if alive and ailment.sign else 0
        high = since >= limits.zombie_s * SECOND
        text = "does not wait for its ended children"
        yield from _alarm("zombies", name, high, not since, text, {"zombies": zombies}, view)


def unresponsive(
    rule: str,
    unit: Unit,
    reason: str,
    text: str,
    facts: dict[str, Any],
    ailments: Ailments,
    view: View,
    evidence: bool = False,
) -> Iterator[Draft]:
    """Restart a worker that does not get on by the playbook `worker_not_responding`."""
    steps = unusual(view.settings, "worker_not_responding")
    if NOTIFY in steps and rule not in ailments.get(unit.name).examined:
        known = any(channel.name == OWNERS for channel in view.settings.channels)
        notice = Notify(channel=OWNERS) if known else Notify(topic="owner")
        yield _draft(rule, unit, notice, NOTIFY, text, facts)
    hands = tuple(step for step in steps if step != NOTIFY)
    action = RestartUnit(generation=unit.generation, evidence=evidence, steps=hands)
    yield _draft(rule, unit, action, reason, text, facts, PROVEN_COST)


def _stalled(unit: Unit, ailments: Ailments, found: Verdict, view: View) -> Iterator[Draft]:
    ailment = ailments.get(unit.name)
    facts: dict[str, Any] = {"generation": unit.generation, **_facts(ailment)}
    if found in ("deadlock", "livelock"):
        yield from unresponsive(found, unit, found, _WORDS[found], facts, ailments, view)
    elif found == "stopped":
        again = ContinueUnit(generation=unit.generation)
        yield _draft("stopped", unit, again, "stopped_inside", _WORDS[found], facts, PROVEN_COST)
    elif view.timeline.now >= ailment.asked_at + _gap_us(ailment, view) or not ailment.asked:
        sign = ailment.sign
        look = TakeEvidence(generation=unit.generation, kind="stalled", pid=sign.pid if sign else 0)
        yield _draft("stalled", unit, look, "no_progress", _WORDS["stalled"], facts)


def _gap_us(ailment: Ailment, view: View) -> int:
    """Return the time to the next look: two in close succession, then ever fewer."""
    gap = view.settings.limits.evidence_gap_s
    wait = gap if ailment.asked < 2 else min(max(gap, _LONGEST_GAP_S), gap * 2 ** min(ailment.asked, 8))
    return int(wait * SECOND)


def _dry(unit: Unit, ailments: Ailments, view: View) -> Iterator[Draft]:
    """First the consumer is asked for anew, then the worker is started anew."""
    ailment = ailments.get(unit.name)
    patience = int(view.settings.limits.queue_jam_s * SECOND)
    now = view.timeline.now
    if now - ailment.dry_since < patience:
        return
    facts: dict[str, Any] = {"generation": unit.generation, "dry_s": (now - ailment.dry_since) // SECOND}
    if ailment.renewed_at < ailment.dry_since:
        renew = TellUnit(generation=unit.generation, verb="renew")
        text = "is idle and does not ask its queue, where work waits"
        yield _draft("not_pulling", unit, renew, "not_pulling", text, facts)
    elif now - ailment.renewed_at >= patience:
        text = "does not ask its queue for work, though it was told to"
        yield from unresponsive(
            "not_pulling", unit, "not_pulling_still", text, facts, ailments, view, evidence=True
        )


def _zombie_restart(ailment: Ailment, view: View) -> bool:
    if not ailment.zombies_since or ailment.sign is None:
        return False
    lasted = view.timeline.now - ailment.zombies_since >= view.settings.limits.zombie_s * SECOND
    zombies = ailment.sign.zombies
    return lasted and (zombies >= _MANY_ZOMBIES or zombies >= ailment.zombies_first + _MORE_ZOMBIES)


def _facts(ailment: Ailment) -> dict[str, Any]:
    sign = ailment.sign
    facts: dict[str, Any] = {"stall_ms": sign.stall_ms if sign else 0, "asked": ailment.asked}
    if sign and sign.beat_ms >= 0:
        facts["beat_ms"] = sign.beat_ms
    if ailment.looks:
        last = ailment.looks[-1]
        facts |= {
            "pid": last.seen.pid,
            "cpu": last.seen.cpu,
            "wait": last.seen.wait,
            "frame": last.seen.frame,
            "source": last.source,
            "evidence": [look.file for look in ailment.looks],
        }
    return facts


def _alarm(
    cause: str, name: str, high: bool, low: bool, text: str, facts: dict[str, Any], view: View
) -> Iterator[Draft]:
    if high or view.alerts.find(cause, name):
        alarm = Alarm(
            rule=cause,
            cause=cause,
            target=name,
            high=high,
            low=low,
            reason=cause,
            text=f"{name} {text}",
            calm=f"{name} gets on again",
            facts=facts,
        )
        yield from sound(alarm, view)


def _draft(
    rule: str, unit: Unit, action: AnyAction, reason: str, text: str, facts: dict[str, Any], cost: int = 0
) -> Draft:
    return Draft(
        rule=rule,
        target=unit.name,
        action=action,
        reason=reason,
        text=f"{unit.name} {text}",
        inputs=dict(facts),
        cost=cost,
    )

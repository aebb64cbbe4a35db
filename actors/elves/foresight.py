"""The Wisdom elf's rule `overload`: an alert before an agent's load goes over the limit, and what became of it.

The load is the printed score. An alert is right if within 90 minutes the load goes over the limit for 15 minutes; it
was averted if it did not and work was taken from the agent meanwhile; an overload without one before it was missed.
"""

from collections.abc import Iterable
from typing import Any, Literal

from msgspec import Struct, field

from actors.elves import Draft, View
from actors.elves.forecast import SLOT_US, Outlook, Series
from actors.elves.forecast_trials import LEAD, RUN
from events.decisions import Abstain, AssignTask, ClearAlert, Decided, RaiseAlert, ScoreAlert
from events.envelope import Recorded
from events.observations import Sampled
from events.tasks import OF_TASKS
from events.zones import Zone, offset_at
from projections.dispatch import Dispatch
from projections.units import SECOND

CAUSE = "overload_forecast"
ALERT_COST = 1
# A load is looked at so often; the mean of five minutes is what counts.
LOOK_US = 30 * SECOND
# Whether a series may speak is said again after this time at the earliest.
SAID_AGAIN_US = 86_400 * SECOND

Verdict = Literal["right", "wrong", "averted", "missed"]


class Foreseen(Struct):
    """An alert that waits for its verdict: its decision, the slot it was raised in, whether work was taken away."""

    decision: str
    slot: int
    relieved: bool = False


class Finding(Struct):
    """A verdict to be written."""

    verdict: Verdict
    alert: str
    slot: int


class Watched(Struct):
    """One agent's load: its forecast, the slots in a row above the limit, the alert that is open, what must be said."""

    series: Series = field(default_factory=Series)
    looked_at: int = 0
    over: int = 0
    foreseen: Foreseen | None = None
    last_slot: int = 0
    findings: list[Finding] = field(default_factory=list)
    outlook: Outlook | None = None
    silent: bool = False
    said_at: int = 0


class ForesightState(Struct):
    """Who holds what, and each agent's load."""

    dispatch: Dispatch
    watched: dict[str, Watched] = {}


def blank() -> ForesightState:
    """Return the state before the first event."""
    return ForesightState(Dispatch())


def fold(state: ForesightState, event: Recorded, view: View) -> None:
    """Take one event."""
    timeline = view.timeline
    body = event.body
    if type(body) in OF_TASKS:
        state.dispatch.apply(event, timeline.now, timeline.epoch, view.settings)
        return
    match body:
        case Decided(action=AssignTask(agent=agent, previous=previous)) if previous and previous != agent:
            _relieve(state, previous)
        case Decided(elf="wisdom", epoch=epoch) if epoch == timeline.epoch:
            _own(state, event.id, body, timeline.now)
        case _:
            pass
    state.dispatch.apply(event, timeline.now, timeline.epoch, view.settings)
    if isinstance(body, Sampled):
        _look(state, view)


def _relieve(state: ForesightState, agent: str) -> None:
    watched = state.watched.get(agent)
    if watched and watched.foreseen:
        watched.foreseen.relieved = True
        # What would have come without help nobody knows: practice alerts under way are not held against the series.
        watched.series.trials.interrupt()


def _own(state: ForesightState, id: str, decided: Decided, now: int) -> None:
    """Take in what this elf itself said."""
    watched = state.watched.get(decided.target)
    if watched is None:
        return
    match decided.action:
        case RaiseAlert(cause=cause) if cause == CAUSE and watched.foreseen is None:
            watched.foreseen = Foreseen(id, watched.series.slot)
            watched.last_slot = watched.series.slot
        case ScoreAlert(alert=alert, verdict=verdict):
            watched.findings = [
                item for item in watched.findings if (item.alert, item.verdict) != (alert, verdict)
            ]
        case Abstain(about=about, ends=ends) if about == CAUSE:
            watched.silent, watched.said_at = not ends, now
        case _:
            return


def _look(state: ForesightState, view: View) -> None:
    now, limit = view.timeline.now, view.settings.limits.predicted_overload
    for name, agent in state.dispatch.agents.agents.items():
        watched = state.watched.get(name)
        if not agent.run:
            if watched and watched.foreseen and now // SLOT_US - watched.foreseen.slot >= LEAD + RUN:
                _expire(watched, watched.foreseen, now // SLOT_US)
            continue
        if watched is None:
            watched = state.watched[name] = Watched()
        if now - watched.looked_at < LOOK_US:
            continue
        watched.looked_at = now
        before = watched.series.slot
        if watched.series.observe(now, state.dispatch.load(name).score, limit, offset_s(view)):
            watched.outlook = watched.series.outlook(limit)
            _judge(watched, before, limit)


def offset_s(view: View) -> int:
    """Return the distance of the forest's clocks from UTC; 0 where their zone is not in the log."""
    settings = view.settings
    zone = next((zone for zone in settings.zones if zone.name == settings.timezone), Zone())
    return offset_at(zone, view.timeline.now // SECOND)


def _judge(watched: Watched, slot: int, limit: float) -> None:
    """Look at the slot that ended: has an overload begun, is an alert's time over?"""
    if watched.series.slot > slot + 1:
        watched.over = 0
    watched.over = watched.over + 1 if watched.series.value > limit else 0
    began = slot - RUN + 1 if watched.over == RUN else 0
    alert = watched.foreseen
    if alert and began and began <= alert.slot + LEAD:
        watched.findings.append(Finding("right", alert.decision, slot))
        watched.foreseen = None
    elif alert and slot - alert.slot >= LEAD + RUN - 1:
        _expire(watched, alert, slot)
    elif began and began > watched.last_slot + LEAD:
        watched.findings.append(Finding("missed", "", slot))


def _expire(watched: Watched, alert: Foreseen, slot: int) -> None:
    """Its time is over and no overload came."""
    watched.findings.append(Finding("averted" if alert.relieved else "wrong", alert.decision, slot))
    watched.foreseen = None


def decide(state: ForesightState, view: View) -> Iterable[Draft]:
    """Say what is to be said."""
    for name, watched in state.watched.items():
        outlook = watched.outlook
        if outlook is None:
            continue
        facts = _facts(outlook, view)
        for finding in watched.findings:
            yield _score(name, finding, facts)
        yield from _clear(name, watched, view)
        yield from _silence(name, watched, outlook, facts, view)
        if outlook.alert and watched.foreseen is None and not watched.findings:
            yield _warn(name, outlook, facts, view)


def _facts(outlook: Outlook, view: View) -> dict[str, Any]:
    return {
        "limit": view.settings.limits.predicted_overload,
        "load": round(outlook.value, 1),
        "peak": round(outlook.peak, 1),
        "bound": round(outlook.bound, 1),
        "in_min": outlook.minutes,
        "method": outlook.method,
        "precision": round(outlook.precision, 3),
        "cases": round(outlook.cases, 1),
        "margin": outlook.margin,
        "abstains": outlook.abstains,
    }


def _warn(name: str, outlook: Outlook, facts: dict[str, Any], view: View) -> Draft:
    limit = view.settings.limits.predicted_overload
    return Draft(
        rule="overload",
        target=name,
        action=RaiseAlert(cause=CAUSE, severity="warning"),
        reason="forecast_over_limit",
        text=f"{name} has a load of {outlook.value:.0f} and will be over {limit:g} within the hour: {outlook.peak:.0f}"
        f" in {outlook.minutes} min; {outlook.precision:.0%} of such forecasts were right",
        inputs=facts,
        cost=ALERT_COST,
    )


def _score(name: str, finding: Finding, facts: dict[str, Any]) -> Draft:
    texts = {
        "right": f"the forecast for {name} was right: its load went over the limit",
        "wrong": f"the forecast for {name} was wrong: its load stayed below the limit",
        "averted": f"the overload of {name} did not come: work had been taken from it",
        "missed": f"{name} went over the limit without a forecast",
    }
    return Draft(
        rule="score",
        target=name,
        action=ScoreAlert(alert=finding.alert, verdict=finding.verdict),
        reason=finding.verdict,
        text=texts[finding.verdict],
        inputs={**facts, "alert": finding.alert, "at": finding.slot * SLOT_US},
    )


def _clear(name: str, watched: Watched, view: View) -> Iterable[Draft]:
    """Close the alert once its verdict is found."""
    if watched.foreseen is None and view.alerts.find(CAUSE, name):
        yield Draft(
            rule="overload",
            target=name,
            action=ClearAlert(cause=CAUSE),
            reason="judged",
            text=f"the forecast for {name} is judged",
            inputs={},
        )


def _silence(
    name: str, watched: Watched, outlook: Outlook, facts: dict[str, Any], view: View
) -> Iterable[Draft]:
    """Say that a series may not speak, or may again: once, and not more often than once a day."""
    silent = bool(outlook.abstains)
    known = bool(watched.said_at)
    fresh = not known or view.timeline.now - watched.said_at >= SAID_AGAIN_US
    if fresh and (silent if not known else silent != watched.silent):
        why = outlook.abstains or f"{outlook.precision:.0%} of its forecasts were right"
        text = f"no forecast for {name}: {why}" if silent else f"forecasts for {name} again: {why}"
        yield Draft(
            rule="abstain",
            target=name,
            action=Abstain(about=CAUSE, ends=not silent),
            reason="not_enough" if silent else "validated",
            text=text,
            inputs=facts,
        )

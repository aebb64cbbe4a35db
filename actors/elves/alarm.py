"""One alert for each cause and target: opened once, said again while it lasts, closed once."""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from actors.elves import Draft, View
from events.decisions import ClearAlert, RaiseAlert, Severity

ALERT_COST = 1


class Alarm(Struct, frozen=True, kw_only=True):
    """What an alert is about. Between `high` and `low` an open one stays open and a closed one closed."""

    rule: str
    cause: str
    target: str
    high: bool
    low: bool
    reason: str
    text: str
    calm: str
    facts: dict[str, Any]
    severity: Severity = "warning"


def sound(alarm: Alarm, view: View) -> Iterator[Draft]:
    """Yield what is to be said about it now, if anything."""
    alert = view.alerts.find(alarm.cause, alarm.target)
    owed = alert is None or alert.owed(view.timeline.now, view.settings.limits.renotify_s)
    if alarm.high and owed:
        yield Draft(
            rule=alarm.rule,
            target=alarm.target,
            action=RaiseAlert(cause=alarm.cause, severity=alarm.severity, again=alert is not None),
            reason=f"{alarm.reason}_still" if alert else alarm.reason,
            text=alarm.text,
            inputs=alarm.facts,
            cost=ALERT_COST,
        )
    elif alert and alarm.low:
        yield Draft(
            rule=alarm.rule,
            target=alarm.target,
            action=ClearAlert(cause=alarm.cause),
            reason="calm",
            text=alarm.calm,
            inputs=alarm.facts,
        )

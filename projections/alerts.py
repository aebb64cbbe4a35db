"""Open alerts: one for each cause and target, said again at growing intervals."""

from collections.abc import Sequence

from msgspec import Struct, field

from events.controls import AlertAcknowledged, AlertSilenced
from events.decisions import ClearAlert, Decided, RaiseAlert

_SECOND = 1_000_000
# A silence is never for ever.
_LONGEST_S = 366 * 86_400.0
_WEIGHT = {"info": 0, "warning": 1, "critical": 2}


class Alert(Struct):
    """An open alert. Times are forest microseconds; `count` is how often it was said.

    An acknowledged one is not said again; `silent_until` is when one that was silenced may be.
    """

    cause: str
    target: str
    severity: str
    text: str
    opened: int
    notified: int
    count: int = 1
    acknowledged: bool = False
    silent_until: int = 0

    def owed(self, now: int, steps: Sequence[float]) -> bool:
        """Tell whether it is to be said again: after each of these seconds, the last one repeating."""
        if not steps or self.acknowledged or now < self.silent_until:
            return False
        return now - self.notified >= steps[min(self.count - 1, len(steps) - 1)] * 1_000_000


class Alerts(Struct):
    """All open alerts by `cause/target`, and until when those that people silenced are silent."""

    open: dict[str, Alert] = {}
    silences: dict[str, int] = field(default_factory=dict)

    def apply(self, decided: Decided, now: int) -> None:
        """Fold a decision about an alert."""
        key = f"{_cause(decided)}/{decided.target}"
        match decided.action:
            case RaiseAlert(cause=cause, severity=severity):
                alert = self.open.get(key)
                if alert:
                    alert.notified = now
                    alert.count += 1
                    alert.text = decided.text
                    if _WEIGHT[severity] > _WEIGHT.get(alert.severity, 0):
                        # What people knew of was not this bad.
                        alert.acknowledged = False
                    alert.severity = severity
                else:
                    self.open[key] = Alert(cause, decided.target, severity, decided.text, now, now)
                    self.open[key].silent_until = self.silences.get(key, 0)
            case ClearAlert():
                self.open.pop(key, None)
            case _:
                return

    def answer(self, body: AlertAcknowledged | AlertSilenced, now: int) -> None:
        """Fold what a person said of an alert, be it open or not."""
        key = f"{body.alert}/{body.about}"
        alert = self.open.get(key)
        if isinstance(body, AlertAcknowledged):
            if alert:
                alert.acknowledged = True
            return
        until = now + int(min(body.seconds, _LONGEST_S) * _SECOND) if body.seconds > 0 else 0
        self.silences = {name: end for name, end in self.silences.items() if end > now and name != key}
        if until:
            self.silences[key] = until
        if alert:
            alert.silent_until = until

    def silent(self, cause: str, target: str, now: int) -> bool:
        """Tell whether a person silenced alerts of this cause about this target."""
        return self.silences.get(f"{cause}/{target}", 0) > now

    def find(self, cause: str, target: str) -> Alert | None:
        """Return the open alert of a cause and target."""
        return self.open.get(f"{cause}/{target}")


def _cause(decided: Decided) -> str:
    action = decided.action
    return action.cause if isinstance(action, RaiseAlert | ClearAlert) else ""


def is_due_again(alert: Alert, steps: tuple[float, ...], now: int) -> bool:
    """Tell whether an open alert is to be said again: after these steps in seconds, the last one for ever."""
    return alert.owed(now, steps)

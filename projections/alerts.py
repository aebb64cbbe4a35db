"""Open alerts: one for each cause and target, said again at growing intervals."""

from collections.abc import Sequence

from msgspec import Struct

from events.decisions import ClearAlert, Decided, RaiseAlert


class Alert(Struct):
    """An open alert. Times are forest microseconds; `count` is how often it was said."""

    cause: str
    target: str
    severity: str
    text: str
    opened: int
    notified: int
    count: int = 1

    def owed(self, now: int, steps: Sequence[float]) -> bool:
        """Tell whether it is to be said again: after each of these seconds, the last one repeating."""
        if not steps:
            return False
        return now - self.notified >= steps[min(self.count - 1, len(steps) - 1)] * 1_000_000


class Alerts(Struct):
    """All open alerts by `cause/target`."""

    open: dict[str, Alert] = {}

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
                    alert.severity = severity
                else:
                    self.open[key] = Alert(cause, decided.target, severity, decided.text, now, now)
            case ClearAlert():
                self.open.pop(key, None)
            case _:
                return

    def find(self, cause: str, target: str) -> Alert | None:
        """Return the open alert of a cause and target."""
        return self.open.get(f"{cause}/{target}")


def _cause(decided: Decided) -> str:
    action = decided.action
    return action.cause if isinstance(action, RaiseAlert | ClearAlert) else ""


def is_due_again(alert: Alert, steps: tuple[float, ...], now: int) -> bool:
    """Tell whether an open alert is to be said again: after these steps in seconds, the last one for ever."""
    if not steps:
        return False
    return now - alert.notified >= steps[min(alert.count - 1, len(steps) - 1)] * 1_000_000

"""The Time elf tells people when issues and pull requests cannot be opened, and when they can again."""

from collections.abc import Iterable

from actors.elves import Draft, View
from events.decisions import ClearAlert, RaiseAlert

CAUSE = "publication"
TARGET = "github"


def refusals(refused: str, view: View) -> Iterable[Draft]:
    """Draft one alert while the other side refuses."""
    alert = view.alerts.find(CAUSE, TARGET)
    if refused and alert is None:
        yield Draft(
            rule="publication",
            target=TARGET,
            action=RaiseAlert(cause=CAUSE, severity="critical"),
            reason="refused",
            text=f"nothing can be opened: {refused}",
            inputs={"error": refused},
            cost=1,
        )
    elif alert and not refused:
        yield Draft(
            rule="publication",
            target=TARGET,
            action=ClearAlert(cause=CAUSE),
            reason="opened",
            text="issues can be opened again",
            inputs={},
        )

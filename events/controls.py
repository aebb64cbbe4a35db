"""What people decide about elves and alerts: it counts before what files and tuning say."""

from typing import Literal

from events.event import Event


class ModeSet(Event, frozen=True, kw_only=True):
    """A person said how far an elf, or one `rule` of it, may go; with `file` what the file says counts again."""

    elf: str
    mode: Literal["observe", "advise", "act", "file"]
    rule: str = ""
    reason: str = ""


class ElvesPaused(Event, frozen=True, kw_only=True):
    """Every elf only observes from here on, whatever else is said of its mode."""

    reason: str = ""


class ElvesResumed(Event, frozen=True, kw_only=True):
    """Every elf goes on in its own mode."""

    reason: str = ""


class AlertAcknowledged(Event, frozen=True, kw_only=True):
    """A person knows of the open alert of this cause about this target: it is not said again unless it grows worse."""

    alert: str
    about: str
    reason: str = ""


class AlertSilenced(Event, frozen=True, kw_only=True):
    """Alerts of this cause about this target go to no channel for so many seconds of forest time; 0 ends that."""

    alert: str
    about: str
    seconds: float
    reason: str = ""


ControlEvent = ModeSet | ElvesPaused | ElvesResumed | AlertAcknowledged | AlertSilenced

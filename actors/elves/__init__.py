"""The elves: pure policies. What they may see is a folded state, what they may do is return drafts."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from msgspec import Struct, field

from events.decisions import AnyAction, Candidate
from events.envelope import Recorded
from events.event import Event
from events.settings import Settings
from projections.alerts import Alerts
from projections.controls import Controls
from projections.standing import Standing
from projections.timeline import Timeline


class Draft(Struct, frozen=True, kw_only=True):
    """A decision before it has a number: what, about whom, why, resting on which facts, at what price in mana.

    What is only `advice` waits for a person, unless the settings let this very rule act.
    """

    rule: str
    target: str
    action: AnyAction
    reason: str
    text: str
    inputs: dict[str, Any]
    cost: int = 0
    candidates: tuple[Candidate, ...] = ()
    urgent: bool = False
    advice: bool = False


class View(Struct):
    """What every policy may read beside its own state. `timeline.now` is the only clock there is."""

    timeline: Timeline
    settings: Settings
    alerts: Alerts
    standing: Standing
    controls: Controls = field(default_factory=Controls)


S = TypeVar("S", bound=Struct)


class Policy(Protocol[S]):
    """One elf. `version` changes with every change of behaviour; `triggers` are the events it looks up at."""

    name: str
    version: str
    state_type: type[S]
    triggers: tuple[type[Event], ...]

    def initial(self) -> S:
        """Return the state before the first event."""

    def fold(self, state: S, event: Recorded, view: View) -> None:
        """Take one event into the state. Same events, same state, byte for byte."""

    def decide(self, state: S, view: View) -> Sequence[Draft]:
        """Say what should be done in this state; asked again in the same state, say the same again."""

    def due(self, state: S, view: View) -> int:
        """Return the forest time (microseconds) at which time alone changes the answer; 0 for never."""

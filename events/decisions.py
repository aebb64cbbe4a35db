"""What was decided, with all it rests on, so that it can be decided again and compared."""

from typing import Any, Literal

from msgspec import Struct

from events.event import Event, snake

Mode = Literal["observe", "advise", "act"]
Severity = Literal["info", "warning", "critical"]


class Action(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="do", tag=snake):
    """What a decision asks of the world."""


class RaiseAlert(Action, frozen=True, kw_only=True):
    """Open the alert of this cause and target, or say it again while it stays open."""

    cause: str
    severity: Severity
    again: bool = False


class ClearAlert(Action, frozen=True, kw_only=True):
    """Close the open alert of this cause and target."""

    cause: str


class StartUnit(Action, frozen=True, kw_only=True):
    """Start this generation of a unit that has no living process."""

    generation: int


class StopUnit(Action, frozen=True, kw_only=True):
    """End the unit by its declared stop sequence and leave it ended."""

    generation: int


class RestartUnit(Action, frozen=True, kw_only=True):
    """End this generation, at a task edge if `drain`, and start the next one."""

    generation: int
    drain: bool = False
    evidence: bool = False


class ContinueUnit(Action, frozen=True, kw_only=True):
    """Send SIGCONT to a unit that somebody stopped."""

    generation: int


class QuarantineUnit(Action, frozen=True, kw_only=True):
    """Do not start the unit before `until` (forest time, microseconds)."""

    until: int


class Defer(Action, frozen=True, kw_only=True):
    """Nothing now: too little mana. The rule looks again at `until` (forest time, microseconds)."""

    wanted: str
    until: int


AnyAction = (
    RaiseAlert | ClearAlert | StartUnit | StopUnit | RestartUnit | ContinueUnit | QuarantineUnit | Defer
)


class Candidate(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One choice that was looked at; `why_not` is empty for the chosen one."""

    name: str
    why_not: str = ""
    terms: dict[str, float] = {}


class Decided(Event, frozen=True, kw_only=True):
    """One decision of one elf.

    `as_of` is the position its state was folded to, `trigger` the position that made it look, `ordinal` of `size` its
    place in the elf's batch. `inputs` are the facts it read and `inputs_digest` covers them. `cost` is in points of
    mana. Replay compares everything but the envelope.
    """

    elf: str
    rule: str
    target: str
    action: AnyAction
    reason: str
    text: str
    trigger: int
    as_of: int
    epoch: int
    ordinal: int
    size: int
    policy: str
    version: str
    settings: str
    inputs: dict[str, Any] = {}
    inputs_digest: str = ""
    candidates: tuple[Candidate, ...] = ()
    probability: float = 1.0
    mode: Mode = "act"
    cost: int = 0

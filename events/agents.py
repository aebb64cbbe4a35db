"""Remote agents: who joined and left, what people want of them, how they look at a tick, what they pass on."""

from typing import Any, Literal

from msgspec import Struct

from events.event import Event

AgentState = Literal[
    "alive", "suspect", "probing", "down", "recovering", "probation", "paused", "retired", "absent"
]
Phase = Literal["monitor", "stepwise", "full"]
AgentIntent = Literal["run", "drain", "retire"]


class AgentAdded(Event, frozen=True, kw_only=True):
    """Somebody gave an agent credentials of its own. Without an entry in the configuration it takes any task."""

    agent: str


class AgentRevoked(Event, frozen=True, kw_only=True):
    """An agent's credentials are withdrawn; what it held goes to others."""

    agent: str
    reason: str = ""


class AgentJoined(Event, frozen=True, kw_only=True):
    """An agent's program is there. `run` names this very run of it, `wip` is how many tasks it takes at once."""

    agent: str
    run: str
    pid: int
    host: str
    release: str
    wip: int = 1


class AgentLeft(Event, frozen=True, kw_only=True):
    """An agent's program ended in order and holds nothing any more."""

    agent: str
    run: str
    reason: str = ""


class AgentIntentSet(Event, frozen=True, kw_only=True):
    """A person said what an agent shall do; policies never undo it. `run` also readmits one that was retired."""

    agent: str
    intent: AgentIntent
    reason: str = ""


class AgentSample(Struct, frozen=True, array_like=True):
    """One agent as seen at a tick.

    `beat_age_ms` is the age of its last beat, -1 when none was ever heard; `stall_ms` the longest time that a task
    it holds made no progress (output, CPU time, files), -1 when it holds none. `lag_ms` is how late the node's own
    loop is: who is late itself accuses nobody.
    """

    agent: str
    beat_age_ms: int
    holds: int
    stall_ms: int
    connected: bool
    lag_ms: int = 0


class PhaseEntered(Event, frozen=True, kw_only=True):
    """An agent entered a phase of the load migration plan: watched, taken back step by step, or full member."""

    agent: str
    phase: Phase
    decision: str = ""


class HandedOver(Event, frozen=True, kw_only=True):
    """What is known of a task's last attempt, for whoever takes it next.

    `note` holds the last progress, references to artefacts or a branch, files touched and the error, as far as known.
    """

    task: str
    queue: str
    agent: str
    attempt: int
    note: dict[str, Any]


AgentEvent = AgentAdded | AgentRevoked | AgentJoined | AgentLeft | AgentIntentSet | PhaseEntered | HandedOver

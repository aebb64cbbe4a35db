"""What an agent's program and the node say to each other beside the log."""

from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

NULL = Raw(b"null")
RESULT_LIMIT = 256 * 1024

ProgramState = Literal["working", "draining", "leaving"]


class Progress(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One task as its agent sees it: since when, how far, and for how long nothing of it has moved.

    `output` in bytes, `cpu_ms` of the whole tree, `files` changed in its folder since the last look; `process` is the
    kernel's letter for the program's main process, empty before it runs.
    """

    task: str
    queue: str = ""
    lease: int = 0
    attempt: int = 0
    for_ms: int = 0
    still_ms: int = 0
    output: int = 0
    cpu_ms: int = 0
    files: int = 0
    process: str = ""


class AgentBeat(Struct, frozen=True, kw_only=True):
    """A beat: this run of this agent lives. `holds` counts every task, `tasks` tells of those that run."""

    agent: str
    run: str
    number: int = 0
    state: ProgramState = "working"
    wip: int = 1
    holds: int = 0
    tasks: tuple[Progress, ...] = ()


class Ponged(Struct, frozen=True, kw_only=True):
    """The answer to a ping: its number, and what a beat says, the states of the programs at work included."""

    agent: str
    run: str
    answers: int
    state: ProgramState = "working"
    holds: int = 0
    tasks: tuple[Progress, ...] = ()


class Order(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the node tells a program on `agent.<name>.cmd`; `ping` and `canary` are requests."""

    do: Literal["ping", "here", "canary", "cancel", "lost", "gained", "drain", "run", "retire", "superseded"]
    number: int = 0
    run: str = ""
    task: str = ""
    queue: str = ""
    lease: int = 0
    other: str = ""
    why: str = ""
    payload: Any = None
    timeout_s: float = 60.0


class Question(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a program asks the node on `ctl.agent.<name>`. `at` is the position of what makes it ask."""

    do: Literal["hello", "fetch", "settle"]
    run: str = ""
    task: str = ""
    queue: str = ""
    lease: int = 0
    claim: int = 0
    at: int = 0


class Welcome(Struct, frozen=True, kw_only=True):
    """The answer to `hello`: how often to beat, and what people want of this agent."""

    beat_s: float
    intent: str = "run"


class Text(Struct, frozen=True, kw_only=True):
    """The answer to `fetch`: the task, what the last attempt left (`note` is its position), and where it stands."""

    task: str
    queue: str
    kind: str = ""
    payload: Raw = NULL
    priority: str = "middle"
    attempt: int = 1
    timeout_s: float = 600.0
    after: int = 0
    cause: str = ""
    traceparent: str = ""
    note: int = 0
    hand_over: dict[str, Any] | None = None


class Verdict(Struct, frozen=True, kw_only=True):
    """The answer to `settle`: whether the claim still counts, then at which position the task stands."""

    yours: bool
    after: int = 0
    why: str = ""


class Reply(Struct, frozen=True, kw_only=True):
    """How every answer of the node begins."""

    ok: bool = False
    error: str = ""
    code: int = 1


class Canaried(Struct, frozen=True, kw_only=True):
    """What an agent made of its canary."""

    ok: bool = False
    result: Any = None
    error: str = ""


def read_agent_beat(subject: str, data: bytes) -> AgentBeat | str:
    """Read a beat of an agent, or say what is wrong with it."""
    name = subject.rpartition(".")[2]
    try:
        beat = msgspec.json.decode(data, type=AgentBeat)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        return f"expected a beat of agent {name}, got: {problem}"
    if beat.agent != name:
        return f"expected a beat of agent {name}, got one of {beat.agent!r}"
    return beat

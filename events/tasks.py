"""The life of a task; every event of one task is under one subject prefix and ordered by compare-and-set."""

from typing import Any, Literal

from msgspec import Struct

from events.event import Event

FailureKind = Literal["error", "timeout", "crash", "exit", "garbage"]


class Evidence(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of the process that a task's last attempt died with.

    Neither `code` nor `signal` means that nobody learned how it ended. `memory` is its peak in bytes, 0 unknown;
    `lines` are the last ones of its unit's log.
    """

    unit: str
    generation: int
    pid: int = 0
    code: int | None = None
    signal: int | None = None
    memory: int = 0
    lines: tuple[str, ...] = ()


class TaskSubmitted(Event, frozen=True, kw_only=True):
    """Somebody asked for work. `payload` is any JSON value; `timeout_s` 0 means the queue's.

    `due` (microseconds since 1970) is when the task may be handed out, 0 at once. The same id once more, after an
    end without a result or between two attempts, begins its life anew; after a result it changes nothing.
    """

    task: str
    queue: str
    kind: str = ""
    payload: Any = None
    priority: str = "middle"
    complexity: int = 0
    timeout_s: float = 0.0
    parent: str = ""
    due: int = 0


class TaskStarted(Event, frozen=True, kw_only=True):
    """A runner claimed the task; durable before its handler sees it. `delivery` is the acknowledge subject.

    `deaths` counts earlier attempts whose process died; `solo` is the trial of a task with too many of them. An agent
    says which `lease` of the task it claims, and the position of the hand-over `note` that it has read.
    """

    task: str
    queue: str
    unit: str
    generation: int
    pid: int
    attempt: int
    nonce: str
    delivery: str = ""
    deaths: int = 0
    solo: bool = False
    lease: int = 0
    note: int = 0


class TaskFinished(Event, frozen=True, kw_only=True):
    """The effective end: the first result under the claim at position `claim`.

    `cleared` deaths of earlier attempts are those of their workers: alone with a fresh one the task survived.
    """

    task: str
    queue: str
    unit: str
    generation: int
    attempt: int
    claim: int
    result: Any = None
    service_ms: int = 0
    cleared: int = 0
    artefacts: tuple[str, ...] = ()


class TaskFailed(Event, frozen=True, kw_only=True):
    """An attempt ended badly; the task waits for its next one. `deaths` and `cleared` as in the events around."""

    task: str
    queue: str
    unit: str
    generation: int
    attempt: int
    claim: int
    kind: FailureKind
    error: str
    service_ms: int = 0
    retry_in_s: float = 0.0
    deaths: int = 0
    cleared: int = 0


class TaskReleased(Event, frozen=True, kw_only=True):
    """A claim was given back before a handler saw the task: this attempt does not count.

    Its runner says so itself, or whoever gets the task after a runner died that was not executing it.
    """

    task: str
    queue: str
    unit: str
    generation: int
    attempt: int
    claim: int
    deaths: int = 0


class TaskDied(Event, frozen=True, kw_only=True):
    """No attempt is left; the task is in the dead-letter view."""

    task: str
    queue: str
    unit: str
    attempts: int
    kind: FailureKind
    error: str
    service_ms: int = 0
    deaths: int = 0
    cleared: int = 0
    evidence: Evidence | None = None


class TaskDropped(Event, frozen=True, kw_only=True):
    """Somebody looked at a dead letter and wants no more of it."""

    task: str
    queue: str
    reason: str = ""


class TaskCancelled(Event, frozen=True, kw_only=True):
    """Somebody withdrew the task."""

    task: str
    queue: str
    reason: str = ""


class TaskMoved(Event, frozen=True, kw_only=True):
    """The task left this queue; one atomic batch submits it to `to`."""

    task: str
    queue: str
    to: str
    reason: str = ""


class ResultSalvaged(Event, frozen=True, kw_only=True):
    """A result that came after the effective end: kept and counted, never merged."""

    task: str
    queue: str
    unit: str
    generation: int
    attempt: int
    result: Any = None
    error: str = ""


TaskEvent = (
    TaskSubmitted
    | TaskStarted
    | TaskFinished
    | TaskFailed
    | TaskReleased
    | TaskDied
    | TaskDropped
    | TaskCancelled
    | TaskMoved
    | ResultSalvaged
)
OF_TASKS = frozenset(TaskEvent.__args__)
"""Most of a log: folds that have nothing to do with tasks need not look at these."""

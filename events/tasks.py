"""The life of a task; every event of one task is under one subject prefix and ordered by compare-and-set."""

from typing import Any, Literal

from events.event import Event

FailureKind = Literal["error", "timeout", "crash", "exit", "garbage"]


class TaskSubmitted(Event, frozen=True, kw_only=True):
    """Somebody asked for work. `payload` is any JSON value; `timeout_s` 0 means the queue's."""

    task: str
    queue: str
    kind: str = ""
    payload: Any = None
    priority: str = "middle"
    complexity: int = 0
    timeout_s: float = 0.0
    parent: str = ""


class TaskStarted(Event, frozen=True, kw_only=True):
    """A runner claimed the task; durable before its handler sees it. `delivery` is the acknowledge subject."""

    task: str
    queue: str
    unit: str
    generation: int
    pid: int
    attempt: int
    nonce: str
    delivery: str = ""


class TaskFinished(Event, frozen=True, kw_only=True):
    """The effective end: the first result under the claim at position `claim`."""

    task: str
    queue: str
    unit: str
    generation: int
    attempt: int
    claim: int
    result: Any = None
    service_ms: int = 0


class TaskFailed(Event, frozen=True, kw_only=True):
    """An attempt ended badly; the task waits for its next one."""

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


class TaskReleased(Event, frozen=True, kw_only=True):
    """A runner gave a claim back before its handler saw the task: this attempt does not count."""

    task: str
    queue: str
    unit: str
    generation: int
    attempt: int
    claim: int


class TaskDied(Event, frozen=True, kw_only=True):
    """No attempt is left; the task is in the dead-letter view."""

    task: str
    queue: str
    unit: str
    attempts: int
    kind: FailureKind
    error: str
    service_ms: int = 0


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
    | TaskCancelled
    | TaskMoved
    | ResultSalvaged
)

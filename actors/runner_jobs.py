"""A task while a runner holds it, what became of it, and how many tasks to hold."""

from typing import Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from events.subjects import MIDDLE, class_served
from events.traces import trace_id

PAYLOAD_LIMIT = 256 * 1024
RESULT_LIMIT = 256 * 1024
WINDOW_LIMIT = 512

# Handler time claimed ahead: enough to hide a round trip to the log, little enough to give back.
_AHEAD_S = 0.04
_NULL = Raw(b"null")

# A process, how long it has been at its task, and the age of its own beat (-1 without one), in milliseconds.
Lasting = tuple[int, int, int]
LASTING_S = 1.0

State = Literal["claiming", "ready", "running", "ending"]


class _Body(Struct, tag_field="type", tag="task_submitted"):
    task: str
    queue: str
    kind: str = ""
    payload: Raw = _NULL
    timeout_s: float = 0.0
    due: int = 0


class _Submitted(Struct):
    id: str
    body: _Body
    trace: str = ""


class _Request(Struct):
    id: str
    queue: str
    type: str
    payload: Raw
    attempt: int
    hand_over: None = None
    traceparent: str | UnsetType = UNSET


_submitted = msgspec.json.Decoder(_Submitted)
_encoder = msgspec.json.Encoder()


class Job(Struct, eq=False, kw_only=True):
    """One task in this runner. `replies` are the acknowledge subjects of its deliveries, the newest last.

    `position` is that of its submission, `claim` that of our TaskStarted; times are monotonic seconds, `due` is
    microseconds since 1970. `deaths` attempts before this one ended with their process; `solo` is their trial.
    `trace` is the W3C traceparent that it was submitted with, `rank` its class, 0 for the first one asked.
    """

    task: str
    queue: str
    kind: str
    payload: Raw
    timeout_s: float
    cause: str
    position: int
    delivered: int
    replies: list[str]
    touched: float
    state: State = "claiming"
    attempt: int = 0
    claim: int = 0
    nonce: str = ""
    since: float = 0.0
    cancelled: bool = False
    due: int = 0
    deaths: int = 0
    solo: bool = False
    trace: str = ""
    rank: int = MIDDLE


class Outcome(Struct, frozen=True):
    """How one attempt ended: `kind` is empty for a result, else the kind of failure with its text.

    Of a process that died: its number, how it ended (a negative `code` is a signal's), its peak of `memory` in bytes.
    """

    kind: str = ""
    text: str = ""
    result: Raw = _NULL
    submit: Raw = _NULL
    service_s: float = 0.0
    pid: int = 0
    code: int = 0
    memory: int = 0


def job_of(data: bytes, reply: str, now: float) -> Job | None:
    """Read a delivered submission; None when the bytes are none."""
    try:
        event = _submitted.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    parts = reply.split(".")
    body = event.body
    return Job(
        task=body.task,
        queue=body.queue,
        kind=body.kind,
        payload=body.payload,
        timeout_s=body.timeout_s,
        cause=event.id,
        position=int(parts[5]),
        delivered=int(parts[4]),
        replies=[reply],
        touched=now,
        due=body.due,
        trace=event.trace if trace_id(event.trace) else "",
        rank=class_served(parts[3]),
    )


def request_of(jobs: list[Job]) -> bytes:
    """Return what a handler is told, as a JSON list."""
    return _encoder.encode(
        [
            _Request(job.task, job.queue, job.kind, job.payload, job.attempt, None, job.trace or UNSET)
            for job in jobs
        ]
    )


class Pace:
    """How long calls take, and how many tasks to hold for that: many short ones, few long ones."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.service_s = -1.0
        self._recent: list[float] = []

    def observe(self, seconds: float) -> None:
        """Take the handler time of one task."""
        known = self.service_s
        self.service_s = seconds if known < 0 else known + (seconds - known) * 0.05
        self._recent.append(seconds)
        if len(self._recent) > 200:
            del self._recent[:100]

    def at_least(self, seconds: float) -> None:
        """A call that is still running has taken this long already."""
        self.service_s = max(self.service_s, seconds)

    def window(self) -> int:
        """Return how many tasks may be claimed and unfinished."""
        if self.service_s < 0:
            return self.slots
        return int(min(WINDOW_LIMIT, max(self.slots, self.slots * _AHEAD_S / max(self.service_s, 1e-6))))

    def room(self) -> int:
        """Return how many to accept at most: of quick ones more than asked for, rather than have them sent twice."""
        window = self.window()
        return window if window <= self.slots else 2 * window

    def depth(self) -> int:
        """Return how many calls may lie in one handler's socket, the running one included."""
        if self.service_s < 0:
            return 1
        return int(min(256, max(1, 0.02 / max(self.service_s, 1e-6))))

    def median_ms(self) -> float:
        """Return the middle of the last 100 to 200 handler times."""
        ordered = sorted(self._recent)
        return round(ordered[len(ordered) // 2] * 1000, 3) if ordered else 0.0

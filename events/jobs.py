"""What came of commands that run by the clock, of messages to people, and of issues and pull requests."""

from typing import Literal

from events.event import Event

JobOutcome = Literal["done", "failed", "timeout", "refused", "interrupted"]
PublicationKind = Literal["issue", "pull"]


class JobFinished(Event, frozen=True, kw_only=True):
    """A job's command ended. `tail` is the end of its output, `timeout` one that was ended because it did not end.

    `refused` could not be started, `interrupted` lost its node: neither tells anything about what it checks.
    `report` is the file of its output, `to` are the channels that get it.
    """

    job: str
    decision: str
    kind: str
    ok: bool
    outcome: JobOutcome
    code: int | None = None
    signal: int | None = None
    took_ms: int = 0
    tail: str = ""
    report: str = ""
    to: tuple[str, ...] = ()


class Notified(Event, frozen=True, kw_only=True):
    """A message reached its channel or was given up. `notice` is the id of the event that it tells of."""

    channel: str
    notice: str
    ok: bool
    attempts: int = 1
    error: str = ""


class PublicationRequested(Event, frozen=True, kw_only=True):
    """An issue or a pull request is to be opened; `key` names it for ever, `files` are paths with their new text."""

    key: str
    kind: PublicationKind
    title: str
    body: str
    job: str = ""
    files: dict[str, str] = {}


class PublicationOpened(Event, frozen=True, kw_only=True):
    """It stands there; `found` tells that an earlier try had opened it already."""

    key: str
    number: int
    url: str
    found: bool = False


class PublicationRefused(Event, frozen=True, kw_only=True):
    """The other side will not have it; unless that is `final` it is tried again at times, as a right may be given."""

    key: str
    error: str
    final: bool = True


JobEvent = JobFinished | Notified | PublicationRequested | PublicationOpened | PublicationRefused

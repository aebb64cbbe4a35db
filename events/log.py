"""What a log promises, and a log in memory that keeps the promise."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from msgspec import Struct

from events.codec import decode, encode
from events.envelope import Envelope, Recorded
from events.event import Event
from events.subjects import subject_of


class Expect(Struct, frozen=True):
    """Compare-and-set: the last event under `filter` must stand at `position` (0: there is none)."""

    filter: str
    position: int


class Entry(Struct, frozen=True):
    """One event to append, its subject and what must hold for it."""

    envelope: Envelope
    subject: str
    expect: Expect | None = None


def entry(envelope: Envelope, expect: Expect | None = None) -> Entry:
    """Address an envelope to the subject that its writer and body ask for."""
    return Entry(envelope, subject_of(envelope.source, envelope.body), expect)


class Receipt(Struct, frozen=True):
    """Where a batch stands: durable positions, ascending. `known` lists ids that the log already held."""

    positions: tuple[int, ...]
    known: tuple[str, ...] = ()


class LogError(Exception):
    """The log did not take a batch."""


class Conflict(LogError):
    """An expectation did not hold: nothing of the batch is stored."""


class LogFull(LogError):
    """No room: nothing of the batch is stored."""


class LogUnreachable(LogError):
    """The log did not answer: the batch may be stored or not; look before saying it again."""


class LogRefused(LogError):
    """The log does not accept this batch from this writer, or in this form."""


class LogDamaged(LogError):
    """What stands in the log is not what was written there; nothing may be decided on it."""


class EventLog(Protocol):
    """An ordered, durable, shared list of events. Positions ascend; what is acknowledged stays."""

    async def append(self, batch: Sequence[Entry]) -> Receipt:
        """Store all of a batch or nothing, durably. Ids already stored count as stored.

        Raises Conflict, LogFull, LogUnreachable or LogRefused.
        """

    async def last(self, filter: str) -> Recorded | None:
        """Return the last event under a subject filter (`*` one token, `>` the rest)."""

    async def end(self) -> int:
        """Return the last position, 0 when empty."""

    def follow(self, after: int = 0, filter: str = "log.>") -> AsyncIterator[Sequence[Recorded]]:
        """Yield what stands behind `after`, in order and without a gap, then what comes, as it comes."""


def matches(filter: str, subject: str) -> bool:
    """Tell whether a subject lies under a filter with `*` and `>`."""
    want, have = filter.split("."), subject.split(".")
    for index, part in enumerate(want):
        if part == ">":
            return len(have) > index
        if index >= len(have) or part not in ("*", have[index]):
            return False
    return len(want) == len(have)


class MemoryLog:
    """A log without a disk, for tests and simulation. `follow` ends at the end instead of waiting."""

    def __init__(self) -> None:
        self.events: list[Recorded] = []
        self._ids: dict[str, int] = {}
        self.room: int | None = None

    async def append(self, batch: Sequence[Entry]) -> Receipt:
        """See `EventLog.append`."""
        return self.take(batch)

    def take(self, batch: Sequence[Entry]) -> Receipt:
        """Append without a coroutine."""
        # Of one id that is said twice in a batch the first counts.
        fresh = [
            item
            for item in {item.envelope.id: item for item in reversed(batch)}.values()
            if item.envelope.id not in self._ids
        ][::-1]
        if self.room is not None and len(self.events) + len(fresh) > self.room:
            raise LogFull(f"expected room for {len(fresh)} events, got a limit of {self.room}")
        for item in fresh:
            self._check(item)
        for item in fresh:
            position = len(self.events) + 1
            self.events.append(decode(position, item.subject, encode(item.envelope)))
            self._ids[item.envelope.id] = position
        known = {item.envelope.id for item in batch} - {item.envelope.id for item in fresh}
        positions = tuple(self._ids[item.envelope.id] for item in batch)
        return Receipt(positions, tuple(item.envelope.id for item in batch if item.envelope.id in known))

    def _check(self, item: Entry) -> None:
        if item.expect is None:
            return
        stands = self._last_position(item.expect.filter)
        if stands != item.expect.position:
            raise Conflict(
                f"expected the last event of {item.expect.filter} at {item.expect.position}, got {stands}"
            )

    def _last_position(self, filter: str) -> int:
        for event in reversed(self.events):
            if matches(filter, event.subject):
                return event.position
        return 0

    async def last(self, filter: str) -> Recorded | None:
        """See `EventLog.last`."""
        position = self._last_position(filter)
        return self.events[position - 1] if position else None

    async def end(self) -> int:
        """See `EventLog.end`."""
        return len(self.events)

    async def follow(self, after: int = 0, filter: str = "log.>") -> AsyncIterator[Sequence[Recorded]]:
        """Yield everything behind `after`, then end."""
        while len(self.events) > after:
            chunk = self.events[after : after + 500]
            after = chunk[-1].position
            wanted = [event for event in chunk if matches(filter, event.subject)]
            if wanted:
                yield wanted


def envelope(
    id: str, time: int, source: str, body: Event, cause: str = "", correlation: str = ""
) -> Envelope:
    """Build an envelope in one line."""
    return Envelope(id=id, time=time, source=source, cause=cause, correlation=correlation, body=body)

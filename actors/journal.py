"""The node's own pen: addresses, dates and signs events and gives them to the bus."""

import logging
import secrets
from collections.abc import Callable, Sequence

from actors.bus import Bus
from actors.clock import Clock
from actors.recorder import Done
from events.envelope import Envelope
from events.event import Event
from events.log import Entry, Expect, LogFull, LogUnreachable, Receipt, entry

_log = logging.getLogger("elf.journal")

_AGAIN_S = 1.0
_LAST_AGAIN_S = 0.2


class Journal:
    """Writes as one source. Any thread; `done` is called on the bus."""

    def __init__(self, bus: Bus, clock: Clock, source: str) -> None:
        self._bus = bus
        self._clock = clock
        self.source = source
        self._owed: set[str] = set()

    def envelope(
        self, body: Event, *, id: str = "", cause: str = "", correlation: str = "", trace: str = ""
    ) -> Envelope:
        """Surround a body; the id is random where the cause does not determine one."""
        return Envelope(
            id=id or secrets.token_hex(12),
            time=self._clock.now(),
            source=self.source,
            cause=cause,
            correlation=correlation,
            trace=trace,
            body=body,
        )

    def write(
        self,
        *bodies: Event,
        cause: str = "",
        correlation: str = "",
        done: Done | None = None,
    ) -> None:
        """Append bodies as one group, all or nothing, without expectation."""
        entries = [entry(self.envelope(body, cause=cause, correlation=correlation)) for body in bodies]
        self.append(entries, done)

    def append(self, entries: Sequence[Entry], done: Done | None = None, behind: bool = False) -> None:
        """Append one group. What nobody waits for is said again until the log has it: facts are not dropped."""
        self._bus.append(entries, done or self._until_stored(entries), behind)

    def owe(self, what: str) -> None:
        """Remember that something found no room and will be said again: the last word has to wait for it."""
        self._owed.add(what)

    def paid(self, what: str) -> None:
        """Forget it: it stands, or nobody will say it again."""
        self._owed.discard(what)

    def forgive(self, prefix: str) -> None:
        """Forget everything of somebody."""
        for what in list(self._owed):
            if what.startswith(prefix):
                self._owed.discard(what)

    def last_word(self, body: Event, done: Done, patience_s: float = 5.0) -> None:
        """Append behind everything that was said, what found no room included; else `done` gets a LogFull.

        With the last word in the log nothing said before it was lost.
        """
        word = [entry(self.envelope(body))]
        give_up = self._clock.monotonic() + patience_s

        def said(result: Receipt | Exception) -> None:
            if isinstance(result, LogFull) and self._owed and self._clock.monotonic() < give_up:
                self._clock.later(_LAST_AGAIN_S, say)
            else:
                done(result)

        def say() -> None:
            self._bus.append(word, said, behind=True, unless=lambda: bool(self._owed))

        say()

    def _until_stored(self, entries: Sequence[Entry]) -> Done:
        name = entries[0].envelope.id

        def said(result: Receipt | Exception) -> None:
            self.paid(name)
            if isinstance(result, LogFull | LogUnreachable):
                self.owe(name)
                self._clock.later(_AGAIN_S, lambda: self._bus.append(entries, said))
            elif isinstance(result, Exception):
                _log.error("%s is not written: %s", entries[0].subject, result)

        return said


def fenced(envelope: Envelope, lease: str, epoch: int) -> Entry:
    """Address an envelope so that the server refuses it once another node took the lease."""
    return entry(envelope, Expect(lease, epoch))


def told(tell: Callable[[object], object], message: Callable[[Receipt | Exception], object]) -> Done:
    """Turn a receipt into a message to an actor."""

    def done(result: Receipt | Exception) -> None:
        tell(message(result))

    return done

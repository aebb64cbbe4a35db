"""Seals history into segments and lets it leave the stream once nobody needs it there."""

import logging
import threading
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from actors.clock import Clock
from actors.config import Log
from actors.feed import Subscription
from actors.follower import Follower
from actors.journal import Journal
from actors.runtime import Watcher, tell
from actors.snapshots import Snapshots
from actors.trimming import Trimmed
from events.log import entry
from events.observations import HistoryPurged, HistorySealed
from projections.archive import Archive, Bound
from projections.segments import MAX_BYTES, Segment, Segments
from projections.warehouse import Warehouse

_log = logging.getLogger("elf.archivist")

_DAY_US = 86_400_000_000
_LOOK_S = 60.0
DEAD_LETTERS_US = 7 * _DAY_US
"""So long a dead letter that nobody looks at keeps its place in the stream."""

Trim = Callable[[list[Bound], int, Callable[[Trimmed | Exception | None], None]], None]


class Stored(Struct, frozen=True):
    """The warehouse holds everything up to `position`, `size` bytes more than before."""

    position: int
    size: int
    warehouse: Warehouse


class Done(Struct, frozen=True):
    """What became of a piece of work in another thread."""

    result: Segment | Trimmed | Exception | None


class Archivist(Follower[Archive]):
    """Folds what is sealed, purged and still open; one sealing and one purge at a time, in other threads."""

    def __init__(
        self,
        watcher: Watcher,
        segments: Segments,
        journal: Journal,
        clock: Clock,
        snapshots: Snapshots,
        subscribe: Callable[[Subscription], None],
        rules: Callable[[], Log],
        slowest: Callable[[], int],
        trim: Trim,
        epoch: int,
    ) -> None:
        super().__init__("archivist", watcher, subscribe, snapshots, Archive())
        self._segments = segments
        self._journal = journal
        self._clock = clock
        self._rules = rules
        self._slowest = slowest
        self._trim = trim
        self._epoch = epoch
        self._bytes = 0
        self._said = 0
        self._busy = False
        self._look_at = 0.0
        self._thread: threading.Thread | None = None

    def handle(self, message: Any) -> Any:
        """Take events, the projector's word and the ends of work."""
        match message:
            case Stored():
                self._bytes += message.size
                self._look(message)
            case Done(result=result):
                self._busy = False
                self._ended(result)
            case _:
                return super().handle(message)
        return None

    def _look(self, stored: Stored) -> None:
        """Begin what is due, once this node's own lease is folded."""
        if self._busy or self.position < self._epoch:
            return
        self._say_sealed()
        now = self._clock.monotonic()
        if now >= self._look_at:
            # First, for a node that is behind has always something to seal.
            self._look_at = now + min(_LOOK_S, self._rules().keep_s)
            if self._purge():
                return
        if self._is_due(stored.position):
            self._busy = True
            self._bytes = 0
            self._thread = threading.Thread(target=self._seal, args=(stored,), name="elf-seal")
            self._thread.start()

    def _is_due(self, position: int) -> bool:
        waiting = position - self._segments.last
        since = self._segments.all[-1].time if self._segments.all else self._clock.now()
        old = waiting > 0 and self._clock.now() - since > _DAY_US
        return waiting >= self._rules().segment_events or self._bytes >= MAX_BYTES or old

    def _seal(self, stored: Stored) -> None:
        """In a thread of its own: rows come through a cursor of its own, the file from a database of its own."""
        result: Segment | Exception
        try:
            pages = stored.warehouse.rows(self._segments.last, stored.position)
            result = self._segments.seal(pages, self._rules().segment_events)
        except Exception as problem:
            result = problem
        tell(self.actor_ref, Done(result))

    def _ended(self, result: Segment | Trimmed | Exception | None) -> None:
        match result:
            case Segment():
                self._say_sealed()
                self._look_at = 0.0
            case Trimmed(bound=bound, messages=messages):
                body = HistoryPurged(below=bound.position, bound=bound.name, messages=messages)
                self._journal.append([entry(self._journal.envelope(body, id=f"purged-{bound.position}"))])
            case Exception():
                # What is not sealed stays where it is: nothing is lost by trying again later.
                _log.error("history was not archived: %s", result)
                self._look_at = self._clock.monotonic() + _LOOK_S
            case None:
                pass

    def _say_sealed(self) -> None:
        """Say of every sealed segment once that it is; also of one whose node ended before it said so."""
        said = max(self._said, self.fold.sealed)
        for segment in self._segments.all:
            if segment.last > said:
                body = HistorySealed(
                    first=segment.first,
                    last=segment.last,
                    head=segment.head,
                    sha256=segment.sha256,
                    size=segment.size,
                )
                name = f"sealed-{segment.last}-{segment.head[:12]}"
                self._journal.append([entry(self._journal.envelope(body, id=name))])
        self._said = max(said, self._segments.last)

    def _purge(self) -> bool:
        """Begin to empty the stream; False when there is nothing to gain."""
        rules = self._rules()
        young = self._clock.now() - int(rules.keep_s * 1e6)
        settled = max((one.last for one in self._segments.all if one.time < young), default=0)
        bounds = [
            Bound("segments", settled + 1),
            Bound("archivist", self.position + 1),
            Bound("readers", self._slowest() + 1),
        ]
        oldest = self.fold.oldest_open(self._clock.now() - DEAD_LETTERS_US)
        if oldest:
            bounds.append(Bound("tasks", oldest))
        least = self.fold.purged + max(1, rules.segment_events // 10)
        if min(bound.position for bound in bounds) <= least:
            return False
        self._busy = True
        ref = self.actor_ref
        self._trim(bounds, least, lambda result: _done(ref, result))
        return True

    def end(self) -> None:
        """Wait for a sealing under way; keep what is known for the next start."""
        if self._thread:
            self._thread.join(20.0)
        super().end()


def _done(ref: Any, result: Trimmed | Exception | None) -> None:
    tell(ref, Done(result))

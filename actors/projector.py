"""Follows the log into the warehouse, keeps the anchor, answers SQL."""

import logging
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
from msgspec import Struct

from actors.allocator import trim_heap
from actors.archivist import Stored
from actors.clock import Clock
from actors.feed import Chunk, Subscription
from actors.runtime import Actor, Watcher, tell
from actors.tables_out import TablesOut
from events.envelope import Malformed, Recorded
from events.observations import Quarantined
from projections import anchor
from projections.published import Published
from projections.query import OutOfTime, run
from projections.segments import SegmentDamaged
from projections.warehouse import Warehouse
from projections.warehouse_file import MEMORY, WarehouseError

_log = logging.getLogger("elf.projector")

_FLUSH_EVERY_S = 0.25
_NEEDED = 16 << 20
_FLUSH_AT, _FLUSH_BYTES = 500, 4 << 20
_SOME, _MANY = 2_000, 4_000
"""With so many events the rows that only memory holds are put into the file: in a quiet moment, at once.

They take 1 MB a thousand; putting 4,000 away takes 30 to 190 ms, now and then 0.7 s, of this thread.
"""
_QUIET_S = 0.5
_FEW = 50
"""With fewer events in that time there is nothing else to do."""


class Ask(Struct, frozen=True):
    """Run one reading statement on everything taken so far; `reply` gets the answer as plain values."""

    sql: str
    params: Sequence[Any]
    limit: int
    reply: Callable[[dict[str, Any]], None]


class Publish(Struct, frozen=True):
    """Publish the tables for other programs; `reply` gets where and as of which position."""

    reply: Callable[[dict[str, Any]], None]


class Settle(Struct, frozen=True):
    """Give memory back, when little came since this position."""

    since: int


class Projector(Actor):
    """Owns the DuckDB file. Rows, checkpoint and hash move in one transaction a batch."""

    def __init__(
        self,
        watcher: Watcher,
        data: Path,
        clock: Clock,
        subscribe: Callable[[Subscription], None],
        quarantine: Callable[[Quarantined], None],
        stored: Callable[[Stored], object],
        memory: str = MEMORY,
        publish_every_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        super().__init__("projector", watcher)
        self._data = data
        self._clock = clock
        self._subscribe = subscribe
        self._quarantine = quarantine
        self._tell_stored = stored
        self._memory = memory
        self._waiting: list[Recorded] = []
        self._size = 0
        self._timed = self._settling = False
        self._tables = TablesOut(data, clock, publish_every_s, lambda message: _tell(self.actor_ref, message))
        self._subscription: Subscription
        self.warehouse: Warehouse

    def begin(self) -> None:
        """Open the warehouse and ask for what it does not have yet."""
        self.warehouse = Warehouse.open(self._data / "warehouse.duckdb", memory=self._memory)
        self.position = self.warehouse.checkpoint
        ref = self.actor_ref
        self._subscription = Subscription(self.name, self.position, lambda chunk: tell(ref, chunk))
        self._subscribe(self._subscription)
        self._tables.begin()

    def handle(self, message: Any) -> Any:
        """Take events and questions."""
        match message:
            case Chunk(events=events):
                self._take(events)
            case "flush":
                self._timed = False
                self._flush()
            case Settle(since=since):
                self._settle(since)
            case "asked":
                self._settle_later()
            case Ask():
                self._flush()
                self._answer(message)
            case Publish(reply=reply):
                self._flush()
                self._tables.ask(self.warehouse, reply)
            case "publish":
                self._tables.look(self.warehouse)
            case Published() | duckdb.Error() | OSError() | WarehouseError() | SegmentDamaged():
                self._tables.done(message)
            case _:
                return super().handle(message)
        return None

    def _take(self, events: Sequence[Recorded]) -> None:
        self._waiting.extend(events)
        for event in events:
            self._size += len(event.data)
            if isinstance(event.body, Malformed):
                self._set_aside(event, event.body)
        self.position = events[-1].position
        if len(self._waiting) >= _FLUSH_AT or self._size >= _FLUSH_BYTES:
            self._flush()
        else:
            self._flush_later()

    def _flush_later(self) -> None:
        if not self._timed:
            self._timed = True
            ref = self.actor_ref
            self._clock.later(_FLUSH_EVERY_S, lambda: _flush(ref))

    def _set_aside(self, event: Recorded, body: Malformed) -> None:
        sample = event.data[:200].decode("utf-8", "replace")
        self._quarantine(
            Quarantined(position=event.position, subject=event.subject, reason=body.reason, sample=sample)
        )

    def _flush(self) -> None:
        if not self._waiting:
            return
        if shutil.disk_usage(self._data).free < _NEEDED:
            # A commit that fails would cost the file's connection; what waits here is in the log.
            self._flush_later()
            return
        batch, self._waiting = self._waiting, []
        size, self._size = self._size, 0
        self.warehouse.add(batch)
        anchor.write(anchor.path_in(self._data), self.warehouse.anchor)
        self._subscription.taken = self.position
        self._tell_stored(Stored(self.warehouse.checkpoint, size, self.warehouse))
        if self.warehouse.unsettled >= _MANY:
            self.warehouse.settle()
        elif self.warehouse.unsettled >= _SOME:
            self._settle_later()

    def _settle_later(self) -> None:
        if not self._settling:
            self._settling = True
            ref, message = self.actor_ref, Settle(self.position)
            self._clock.later(_QUIET_S, lambda: _tell(ref, message))

    def _settle(self, since: int) -> None:
        self._settling = False
        if self.position - since >= _FEW:
            self._settle_later()
            return
        if self.warehouse.unsettled >= _SOME:
            self.warehouse.settle()
        else:
            self.warehouse.let_go()
        trim_heap()

    def _answer(self, question: Ask) -> None:
        """Run the statement in a thread of its own: the log goes on being taken while somebody asks for much."""
        warehouse, ref = self.warehouse, self.actor_ref
        position = warehouse.checkpoint

        def work() -> None:
            try:
                with warehouse.reading() as cursor:
                    table = run(cursor, question.sql, question.params, question.limit)
                answer = {
                    "ok": True,
                    "columns": table.columns,
                    "types": table.types,
                    "rows": table.rows,
                    "truncated": table.truncated,
                    "position": position,
                }
            except Exception as problem:
                # As for a stopped folder: what took too long cannot be said, what is wrong is wrong.
                answer = {
                    "ok": False,
                    "error": str(problem),
                    "code": 5 if isinstance(problem, OutOfTime) else 2,
                }
            question.reply(answer)
            _tell(ref, "asked")

        threading.Thread(target=work, name="elf-sql").start()

    def end(self) -> None:
        """Write what is left and give the file back."""
        if hasattr(self, "warehouse"):
            try:
                self._flush()
            finally:
                self.warehouse.close()
                self._tables.end()


def _flush(ref: Any) -> None:
    tell(ref, "flush")


def _tell(ref: Any, message: object) -> None:
    tell(ref, message)

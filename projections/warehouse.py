"""DuckDB as a reader of the log: its bytes, typed tables and the views over them in one disposable file."""

import gc
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from events.codec import decode, pieces
from events.envelope import Recorded
from projections import definitions, rebuilding
from projections.anchor import Anchor
from projections.appending import Writer
from projections.chain import Chain
from projections.facts import Facts
from projections.rebuilding import Keep, Progress, marks, store_facts
from projections.rows import Rows, micros, rows_of, tame
from projections.warehouse_file import (
    INTERRUPT_EVERY_S,
    MEMORY,
    WarehouseDamaged,
    WarehouseError,
    close,
    connect,
    damaged,
)

_KEPT = "4MB"
"""So much of the file may stay in memory when nobody asks."""

_SET_CHECKPOINT = (
    "UPDATE checkpoint SET position = ?, head = ?, count = ?, time = ?, forest = ?, holder = ?, epoch = ?,"
    " marks = ?"
)
_FIRST_CHECKPOINT = "INSERT INTO checkpoint VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_READ = 2_000
"""Events that a reader beside the node's work gets at once."""
_RAW = ("position", "subject", "time", "data")
TABLES_KEY, VIEWS_KEY = "tables", "views"


class Warehouse:
    """One DuckDB file that follows the log. One thread uses it; every other is lent a cursor by `reading()`.

    The tables, the checkpoint and the running hash move together, in one transaction a batch.
    """

    def __init__(
        self, path: Path, connection: duckdb.DuckDBPyConnection, memory: str = MEMORY, *, read_only: bool
    ) -> None:
        self.path = path
        self._memory = memory
        self.read_only = read_only
        self._connection = connection
        # Cursors for others are made from one that never runs anything: a busy connection makes none.
        self._door = connection.cursor()
        self._lock = threading.Lock()
        self._cursors: weakref.WeakSet[duckdb.DuckDBPyConnection] = weakref.WeakSet()
        self._writer: Writer | None = None
        self._chain, self._time, self._marks, self._facts = Chain(), 0, 0, Facts()
        self._unsettled = self._readers = 0
        self._closed = False

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        memory: str = MEMORY,
        threads: int = 1,
        read_only: bool = False,
        progress: Progress | None = None,
    ) -> "Warehouse":
        """Open or create the file. Another release's views are replaced, its tables made from the bytes.

        `memory` bounds DuckDB's own buffers, `progress` hears of a rebuild. Raises WarehouseLocked when
        another process has the file, WarehouseDamaged when it cannot be read, ChainBroken as `rebuild` does.
        """
        warehouse = cls(path, connect(path, memory, threads, read_only), memory, read_only=read_only)
        try:
            warehouse._prepare(progress)
        except duckdb.Error as problem:
            warehouse.close()
            raise damaged(path, problem) from problem
        except BaseException:
            warehouse.close()
            raise
        return warehouse

    @property
    def checkpoint(self) -> int:
        """The position of the last event that is in."""
        return self._chain.position

    @property
    def chain(self) -> Chain:
        """The running hash at the checkpoint, as a copy."""
        return self._chain.copy()

    @property
    def anchor(self) -> Anchor:
        """What the anchor file has to say after the last batch."""
        chain = self._chain
        return Anchor(position=chain.position, head=chain.head_hex, count=chain.count, time=self._time)

    def add(self, batch: Sequence[Recorded]) -> None:
        """Take the next events: all of the batch or, after any error, nothing.

        Raises Gap or Regression unless the batch goes on from the checkpoint without a hole.
        """
        if not batch:
            return
        chain = self._chain.copy()
        chain.extend(batch)
        rows = rows_of(batch, self._facts)
        last = micros(batch[-1].time)
        try:
            try:
                self._store(rows, chain, last)
            except duckdb.Error:
                bounded = tame(rows)
                if bounded == rows:
                    raise
                # Somebody wrote a number or a text that no column holds: it is bounded, its bytes stay.
                self._store(bounded, chain, last)
        except BaseException:
            self._facts = self._stored_facts()
            raise
        self._chain, self._time = chain, last
        self._unsettled += len(batch)

    @property
    def unsettled(self) -> int:
        """So many events at most have rows that only memory and the journal hold."""
        return self._unsettled

    def settle(self) -> None:
        """Put the rows that only memory and the journal hold into the file's tables, while others read."""
        # Tables of what happens now and then have appenders too, each with room for 2,048 rows.
        self._writer = None
        if self._checkpoint_file():
            self._unsettled = 0
        self.let_go()

    def let_go(self) -> None:
        """Drop what of the file is kept in memory for the next question, unless somebody asks just now."""
        with self._lock:
            if self._readers or self.read_only or self._closed:
                return
            for limit in (_KEPT, self._memory):
                # What is in use just now is more than that: it goes another time.
                with suppress(duckdb.OutOfMemoryException):
                    self._connection.execute(f"SET GLOBAL memory_limit = '{limit}'")

    def events(self, after: int = 0, until: int | None = None) -> Iterator[Sequence[Recorded]]:
        """Yield what is stored behind `after`, up to and with `until`, in log order. Any thread may read."""
        for rows in self.rows(after, until):
            for piece in pieces(rows):
                yield [decode(position, subject, data) for position, subject, _, data in piece]

    def rows(self, after: int = 0, until: int | None = None) -> Iterator[list[tuple[int, str, int, bytes]]]:
        """Yield position, subject, time and bytes of what `events` gives. Any thread may read."""
        end = self.checkpoint if until is None else min(until, self.checkpoint)
        with self.reading() as cursor:
            yield from rebuilding.pages(cursor, _RAW, after, end, _READ)

    def rebuild(self, progress: Progress | None = None) -> None:
        """Make every table again from the stored bytes, all or nothing, and verify the chain on the way.

        Raises ChainBroken when the bytes are not those that the checkpoint speaks of.
        """
        keep, bounded = self._how_to_keep(), False
        while True:
            try:
                self._rebuild(keep, bounded, progress)
                break
            except rebuilding.LogDiffers:
                keep = "none"
            except duckdb.Error:
                # Perhaps somebody wrote what no column holds, as in `add`; a transaction ends with an error.
                if bounded:
                    raise
                bounded = True
        self._checkpoint_file()

    def _checkpoint_file(self) -> bool:
        try:
            self._connection.execute("CHECKPOINT")
        except duckdb.TransactionException:
            # Somebody is in the way: room and memory come back later, at the next automatic checkpoint at the latest.
            return False
        return True

    def _how_to_keep(self) -> Keep:
        """The log's rows are trusted when this release has made them and nobody has touched them since."""
        connection = self._connection
        if not rebuilding.can_keep(connection):
            return "none"
        meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
        if meta.get(TABLES_KEY) != definitions.tables_digest():
            return "compared"
        stored = connection.execute("SELECT marks FROM checkpoint").fetchall()[0][0]
        return "trusted" if stored == marks(connection) else "compared"

    def _rebuild(self, keep: Keep, bounded: bool, progress: Progress | None) -> None:
        connection = self._connection
        self._writer = None
        collecting = gc.isenabled()
        connection.begin()
        try:
            # Nothing here makes cycles: looking for them in every page would cost a tenth of the time.
            gc.disable()
            facts = rebuilding.rebuild(connection, self._chain, keep, bounded, progress)
            found = marks(connection)
            connection.execute(_FIRST_CHECKPOINT, _checkpoint(self._chain, self._time, facts, found))
            self._make_views()
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
        finally:
            if collecting:
                gc.enable()
        self._facts, self._marks = facts, found

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return a connection of its own for the calling thread; `close()` interrupts what it still runs."""
        with self._lock:
            if self._closed:
                raise WarehouseError(f"expected {self.path} to be open, got a closed warehouse")
            cursor = self._door.cursor()
            self._cursors.add(cursor)
            return cursor

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Lend a cursor; as long as it is out, what it reads stays in memory."""
        with self._lock:
            self._readers += 1
        try:
            cursor = self.cursor()
            try:
                yield cursor
            finally:
                cursor.close()
        finally:
            with self._lock:
                self._readers -= 1

    def close(self) -> None:
        """Interrupt every running query and give the file back. Any thread may call it, also again."""
        with self._lock:
            self._closed = True
            everyone = [*self._cursors, self._door, self._connection]
        self._writer = None
        closed = threading.Event()

        def interrupt() -> None:
            # A query of another thread may begin after a first interrupt, and closing then waits for it.
            while not closed.wait(INTERRUPT_EVERY_S):
                for connection in everyone:
                    with suppress(duckdb.Error):
                        connection.interrupt()

        thread = threading.Thread(target=interrupt, name="warehouse-close")
        thread.start()
        try:
            for connection in everyone:
                close(connection)
        finally:
            closed.set()
            thread.join()

    def __enter__(self) -> "Warehouse":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _store(self, rows: Rows, chain: Chain, last: int) -> None:
        connection = self._connection
        writer = self._writer = self._writer or Writer(connection)
        connection.begin()
        try:
            writer.write(rows)
            store_facts(connection, self._facts)
            found = self._marks ^ marks(connection, self._chain.position)
            connection.execute(_SET_CHECKPOINT, _checkpoint(chain, last, self._facts, found))
            connection.commit()
        except BaseException:
            writer.clear()
            connection.rollback()
            raise
        self._marks = found

    def _stored_facts(self) -> Facts:
        """Return the facts at the checkpoint."""
        facts = Facts()
        facts.restore(self._connection.execute("SELECT name, state FROM fact").fetchall())
        lead = self._connection.execute("SELECT forest, holder, epoch, marks FROM checkpoint").fetchall()[0]
        facts.lead.now, facts.lead.holder, facts.lead.epoch, self._marks = lead
        return facts

    def _prepare(self, progress: Progress | None) -> None:
        """Bring tables and views to this release and take up the thread at the checkpoint."""
        connection = self._connection
        there = {row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        if not there and not self.read_only:
            self._create()
        elif not {"meta", "checkpoint", "log"} <= there:
            raise WarehouseDamaged(
                f"expected a warehouse in {self.path}, got {_names(there)}; try another file"
            )
        row = connection.execute("SELECT position, head, count, time FROM checkpoint").fetchone()
        if row is None:
            raise WarehouseDamaged(
                f"expected a checkpoint in {self.path}, got none; delete it to fill it again"
            )
        position, head, count, self._time = row
        self._chain = Chain(position, bytes.fromhex(head), count)
        meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
        tables = meta.get(TABLES_KEY) == definitions.tables_digest()
        views = meta.get(VIEWS_KEY) == definitions.views_digest()
        if self.read_only and not (tables and views):
            raise WarehouseError(
                f"expected tables of this release in {self.path}, got others; open it for writing"
            )
        if not tables:
            self.rebuild(progress)
            return
        if not views:
            connection.begin()
            self._make_views()
            connection.commit()
        self._facts = self._stored_facts()

    def _create(self) -> None:
        connection = self._connection
        connection.begin()
        for statement in definitions.tables().values():
            connection.execute(statement)
        connection.execute(_FIRST_CHECKPOINT, _checkpoint(Chain(), 0, Facts(), 0))
        self._make_views()
        connection.commit()

    def _make_views(self) -> None:
        connection = self._connection
        found = connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        for (name,) in found:
            connection.execute(f'DROP VIEW "{name}"')
        for statement in definitions.views().values():
            connection.execute(statement)
        connection.execute("DELETE FROM meta")
        digests = [TABLES_KEY, definitions.tables_digest(), VIEWS_KEY, definitions.views_digest()]
        connection.execute("INSERT INTO meta VALUES (?, ?), (?, ?)", digests)


def _checkpoint(chain: Chain, last: int, facts: Facts, found: int) -> list[object]:
    lead = facts.lead
    return [chain.position, chain.head_hex, chain.count, last, lead.now, lead.holder, lead.epoch, found]


def _names(tables: set[str]) -> str:
    return f"the tables {', '.join(sorted(tables)[:5])}" if tables else "no tables"

"""Rows into tables, many at a time."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from projections.columns import COLUMNS, COUNTS, Row, Rows


class Appender(Protocol):
    """What DuckDB gives for putting rows into one table."""

    def append_rows(self, rows: list[Row], /) -> None:
        """Buffer rows."""

    def flush(self) -> None:
        """Put the buffered rows into the table, within the transaction that is open."""

    def clear(self) -> None:
        """Drop the buffered rows."""


class Answer(Protocol):
    """What a statement gives."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all rows."""


class Connection(Protocol):
    """What gives appenders."""

    def appender(self, table: str, /) -> Appender:
        """Return an appender to a table."""

    def query_appender(self, dml: str, columns: dict[str, str], /) -> Appender:
        """Return an appender that runs a statement over its rows, `appender_data`, of columns of these types."""

    def execute(self, query: str, parameters: Sequence[object] = (), /) -> Answer:
        """Run one statement."""


def wide(connection: Connection, table: str) -> Appender:
    """Return an appender that takes whatever the table holds."""
    return connection.appender(table)


def narrow(connection: Connection, table: str) -> Appender:
    """Return an appender that refuses counts of more than 32 bits, and takes the others several times as fast.

    DuckDB makes 32 bits of every number that fits, and converts each one by itself where a column has 64; here it
    converts them all at once. Raises duckdb.Error when a row comes that does not fit.
    """
    described = connection.execute(f"DESCRIBE {table}").fetchall()
    types = {name: "INTEGER" if name in COUNTS else kind for name, kind, *_ in described}
    return connection.query_appender(f"INSERT INTO {table} SELECT * FROM appender_data", types)  # noqa: S608


class Writer:
    """One appender for each table that got a row, all on one connection."""

    def __init__(
        self,
        connection: Connection,
        instead: dict[str, str] | None = None,
        many: int = 1,
        made: Callable[[Connection, str], Appender] = wide,
    ) -> None:
        self._connection = connection
        self._instead = instead or {}
        self._made = made
        # An appender holds room for 2,048 rows: 7 MB for all tables, most of which a small forest never fills.
        self._appenders: dict[str, Appender] = {}
        self._many = many
        self._waiting = dict.fromkeys(COLUMNS, 0)

    def write(self, rows: Rows) -> None:
        """Append all rows; a table sees them once `many` wait for it, at the latest with `flush`.

        After an error the transaction must be rolled back and `clear` called.
        """
        for table, kept in rows.items():
            if kept:
                self._appender(table).append_rows(kept)
                self._waiting[table] += len(kept)
                if self._waiting[table] >= self._many:
                    self._flush(table)

    def _appender(self, table: str) -> Appender:
        appender = self._appenders.get(table)
        if appender is None:
            appender = self._made(self._connection, self._instead.get(table, table))
            self._appenders[table] = appender
        return appender

    def flush(self) -> None:
        """Let every table see what waits for it. Errors as with `write`."""
        for table, count in self._waiting.items():
            if count:
                self._flush(table)

    def _flush(self, table: str) -> None:
        self._waiting[table] = 0
        self._appenders[table].flush()

    def clear(self) -> None:
        """Forget what was not stored."""
        for appender in self._appenders.values():
            appender.clear()
        self._waiting = dict.fromkeys(COLUMNS, 0)

    def close(self) -> None:
        """Let go of the tables, so that they may be dropped or renamed."""
        self._appenders.clear()

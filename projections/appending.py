"""Rows into tables, many at a time."""

from typing import Protocol

from projections.columns import COLUMNS, Row, Rows


class Appender(Protocol):
    """What DuckDB gives for putting rows into one table."""

    def append_rows(self, rows: list[Row], /) -> None:
        """Buffer rows."""

    def flush(self) -> None:
        """Put the buffered rows into the table, within the transaction that is open."""

    def clear(self) -> None:
        """Drop the buffered rows."""


class Connection(Protocol):
    """What gives appenders."""

    def appender(self, table: str, /) -> Appender:
        """Return an appender to a table."""


class Writer:
    """One appender for each table that got a row, all on one connection."""

    def __init__(self, connection: Connection, instead: dict[str, str] | None = None, many: int = 1) -> None:
        self._connection = connection
        self._instead = instead or {}
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
            appender = self._appenders[table] = self._connection.appender(self._instead.get(table, table))
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

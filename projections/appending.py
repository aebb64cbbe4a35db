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
    """One appender a table, all on one connection."""

    def __init__(self, connection: Connection, instead: dict[str, str] | None = None, many: int = 1) -> None:
        self._appenders = {table: connection.appender((instead or {}).get(table, table)) for table in COLUMNS}
        self._many = many
        self._waiting = dict.fromkeys(COLUMNS, 0)

    def write(self, rows: Rows) -> None:
        """Append all rows; a table sees them once `many` wait for it, at the latest with `flush`.

        After an error the transaction must be rolled back and `clear` called.
        """
        for table, kept in rows.items():
            if kept:
                self._appenders[table].append_rows(kept)
                self._waiting[table] += len(kept)
                if self._waiting[table] >= self._many:
                    self._flush(table)

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
        for table, appender in self._appenders.items():
            appender.clear()
            self._waiting[table] = 0

    def close(self) -> None:
        """Let go of the tables, so that they may be dropped or renamed."""
        self._appenders.clear()

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

    def __init__(self, connection: Connection, instead: dict[str, str] | None = None) -> None:
        self._appenders = {table: connection.appender((instead or {}).get(table, table)) for table in COLUMNS}

    def write(self, rows: Rows) -> None:
        """Append all rows. After an error the transaction must be rolled back and `clear` called."""
        for table, kept in rows.items():
            if kept:
                appender = self._appenders[table]
                appender.append_rows(kept)
                appender.flush()

    def clear(self) -> None:
        """Forget what was not stored."""
        for appender in self._appenders.values():
            appender.clear()

    def close(self) -> None:
        """Let go of the tables, so that they may be dropped or renamed."""
        self._appenders.clear()

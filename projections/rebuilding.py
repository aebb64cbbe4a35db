"""Every table made again from the log's bytes, inside the transaction of whoever asks."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from events.codec import decode
from projections import definitions
from projections.appending import Connection, Writer
from projections.chain import Altered, Chain
from projections.rows import COLUMNS, Forest, rows_of, tame

PAGE = 4_000
"""Events that are read at once: what a reader holds in memory."""

Progress = Callable[[int, int], None]
"""Called with (events done, events in all)."""


class LogDiffers(Exception):
    """The columns of the log do not hold what this release takes from its bytes."""


class Answer(Protocol):
    """What a statement gives."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all rows."""


class Database(Connection, Protocol):
    """What tables are made again in."""

    def execute(self, query: str, parameters: Sequence[object] = (), /) -> Answer:
        """Run one statement."""


def rows_between(database: Database, columns: str, after: int, until: int) -> list[tuple[Any, ...]]:
    """Return these columns of the log behind `after`, up to and with `until`, in log order."""
    sql = f"SELECT {columns} FROM log WHERE position > ? AND position <= ? ORDER BY position"  # noqa: S608
    return database.execute(sql, [after, until]).fetchall()


def columns_of(database: Database, table: str) -> tuple[str, ...]:
    """Return the columns that a table has."""
    return tuple(row[0] for row in database.execute(f"DESCRIBE {table}").fetchall())


def rebuild(
    database: Database, known: Chain, keep: bool, bounded: bool, progress: Progress | None = None
) -> Forest:
    """Fill new tables up to the head of `known` and return the forest time there.

    With `keep` the log's own rows stay as they are, else they are written again too; with `bounded` what no column
    holds is brought within bounds before. After an error the transaction must be rolled back. Raises LogDiffers
    when the log's rows cannot be kept, ChainBroken when its bytes do not lead to the known head.
    """
    chain, forest = Chain(), Forest()
    _empty_tables(database, keep)
    writer = Writer(database, {} if keep else {"log": "log_next"})
    try:
        while chain.position < known.position:
            until = min(chain.position + PAGE, known.position)
            stored = rows_between(database, "*" if keep else "position, subject, data", chain.position, until)
            page = [decode(*row[:3]) for row in stored]
            chain.extend(page)
            rows, forest = rows_of(page, forest)
            rows = tame(rows) if bounded else rows
            if keep and rows.pop("log") != stored:
                raise LogDiffers
            writer.write(rows)
            if progress:
                progress(until, known.position)
    except BaseException:
        writer.clear()
        raise
    if chain != known:
        raise Altered(
            f"expected head {known.head_hex} at {known.position}, got {chain.head_hex}",
            chain.position,
            known.position,
        )
    writer.close()
    if not keep:
        database.execute("DROP TABLE log")
        database.execute("ALTER TABLE log_next RENAME TO log")
    return forest


def can_keep(database: Database) -> bool:
    """Tell whether the log has the columns that it should have."""
    return columns_of(database, "log") == COLUMNS["log"]


def _empty_tables(database: Database, keep: bool) -> None:
    """Create every table anew; the log stays, and unless `keep` a new one stands beside it as `log_next`."""
    for table, statement in definitions.tables().items():
        if table != "log":
            database.execute(f"DROP TABLE IF EXISTS {table}")
            database.execute(statement)
        elif not keep:
            database.execute(statement.replace("CREATE TABLE log", "CREATE TABLE log_next"))

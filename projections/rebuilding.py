"""Every table made again from the log's bytes, inside the transaction of whoever asks."""

from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any, Literal

from events.codec import decode, pieces
from projections import definitions
from projections.appending import Connection, Writer, narrow, wide
from projections.chain import Altered, Chain
from projections.facts import Facts
from projections.rows import COLUMNS, rows_of, tame, tamed

PAGE, PAGE_BYTES = 8_000, 8 << 20
"""Events that are read at once, and so many bytes of them about: what a reader holds in memory."""

_FIRST = 250

_MANY = 20_000
"""Rows that go into a table at once: each time costs a statement."""

_LAST = 2**31 - 1
"""The last position of 32 bits."""

Keep = Literal["trusted", "compared", "none"]
"""Keep the log's rows as they are, keep them if they are what its bytes give, or write them again."""

Progress = Callable[[int, int], None]
"""Called with (events done, events in all)."""


_POSITION = itemgetter(0)


class LogDiffers(Exception):
    """The columns of the log do not hold what this release takes from its bytes."""


def rows_between(database: Connection, columns: str, after: int, until: int) -> list[tuple[Any, ...]]:
    """Return these columns, the position first, of the log behind `after`, up to and with `until`, in log order."""
    sql = f"SELECT {columns} FROM log WHERE position > ? AND position <= ?"  # noqa: S608
    rows = database.execute(sql, [after, until]).fetchall()
    # They nearly always stand in this order, which sorting here notices at once and the database does not.
    rows.sort(key=_POSITION)
    return rows


def pages(
    database: Connection, columns: Sequence[str], after: int, until: int, most: int = PAGE
) -> Iterator[list[tuple[Any, ...]]]:
    """Yield these columns, position and data among them, of the log behind `after`, up to and with `until`.

    A page has as many events as fit by the length of those before it, at the most `most`.
    """
    count, data = _FIRST, columns.index("data")
    while after < until:
        last = min(after + count, until)
        rows = rows_between(database, ", ".join(columns), after, last)
        yield rows
        size = sum(len(row[data]) for row in rows)
        count = max(1, min(most, count * 4, count * PAGE_BYTES // max(1, size)))
        after = last


def columns_of(database: Connection, table: str) -> tuple[str, ...]:
    """Return the columns that a table has."""
    return tuple(row[0] for row in database.execute(f"DESCRIBE {table}").fetchall())


def rebuild(
    database: Connection, known: Chain, keep: Keep, bounded: bool, progress: Progress | None = None
) -> Facts:
    """Fill new tables up to the head of `known` and return the facts there, which are stored too.

    `keep` says what becomes of the log's own rows; with `bounded` what no column holds is brought within bounds
    before, without it no count may be longer than 32 bits. After an error the transaction must be rolled back. Raises
    LogDiffers when the log's rows cannot be kept, ChainBroken when its bytes do not lead to the known head.
    """
    chain, facts = Chain(), Facts()
    _empty_tables(database, keep != "none")
    fits = not bounded and known.position <= _LAST
    writer = Writer(
        database, {} if keep != "none" else {"log": "log_next"}, _MANY, made=narrow if fits else wide
    )
    try:
        columns = COLUMNS["log"] if keep == "compared" else ("position", "subject", "data")
        for read in pages(database, columns, 0, known.position):
            for stored in pieces(read):
                page = [decode(*row[:3]) for row in stored]
                chain.extend(page)
                rows = rows_of(page, facts, logged=keep != "trusted")
                rows = tame(rows) if bounded else rows
                if keep != "none":
                    made = rows.pop("log")
                    if keep == "compared" and made != stored:
                        raise LogDiffers
                writer.write(rows)
            facts.book.touched.clear()
            if len(read) < _FIRST:
                # They are long: what waits for a table would be as well.
                writer.flush()
            if progress:
                progress(chain.position, known.position)
        writer.flush()
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
    if keep == "none":
        database.execute("DROP TABLE log")
        database.execute("ALTER TABLE log_next RENAME TO log")
    store_facts(database, facts, everything=True)
    return facts


def store_facts(database: Connection, facts: Facts, *, everything: bool = False) -> None:
    """Bring the table of facts to what they are now."""
    gone, kept = facts.changes(everything)
    if gone and not everything:
        database.execute(
            "DELETE FROM fact WHERE name IN (SELECT unnest(?))",
            [[str(row[0]) for row in tamed([(name,) for name in gone])]],
        )
    if kept:
        appender = database.appender("fact")
        appender.append_rows(tamed(kept))
        appender.flush()


def marks(database: Connection, after: int = 0) -> int:
    """Return a fingerprint of the log's columns beside its bytes, of the rows behind a position."""
    columns = ", ".join(name for name in COLUMNS["log"] if name != "data")
    sql = f"SELECT coalesce(bit_xor(hash({columns})), 0) FROM log WHERE position > ?"  # noqa: S608
    return int(database.execute(sql, [after]).fetchall()[0][0])


def can_keep(database: Connection) -> bool:
    """Tell whether the log has the columns that it should have."""
    return columns_of(database, "log") == COLUMNS["log"]


def _empty_tables(database: Connection, keep: bool) -> None:
    """Create every table anew; the log stays, and unless `keep` a new one stands beside it as `log_next`."""
    for kind, name in _standing(database):
        if name != "log":
            database.execute(f'DROP {kind} "{name}"')
    for table, statement in definitions.tables().items():
        if table != "log":
            database.execute(statement)
        elif not keep:
            database.execute(statement.replace("CREATE TABLE log", "CREATE TABLE log_next"))


def _standing(database: Connection) -> list[tuple[Any, ...]]:
    """Return kind and name of every view and table; another release may have had others."""
    return database.execute(
        "SELECT 'VIEW', view_name FROM duckdb_views() WHERE NOT internal AND database_name = current_database()"
        " UNION ALL SELECT 'TABLE', table_name FROM duckdb_tables() WHERE database_name = current_database()"
    ).fetchall()

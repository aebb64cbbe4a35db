"""What DuckDB gives: rows made beforehand into one wide table by the appender, a transaction for every page."""

import time
from collections.abc import Sequence
from pathlib import Path

import duckdb

Row = tuple[object, ...]
TABLE = (
    "CREATE TABLE log (position BIGINT, subject VARCHAR, data BLOB, id VARCHAR, time BIGINT, forest BIGINT,"
    " type VARCHAR, source VARCHAR, entity VARCHAR, cause VARCHAR, correlation VARCHAR)"
)


def rows_per_second(path: Path, rows: Sequence[Row], page: int, memory: str) -> float:
    """Append all rows, one thread."""
    with duckdb.connect(str(path), config={"threads": 1, "memory_limit": memory}) as connection:
        connection.execute(TABLE)
        appender = connection.appender("log")
        began = time.perf_counter()
        for start in range(0, len(rows), page):
            connection.begin()
            appender.append_rows(list(rows[start : start + page]))
            appender.flush()
            connection.commit()
        took = time.perf_counter() - began
        del appender
    return len(rows) / took

"""The tables as a DuckDB file of their own, for any program to read while the node goes on."""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import duckdb
from msgspec import Struct

from projections import definitions
from projections.segments import Segments
from projections.warehouse import Warehouse
from projections.warehouse_file import MEMORY, PUBLISHED

NAME = "kpi.duckdb"
FORMAT = "v1.4.0"
"""The oldest release of DuckDB that can read the file."""

_NEXT = "next.duckdb"
_ATTACHED = "published"


class Published(Struct, frozen=True):
    """A file as it was published: up to which position it follows the log, and what that took."""

    path: Path
    position: int
    seconds: float


def path_in(data: Path) -> Path:
    """Return where the file stands in a data folder."""
    return data / PUBLISHED / NAME


def publish(warehouse: Warehouse, segments: Segments | None) -> Published:
    """Write all tables as of one position beside the last file and put the new one in its place.

    Who has the last one open goes on reading it. Bytes of events that are sealed are not copied: `events` reads them
    from the segments. Any thread may call it, one at a time. Raises duckdb.Error, OSError.
    """
    began = time.monotonic()
    folder = warehouse.path.parent / PUBLISHED
    folder.mkdir(mode=0o700, exist_ok=True)
    fresh, path = folder / _NEXT, folder / NAME
    _remove(fresh)
    sealed = [(segment.name, segment.last) for segment in segments.all] if segments else []
    files = [str(segments.folder.resolve() / name) for name, _ in sealed] if segments else []
    try:
        position = _copy(warehouse, fresh, sealed[-1][1] if sealed else 0)
        _add_views(fresh, files)
        # What somebody wrote into the last file has no place in the new one.
        _wal(path).unlink(missing_ok=True)
        os.replace(fresh, path)
    finally:
        _remove(fresh)
    return Published(path, position, time.monotonic() - began)


def _copy(warehouse: Warehouse, fresh: Path, sealed: int) -> int:
    """Copy every table in one transaction; returns its position."""
    with warehouse.reading() as cursor:
        ((database,),) = cursor.execute("SELECT current_database()").fetchall()
        cursor.execute(f"ATTACH {_text(fresh)} AS {_ATTACHED} (STORAGE_VERSION '{FORMAT}')")
        try:
            cursor.begin()
            for table in definitions.tables():
                kept = (
                    f"REPLACE (CASE WHEN position > {sealed} THEN data END AS data)" if table == "log" else ""
                )
                cursor.execute(
                    f'CREATE TABLE {_ATTACHED}.{table} AS SELECT * {kept} FROM "{database}".{table}'  # noqa: S608
                )
            ((position,),) = cursor.execute(f"SELECT position FROM {_ATTACHED}.checkpoint").fetchall()  # noqa: S608
            cursor.commit()
        finally:
            with suppress(duckdb.Error):
                cursor.rollback()
            cursor.execute(f"DETACH {_ATTACHED}")
        return int(position)


def _add_views(fresh: Path, files: Sequence[str]) -> None:
    connection = duckdb.connect(str(fresh), config={"threads": 1, "memory_limit": MEMORY})
    try:
        if files:
            connection.execute(
                "CREATE VIEW sealed AS SELECT position, data FROM read_parquet("  # noqa: S608
                f"[{', '.join(map(_text, files))}])"
            )
        for name, statement in definitions.views().items():
            if name == "events" and files:
                whole = (
                    "(SELECT l.* REPLACE (coalesce(l.data, s.data) AS data)"
                    " FROM log l LEFT JOIN sealed s ON s.position = l.position)"
                )
                connection.execute(statement.replace("FROM log;", f"FROM {whole};"))
            else:
                connection.execute(statement)
        connection.execute("CHECKPOINT")
    finally:
        connection.close()


def _text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _wal(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    _wal(path).unlink(missing_ok=True)

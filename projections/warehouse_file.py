"""The DuckDB file itself: opened with settings that nobody can change, closed under those who read."""

import threading
from contextlib import suppress
from pathlib import Path

import duckdb

MEMORY = "2GB"
"""What DuckDB's own buffers may take at most: it works on 2,048 rows at once, and an event may have 256 KiB."""
INTERRUPT_EVERY_S = 0.005
PUBLISHED = "kpi"
"""The folder beside the file that copies may be written to, and no other."""


class WarehouseError(Exception):
    """The file cannot be used as it is."""


class WarehouseLocked(WarehouseError):
    """Another process holds the file."""


class WarehouseDamaged(WarehouseError):
    """The file is no warehouse, or not whole; it may be deleted and filled again from the log."""


def connect(path: Path, memory: str, threads: int, read_only: bool) -> duckdb.DuckDBPyConnection:
    """Open or create the file and lock what may be set. Raises WarehouseLocked, WarehouseDamaged."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "python_enable_replacements": False,
        "preserve_insertion_order": False,
        "memory_limit": memory,
        "threads": threads,
        # What is freed goes back to the machine though nobody asks for more.
        "allocator_background_threads": True,
        # Most tables are small, and no column takes less than a block.
        "default_block_size": 65_536,
    }
    try:
        connection = duckdb.connect(str(path), read_only=read_only, config=config)
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        folder = str(path.absolute().parent / PUBLISHED).replace("'", "''")
        connection.execute(f"SET GLOBAL allowed_directories = ['{folder}/']")
        connection.execute("SET GLOBAL enable_external_access = false")
        connection.execute("SET GLOBAL allowed_configs = ['memory_limit']")
        connection.execute("SET GLOBAL lock_configuration = true")
    except duckdb.Error as problem:
        if "lock" in str(problem) and path.exists():
            raise WarehouseLocked(
                f"expected {path} to be free, got another process that holds it; try again when it ended"
            ) from problem
        raise damaged(path, problem) from problem
    return connection


def damaged(path: Path, problem: Exception) -> WarehouseDamaged:
    """Return what to say of a file that DuckDB cannot read."""
    reason = str(problem).splitlines()[0]
    return WarehouseDamaged(
        f"expected a warehouse in {path}, got {reason}; delete it to fill it again from the log"
    )


def close(connection: duckdb.DuckDBPyConnection) -> None:
    """Close a connection as soon as its thread has left it, which somebody interrupts meanwhile."""
    with suppress(duckdb.ConnectionException):  # closed before
        connection.interrupt()
        pause = threading.Event()
        while True:
            try:
                return connection.close()
            except duckdb.ResourceInUseException:
                pause.wait(INTERRUPT_EVERY_S)

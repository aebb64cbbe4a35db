"""How this process asks the C library and DuckDB for memory, and when it gives it back."""

import ctypes
import os

_ARENA_MAX = -8  # malloc.h
_DUCKDB = "DUCKDB_JE_MALLOC_CONF"


def share_one_arena() -> None:
    """Let all threads that begin after this share one heap.

    The C library would give each thread its own, and what one leaves free in it no other can use: some 5 MB
    for the threads of a node. Nothing is lost by sharing while Python's own lock is held by one of them anyway.
    A C library without arenas is left as it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)


def give_back_soon() -> None:
    """Load DuckDB so that its allocator, jemalloc, returns what a question has left free within 0.1 s, not 1 s.

    Pages that are used again within 5 ms stay, so that a busy warehouse is as fast (measured within 4 %); with no
    delay at all each event would cost a quarter more. What the environment says of the allocator comes first.
    """
    theirs = os.environ.get(_DUCKDB)
    os.environ[_DUCKDB] = ",".join(filter(None, ["dirty_decay_ms:5,muzzy_decay_ms:0", theirs]))
    # The library reads it once, while it is loaded.
    import duckdb  # noqa: F401

    if theirs is None:
        del os.environ[_DUCKDB]
    else:
        os.environ[_DUCKDB] = theirs


def trim_heap() -> None:
    """Return to the machine what is free within the heap: the C library does so by itself only at its end."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)

"""How this process asks the C library for memory."""

import ctypes

_ARENA_MAX = -8  # malloc.h


def share_one_arena() -> None:
    """Let all threads that begin after this share one heap.

    The C library would give each thread its own, and what one leaves free in it no other can use: some 5 MB
    for the threads of a node. Nothing is lost by sharing while Python's own lock is held by one of them anyway.
    A C library without arenas is left as it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)


def trim_heap() -> None:
    """Return to the machine what is free within the heap: the C library does so by itself only at its end."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)

"""Replay runs policies in a sealed room: reaching for clock, chance or environment is an error with a name."""

import contextlib
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any


class ImpureAccess(RuntimeError):
    """A policy or fold reached for something that is not in the log."""


_DOORS: tuple[tuple[ModuleType, str], ...] = (
    (time, "time"),
    (time, "time_ns"),
    (time, "monotonic"),
    (time, "monotonic_ns"),
    (time, "perf_counter"),
    (random, "random"),
    (random, "randint"),
    (random, "choice"),
    (random, "shuffle"),
    (random, "uniform"),
    (os, "urandom"),
    (os, "getenv"),
    (os, "getpid"),
)


@contextlib.contextmanager
def sealed() -> Iterator[None]:
    """Close the doors to the calling thread for a while."""
    owner = threading.get_ident()
    kept: list[tuple[ModuleType, str, Any]] = []
    for module, name in _DOORS:
        kept.append((module, name, getattr(module, name)))
        setattr(module, name, _closed(f"{module.__name__}.{name}", getattr(module, name), owner))
    try:
        yield
    finally:
        for module, name, original in kept:
            setattr(module, name, original)


def _closed(name: str, original: Callable[..., Any], owner: int) -> Callable[..., Any]:
    def door(*given: Any, **named: Any) -> Any:
        # The collector may end things of others here, and what they log has a time.
        if threading.get_ident() == owner and sys._getframe(1).f_globals.get("__name__") != "logging":
            raise ImpureAccess(name)
        return original(*given, **named)

    return door

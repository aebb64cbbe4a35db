"""Where time comes from: handed in, so that a test or a simulation can own it."""

import time
from collections.abc import Callable
from typing import Protocol

from actors.bus import Bus


class Clock(Protocol):
    """Wall time for events, monotonic time for durations, timers for waiting."""

    def now(self) -> int:
        """Microseconds since 1970."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        """Call `what` once, from any thread, after `seconds`."""


class SystemClock:
    """The machine's clock; timers run on the bus."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def now(self) -> int:
        """See `Clock.now`."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return time.monotonic()

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        """See `Clock.later`."""
        self._bus.later(seconds, what)

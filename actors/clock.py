"""Where time comes from: handed in, so that a test or a simulation can own it."""

import threading
import time
from collections.abc import Callable
from typing import Protocol

from actors.bus import Bus


class Clock(Protocol):
    """Wall time for events, monotonic time for durations, timers for waiting."""

    def now(self) -> int:
        """Microseconds since 1970, for events."""

    def wall(self) -> int:
        """Microseconds since 1970 as the machine shows them, whatever steps its clock makes."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        """Call `what` once, from any thread, after `seconds`."""


class EvenTime:
    """Wall time that never goes back: after a step back it runs at nine tenths until the wall has caught up.

    So back-offs and limits that count forest time go on at once. A step forward is followed. Any thread.
    """

    def __init__(self, wall: Callable[[], int], monotonic: Callable[[], float]) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._now = wall()
        self._at = monotonic()

    def now(self) -> int:
        """Microseconds since 1970."""
        with self._lock:
            wall, at = self._wall(), self._monotonic()
            self._now = max(wall, self._now + int((at - self._at) * 900_000))
            self._at = at
            return self._now


def _wall() -> int:
    return time.time_ns() // 1000


class SystemClock:
    """The machine's clock; timers run on the bus. What it calls now never goes back, see `EvenTime`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._even = EvenTime(_wall, time.monotonic)

    def now(self) -> int:
        """See `Clock.now`."""
        return self._even.now()

    def wall(self) -> int:
        """See `Clock.wall`."""
        return _wall()

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return time.monotonic()

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        """See `Clock.later`."""
        self._bus.later(seconds, what)

"""Virtual time: what is to happen when, and a clock that reads it."""

import heapq
import itertools
from collections.abc import Callable
from random import Random


class Agenda:
    """Happenings in the order of their time; equal times in the order they were planned."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.now = 0.0
        self._items: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def at(self, seconds: float, what: Callable[[], None]) -> None:
        """Plan something in so many seconds from now."""
        heapq.heappush(self._items, (self.now + max(0.0, seconds), next(self._numbers), what))

    def soon(self, what: Callable[[], None], mean: float = 0.002) -> None:
        """Plan something after a short time of chance."""
        self.at(self.chance.expovariate(1.0 / mean), what)

    def is_near(self, seconds: float) -> bool:
        """Tell whether something happens within so many seconds."""
        return bool(self._items) and self._items[0][0] <= self.now + seconds

    def next(self, until: float) -> bool:
        """Let the next thing happen; False (and the time is `until`) when there is none before."""
        if not self._items or self._items[0][0] > until:
            self.now = max(self.now, until)
            return False
        at, _, what = heapq.heappop(self._items)
        self.now = max(self.now, at)
        what()
        return True


class VirtualClock:
    """See `actors.clock.Clock`. Timers of a node that is gone do nothing. The wall clock may be stepped."""

    START_US = 1_700_000_000_000_000

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self.step_us = 0
        self.gone = False

    def now(self) -> int:
        """See `Clock.now`."""
        return self.START_US + int(self._agenda.now * 1e6) + self.step_us

    def wall(self) -> int:
        """See `Clock.wall`."""
        return self.now()

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return 1000.0 + self._agenda.now

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        """See `Clock.later`."""
        self._agenda.at(seconds, lambda: None if self.gone else what())

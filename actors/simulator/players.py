"""A simulated agent: works off what it was given, one task at a time, and loses what it was at when it goes away."""

from collections import deque

from msgspec import Struct

from actors.simulator.scenario import Player

SECOND = 1_000_000


class Given(Struct, gc=False):
    """A task as an agent got it. `claim` is 0 until it has begun."""

    key: str
    number: int
    lease: int
    claim: int = 0


class Hand:
    """One agent at work. Times in microseconds; `epoch` counts its comings and goings."""

    __slots__ = ("began", "busy_us", "done", "epoch", "known", "player", "queue", "running", "up", "work")

    def __init__(self, player: Player) -> None:
        self.player = player
        self.queue: deque[Given] = deque()
        self.running: Given | None = None
        self.up = True
        self.known = True
        self.epoch = 0
        self.began = 0
        self.busy_us = 0
        self.work = 0.0
        self.done = 0

    def next(self, now: int) -> Given | None:
        """Take up the next task in the order of delivery, if it is there, idle and has one."""
        if not self.up or self.running is not None or not self.queue:
            return None
        self.running = self.queue.popleft()
        self.began = now
        return self.running

    def rest(self, now: int, since: int, until: int) -> Given:
        """End the running task; only time from `since` to `until` counts as busy."""
        given = self.running
        assert given is not None
        self.running = None
        self.busy_us += max(0, min(now, until) - max(self.began, since))
        return given

    def go(self, now: int, since: int, until: int) -> None:
        """Go away: the running task's progress is lost, the task stays the first one here."""
        self.up = False
        self.epoch += 1
        if self.running is not None:
            self.queue.appendleft(self.rest(now, since, until))

    def stay_away(self) -> None:
        """Not be there from the beginning."""
        self.up = self.known = False

    def come(self) -> None:
        """Be back."""
        self.up = True
        self.epoch += 1

    def lose(self) -> None:
        """Have nothing any more: others know that it is away, and give it to somebody else."""
        self.known = False
        self.queue.clear()

    def takes_us(self, size: float) -> int:
        """How long a task of this size takes it."""
        return max(1, round(size / self.player.speed * SECOND))

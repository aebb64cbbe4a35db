"""Scaling rules on bursty work: ours beside the rules of HPA/KEDA and Celery's autoscaler.

Simulated: 3 h of arrivals with bursts, processes that need 5 s to start, service times with a heavy tail; the same
arrivals and times for every rule. `python -m bench.scaling [SEEDS]` prints means over the seeds.
"""

import heapq
import random
import sys
from collections import deque
from collections.abc import Callable
from math import ceil
from statistics import mean
from typing import Protocol

from actors.elves.scaling import Load, Pool, Wish, desired, next_count
from events.settings import Limits, WorkerSettings
from projections.pace import Pace
from projections.units import SECOND

HOURS = 3
LOW, HIGH = 1, 20
START_S = 5.0
TICK_S = 5.0
MEAN_S = 4.0
WORKER = WorkerSettings(
    name="w", queue="q", units=("w-1",), names=tuple(f"w-{n}" for n in range(1, HIGH + 1))
)


class Rule(Protocol):
    """One controller: asked at every tick how many processes there shall be."""

    hard: bool

    def count(self, now: float, wanted: int, busy: int, waiting: int) -> int:
        """Return the new number."""

    def arrived(self, now: float) -> None:
        """Hear of a task."""

    def served(self, seconds: float) -> None:
        """Hear of a task's time."""


class Snapshots:
    """What the peers have in common: they look at numbers as they are and remember no task."""

    hard = False

    def arrived(self, now: float) -> None:
        """Nothing of it counts here."""

    def served(self, seconds: float) -> None:
        """Nothing of it counts here."""


class Ours:
    """The Balance elf's own functions."""

    hard = False

    def __init__(self, down_s: float) -> None:
        self.limits = Limits(scale_down_s=down_s)
        self.pool, self.pace = Pool(), Pace()

    def arrived(self, now: float) -> None:
        self.pace.arrived(int(now * SECOND))

    def served(self, seconds: float) -> None:
        self.pace.served(int(seconds * 1000))

    def count(self, now: float, wanted: int, busy: int, waiting: int) -> int:
        at = int(now * SECOND) + 1
        load = Load(
            rate=self.pace.rate(at),
            service_s=self.pace.service_ms / 1000,
            waiting=waiting,
            busy=busy,
            idle=max(0, wanted - busy),
        )
        wish = desired(load, WORKER, self.limits)
        self.pool.note(Wish(at, wish), int(self.limits.scale_down_s * SECOND))
        count = next_count(at, wanted, wish, self.pool, self.limits, LOW, HIGH)
        if count > wanted:
            self.pool.grown_at = at
        return count


class Hpa(Snapshots):
    """HPA/KEDA on queue length: ceil(backlog / lag), tolerance 0.1, every 15 s, down by the window's maximum."""

    hard = True

    def __init__(self, lag: float) -> None:
        self.lag = lag
        self.wishes: list[tuple[float, int]] = []
        self.last = -15.0

    def count(self, now: float, wanted: int, busy: int, waiting: int) -> int:
        if now - self.last < 15:
            return wanted
        self.last = now
        wish = max(LOW, min(HIGH, ceil((busy + waiting) / self.lag)))
        self.wishes = [(at, value) for at, value in self.wishes if now - at < 300] + [(now, wish)]
        if wish > wanted * 1.1:
            return min(wish, max(2 * wanted, wanted + 4))
        top = max(value for _, value in self.wishes)
        return min(wanted, top) if wish < wanted * 0.9 else wanted


class Celery(Snapshots):
    """Celery's autoscaler: grow by what is missing at once, shrink after 30 s without growth, each second."""

    def __init__(self) -> None:
        self.up = 0.0

    def count(self, now: float, wanted: int, busy: int, waiting: int) -> int:
        need = max(LOW, min(HIGH, busy + waiting))
        if need > wanted:
            self.up = now
            return need
        return need if need < wanted and now - self.up > 30 else wanted


def arrivals(dice: random.Random) -> list[tuple[float, float]]:
    """Return (time, seconds of work): a quiet stream, and bursts of a few minutes at up to ten times its rate."""
    now, tasks, burst_until, rate = 0.0, [], 0.0, 0.5
    next_burst = dice.expovariate(1 / 900)
    while now < HOURS * 3600:
        if now >= next_burst:
            burst_until = now + dice.uniform(60, 300)
            rate = dice.uniform(1.5, 4.0)
            next_burst = burst_until + dice.expovariate(1 / 900)
        current = rate if now < burst_until else 0.4
        now += dice.expovariate(current)
        tasks.append((now, min(60.0, dice.lognormvariate(1.0, 0.9))))
    return tasks


class Play:
    """One rule on one stream of work; one that is `hard` picks whom it stops blindly and breaks off what they do."""

    def __init__(self, rule: Rule, tasks: list[tuple[float, float]], tick_s: float) -> None:
        self.rule, self.tick_s = rule, tick_s
        self.coming = deque(tasks)
        self.waiting: deque[tuple[float, float]] = deque()
        self.busy: list[tuple[float, float, float]] = []  # heap of (end, came, work)
        self.starting: list[float] = []
        self.free, self.retiring, self.wanted = 1, 0, 1
        self.now = self.next_tick = self.hours = 0.0
        self.actions = self.reversals = self.interrupted = self.last_sign = 0
        self.waits: list[float] = []

    def run(self) -> dict[str, float]:
        """Go from one event to the next until all is done."""
        while self.coming or self.waiting or self.busy:
            self._go_on()
            self._ready()
            self._ended()
            self._come()
            if self.now >= self.next_tick:
                self.next_tick = self.now + self.tick_s
                self._scale()
            self._begin()
        self.waits.sort()
        return {
            "p95 wait s": self.waits[int(0.95 * len(self.waits))],
            "mean s": mean(self.waits),
            "worker-hours": self.hours,
            "actions": self.actions,
            "reversals": self.reversals,
            "interrupted": self.interrupted,
        }

    def _go_on(self) -> None:
        heads = [self.coming[0][0]] if self.coming else []
        heads += [self.busy[0][0]] if self.busy else []
        later = min([self.next_tick, *heads, *self.starting[:1]])
        self.hours += (self.free + len(self.busy) + len(self.starting)) * (later - self.now) / 3600
        self.now = later

    def _ready(self) -> None:
        while self.starting and self.starting[0] <= self.now:
            heapq.heappop(self.starting)
            self.free += 1

    def _ended(self) -> None:
        while self.busy and self.busy[0][0] <= self.now:
            self.rule.served(heapq.heappop(self.busy)[2])
            if self.retiring:
                self.retiring -= 1
            else:
                self.free += 1

    def _come(self) -> None:
        while self.coming and self.coming[0][0] <= self.now:
            self.waiting.append(self.coming.popleft())
            self.rule.arrived(self.now)

    def _begin(self) -> None:
        while self.waiting and self.free:
            came, work = self.waiting.popleft()
            self.waits.append(self.now - came)
            self.free -= 1
            heapq.heappush(self.busy, (self.now + work, came, work))

    def _scale(self) -> None:
        asked = self.rule.count(self.now, self.wanted, len(self.busy), len(self.waiting))
        count = max(LOW, min(HIGH, asked))
        if count == self.wanted:
            return
        self.actions += 1
        sign = 1 if count > self.wanted else -1
        self.reversals += self.last_sign * sign < 0
        self.last_sign = sign
        for _ in range(count - self.wanted):
            heapq.heappush(self.starting, self.now + START_S)
        for _ in range(self.wanted - count):
            self._stop_one()
        self.wanted = count

    def _stop_one(self) -> None:
        working = len(self.busy)
        if self.rule.hard and working and self._blindly() < working / (working + self.free + 0.001):
            _, came, work = self.busy.pop()
            heapq.heapify(self.busy)
            self.waiting.appendleft((came, work))
            self.interrupted += 1
        elif self.starting:
            self.starting.pop()
        elif self.free:
            self.free -= 1
        elif not self.rule.hard:
            self.retiring += 1

    def _blindly(self) -> float:
        return random.Random(self.actions).random()


RULES: dict[str, tuple[Callable[[], Rule], float]] = {
    "HPA/KEDA, lag 10": (lambda: Hpa(10), TICK_S),
    "HPA/KEDA, lag 1": (lambda: Hpa(1), TICK_S),
    "Celery autoscale": (Celery, 1.0),
    "ours, down 300 s": (lambda: Ours(300), TICK_S),
    "ours, down 180 s": (lambda: Ours(180), TICK_S),
    "ours, down 45 s": (lambda: Ours(45), TICK_S),
}


def main() -> None:
    """Print the table."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    columns = ["p95 wait s", "mean s", "worker-hours", "actions", "reversals", "interrupted"]
    print("| rule | " + " | ".join(columns) + " |")
    print("|" + "---|" * (len(columns) + 1))
    for name, (make, tick_s) in RULES.items():
        rows = [Play(make(), arrivals(random.Random(seed)), tick_s).run() for seed in range(seeds)]
        print(f"| {name} | " + " | ".join(f"{mean(row[c] for row in rows):.1f}" for c in columns) + " |")


if __name__ == "__main__":
    main()

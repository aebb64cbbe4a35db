"""Scaling rules on bursty work: ours beside the rules of HPA/KEDA, Celery's autoscaler and Dask's adaptive.

Simulated: 3 h of arrivals with bursts, processes that need 5 s to start, service times with a heavy tail; the same
arrivals and times for every rule. `python -m bench.scaling [SEEDS]` prints means over the seeds.
"""

import heapq
import random
import sys
from collections.abc import Callable
from math import ceil
from statistics import mean

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


class Rule:
    """One controller: asked at every tick how many processes there shall be."""

    hard = False

    def count(self, now: float, wanted: int, busy: int, waiting: int) -> int:
        """Return the new number."""
        raise NotImplementedError

    def arrived(self, now: float) -> None:
        """Hear of a task."""

    def served(self, seconds: float) -> None:
        """Hear of a task's time."""


class Ours(Rule):
    """The Balance elf's own functions."""

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


class Hpa(Rule):
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


class Celery(Rule):
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


def run(rule: Rule, tasks: list[tuple[float, float]], tick_s: float) -> dict[str, float]:
    """Simulate one rule; a rule that is `hard` picks whom it stops blindly and breaks off what they do."""
    waits: list[float] = []
    queue: list[tuple[float, float]] = []
    free, busy = 1, []  # idle ready processes; heap of (end, begun, work)
    starting: list[float] = []
    wanted, actions, reversals, interrupted, hours, last_sign = 1, 0, 0, 0, 0.0, 0
    retiring = 0
    index, now, next_tick = 0, 0.0, 0.0
    while index < len(tasks) or queue or busy:
        times = [next_tick]
        if index < len(tasks):
            times.append(tasks[index][0])
        if busy:
            times.append(busy[0][0])
        if starting:
            times.append(starting[0])
        later = min(times)
        hours += (free + len(busy) + len(starting)) * (later - now) / 3600
        now = later
        while starting and starting[0] <= now:
            heapq.heappop(starting)
            free += 1
        while busy and busy[0][0] <= now:
            _, begun, work = heapq.heappop(busy)
            rule.served(work)
            if retiring:
                retiring -= 1
            else:
                free += 1
        while index < len(tasks) and tasks[index][0] <= now:
            queue.append(tasks[index])
            rule.arrived(now)
            index += 1
        if now >= next_tick:
            next_tick = now + tick_s
            count = max(LOW, min(HIGH, rule.count(now, wanted, len(busy), len(queue))))
            if count != wanted:
                actions += 1
                sign = 1 if count > wanted else -1
                reversals += last_sign * sign < 0
                last_sign = sign
                for _ in range(count - wanted):
                    heapq.heappush(starting, now + START_S)
                for _ in range(wanted - count):
                    if (
                        rule.hard
                        and busy
                        and random.Random(actions).random() < len(busy) / (len(busy) + free + 0.001)
                    ):
                        _, begun, work = busy.pop()
                        heapq.heapify(busy)
                        queue.insert(0, (begun, work))
                        interrupted += 1
                    elif starting:
                        starting.pop()
                    elif free:
                        free -= 1
                    elif not rule.hard:
                        retiring += 1
                wanted = count
        while queue and free:
            came, work = queue.pop(0)
            waits.append(now - came)
            free -= 1
            heapq.heappush(busy, (now + work, came, work))
    waits.sort()
    return {
        "p95 wait s": waits[int(0.95 * len(waits))],
        "mean s": mean(waits),
        "worker-hours": hours,
        "actions": actions,
        "reversals": reversals,
        "interrupted": interrupted,
    }


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
        rows = [run(make(), arrivals(random.Random(seed)), tick_s) for seed in range(seeds)]
        print(f"| {name} | " + " | ".join(f"{mean(row[c] for row in rows):.1f}" for c in columns) + " |")


if __name__ == "__main__":
    main()

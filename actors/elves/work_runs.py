"""What runs that differ teach: sizes of a pool that were varied, and the order of work tried on the last tasks."""

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from math import exp, sqrt
from statistics import mean, stdev

from actors.elves.lessons import Lesson, Missing, sql
from projections.workbook import Ended
from projections.yields import Setup

# Sizes.
LEAST_SPANS = 12
LEAST_STRETCHES = 3
_NEARLY = 0.95
_BETTER = 1.1
# The order of work.
LEAST_RECENT = 300
_AGEING = 0.02
_BLOCKS = 10
_GAIN = 0.9


def sizes(pool: str, setups: Sequence[Setup], now: Setup | None) -> list[Lesson] | Missing:
    """Compare sizes that differ in one thing, each seen in three stretches and twelve spans under full load."""
    known = [item for item in setups if item.spans >= LEAST_SPANS and item.stretches >= LEAST_STRETCHES]
    if now is None or now not in known or len(known) < 2:
        others = sum(item is not now for item in known)
        return Missing(
            min(others, 1) + (now in known), 2, "sizes varied under full load, the present one among them"
        )
    lessons = []
    for item in known:
        differs = [name for name in ("units", "slots", "batch") if getattr(item, name) != getattr(now, name)]
        if len(differs) != 1 or now.mean <= 0 or item.mean <= 0:
            continue
        ratio = item.mean / now.mean
        spread = 1.96 * sqrt(item.variance / item.mean**2 + now.variance / now.mean**2)
        low, high = ratio * exp(-spread), ratio * exp(spread)
        name, mine, theirs = differs[0], getattr(now, differs[0]), getattr(item, differs[0])
        fewer = theirs < mine and low >= _NEARLY and name != "batch"
        if low >= _BETTER or fewer:
            lessons.append(_size_lesson(pool, name, mine, theirs, item, (ratio, low, high)))
    return lessons


def _size_lesson(
    pool: str, name: str, mine: int, theirs: int, item: Setup, found: tuple[float, float, float]
) -> Lesson:
    ratio, low, high = found
    return Lesson(
        key=name,
        claim=f"with {name} {theirs} instead of {mine} the pool {pool} did {ratio:.2f} times as much under full load",
        gain=f"{ratio:.2f} times the tasks" if theirs > mine else f"the same work with {name} {theirs}",
        low=round(low, 3),
        high=round(high, 3),
        n=item.spans,
        sql=sql(
            "SELECT date_trunc('hour', ended) AS hour, worker, count(*) AS done FROM attempts"
            " WHERE outcome = 'done' AND starts_with(worker, $pool) GROUP BY ALL ORDER BY 1 DESC",
            pool=pool,
        ),
        risk="the runs that were compared may have held other tasks",
        rollback=f"{name} = {mine}",
        change={"what": f"[[worker]] {pool}", "key": name, "now": mine, "to": theirs},
    )


def order(queue: str, recent: Sequence[Ended], servers: int) -> Lesson | Missing | None:
    """Run the last tasks again, the shortest expected first, against the order in which they came."""
    if len(recent) < LEAST_RECENT:
        return Missing(len(recent), LEAST_RECENT, "finished tasks in a row")
    tasks = sorted(recent, key=lambda item: item.at)
    came, short = list(waits(tasks, servers, False)), list(waits(tasks, servers, True))
    if mean(came) <= 0:
        return None
    size = len(tasks) // _BLOCKS
    ratios = []
    for block in range(_BLOCKS):
        part = slice(block * size, (block + 1) * size)
        ratios.append((sum(short[part]) + 1.0) / (sum(came[part]) + 1.0))
    ratio = mean(short) / mean(came)
    spread = 2.262 * stdev(ratios) / sqrt(_BLOCKS)
    if ratio + spread >= _GAIN:
        return None
    return Lesson(
        key="order",
        claim=f"the last {len(tasks)} tasks of {queue} would have waited {ratio:.0%} as long, shortest type first",
        gain=f"mean wait {mean(short) / 1000:.1f} s instead of {mean(came) / 1000:.1f} s",
        low=round(max(0.0, ratio - spread), 3),
        high=round(ratio + spread, 3),
        n=len(tasks),
        sql=sql(
            "SELECT type, count(*) AS n, avg(service_s) AS service_s FROM tasks"
            " WHERE state = 'done' AND queue = $queue GROUP BY type ORDER BY service_s",
            queue=queue,
        ),
        risk="long tasks wait longer, and a process that serves the one queue is not there for the other",
        rollback=f"submit every type to {queue}",
        change={
            "what": f"[[queue]] {queue}",
            "key": "queue",
            "now": "one for all types",
            "to": f"one of their own for the short types: {', '.join(_short(tasks))}",
        },
    )


def _short(tasks: Sequence[Ended]) -> list[str]:
    """Return the types that take less than the mean of all tasks, the shortest first."""
    times: dict[str, list[int]] = {}
    for item in tasks:
        times.setdefault(item.kind or "(none)", []).append(item.service_ms)
    usual = mean(item.service_ms for item in tasks)
    return sorted(
        (kind for kind in times if mean(times[kind]) < usual), key=lambda kind: (mean(times[kind]), kind)
    )[:8]


def waits(tasks: Sequence[Ended], servers: int, short_first: bool) -> Iterator[float]:
    """Yield each task's wait in milliseconds, run by so many servers; estimates come from finished tasks only."""
    free = [0.0] * max(1, servers)
    seen: dict[str, list[float]] = {}
    ending: list[tuple[float, int]] = []
    waiting: list[tuple[float, int]] = []
    result = [0.0] * len(tasks)
    place, now = 0, 0.0
    while place < len(tasks) or waiting:
        now = max(now, min(free))
        if not waiting and place < len(tasks):
            now = max(now, tasks[place].at / 1000)
        while ending and ending[0][0] <= now:
            _, index = heappop(ending)
            seen.setdefault(tasks[index].kind, []).append(float(tasks[index].service_ms))
        while place < len(tasks) and tasks[place].at / 1000 <= now:
            arrived = tasks[place].at / 1000
            key = _estimate(seen, tasks[place].kind) + _AGEING * arrived if short_first else arrived
            heappush(waiting, (key, place))
            place += 1
        _, index = heappop(waiting)
        server = free.index(min(free))
        result[index] = now - tasks[index].at / 1000
        free[server] = now + tasks[index].service_ms
        heappush(ending, (free[server], index))
    yield from result


def _estimate(seen: dict[str, list[float]], kind: str) -> float:
    """Return the mean of the last two of the kind, the mean of all kinds for a new one."""
    known = seen.get(kind, [])[-2:] or [item[-1] for item in seen.values()]
    return sum(known) / len(known) if known else 0.0

"""What ended attempts and used memory teach: under which conditions tasks fail, how long and how much is too much."""

from math import sqrt

from actors.elves.chances import binomial_tail, holm, ratio_interval
from actors.elves.lessons import Lesson, Missing, sql
from projections.peaks import Peak
from projections.workbook import Book

# Conditions of errors.
LEAST_EVENTS = 20
LEAST_LIFT = 2.0
ERROR_LEVEL = 0.01
# Time-outs.
LEAST_FINISHED = 400
LEAST_DAYS = 7
_SHARE = 0.995
_TIMES = 1.5
_WORTH = 0.5
# Memory limits: the daily peaks of a week, half as much again, in steps of ten megabytes.
_NEAR = 0.85
_STEP = 10_000_000


def conditions(queue: str, book: Book) -> list[Lesson]:
    """Return conditions under which an error comes at least twice as often as its share of all attempts (lift)."""
    chances: dict[tuple[str, str], float] = {}
    for error, count in book.errors.items():
        if count < LEAST_EVENTS:
            continue
        for feature, hits in book.failed[error].items():
            share = book.under.get(feature, 0) / book.attempts
            if 0.0 < share < 1.0:
                chances[error, feature] = binomial_tail(hits, count, share)
    lessons = []
    for error, feature in sorted(holm(chances, ERROR_LEVEL)):
        hits, count = book.failed[error][feature], book.errors[error]
        under = book.under[feature]
        lift = hits / count / (under / book.attempts)
        if hits < LEAST_EVENTS or lift < LEAST_LIFT:
            continue
        low, high = ratio_interval(hits, under, lift)
        claim = (
            f"{hits} of {count} errors '{error}' on {queue} came with {feature}, {lift:.1f} times its share"
        )
        lessons.append(
            Lesson(
                key=f"{error}/{feature}",
                claim=claim,
                gain=f"up to {hits} of {book.attempts} attempts would not fail",
                low=round(low, 2),
                high=round(high, 2),
                n=count,
                sql=_error_sql(queue, error),
                risk="none: nothing is changed by knowing",
                rollback="none needed",
                change={"what": queue, "key": "condition", "now": feature, "to": "look at its cause"},
            )
        )
    return lessons


def _error_sql(queue: str, error: str) -> str:
    start = error.partition(": ")[2].split("#")[0][:40]
    return sql(
        "SELECT worker, count(*) AS attempts, count(*) FILTER (starts_with(coalesce(error, ''), $start)) AS failed"
        " FROM attempts WHERE queue = $queue GROUP BY worker ORDER BY failed DESC",
        start=start,
        queue=queue,
    )


def timeout(queue: str, book: Book, now_s: float, days: float) -> Lesson | Missing | None:
    """Return a time-out of 1.5 times the 99.5th percentile, never below the longest success of 30 days."""
    if book.finished < LEAST_FINISHED:
        return Missing(book.finished, LEAST_FINISHED, "finished tasks")
    if days < LEAST_DAYS:
        return Missing(int(days), LEAST_DAYS, "days")
    usual = book.quantile_ms(_SHARE) / 1000
    longest = max(book.longest.values()) / 1000
    wanted = _round(max(_TIMES * usual, longest, 1.0))
    if wanted > now_s * _WORTH:
        return None
    error = 1.96 * sqrt(_SHARE * (1 - _SHARE) / book.finished)
    low = _TIMES * book.quantile_ms(_SHARE - error) / 1000
    high = max(_TIMES * book.quantile_ms(min(1.0, _SHARE + error)) / 1000, longest)
    return Lesson(
        key="timeout_s",
        claim=f"99.5 % of the tasks of {queue} end within {usual:.3g} s, the longest of 30 days took {longest:.3g} s",
        gain=f"one that hangs is found after {wanted:g} s instead of {now_s:g} s",
        low=round(low, 3),
        high=round(high, 3),
        n=book.finished,
        sql=sql(
            "SELECT quantile_cont(service_s, 0.995) * 1.5 AS timeout_s, max(service_s) AS longest, count(*) AS n"
            " FROM tasks WHERE state = 'done' AND queue = $queue",
            queue=queue,
        ),
        risk="a task that takes longer than ever before is ended and tried again",
        rollback=f"timeout_s = {now_s:g}",
        change={"what": f"[[queue]] {queue}", "key": "timeout_s", "now": now_s, "to": wanted},
    )


def memory(pool: str, peak: Peak, now: int) -> Lesson | Missing | None:
    """Return 1.5 times the highest peak as limit where there is none, half would do, or it is nearly reached."""
    if len(peak.days) < LEAST_DAYS:
        return Missing(len(peak.days), LEAST_DAYS, "days")
    wanted = _stepped(peak.highest)
    if now and wanted > now * _WORTH and peak.highest < now * _NEAR:
        return None
    if wanted == now:
        return None
    least = min(peak.days.values())
    words = f"instead of {now / 1e6:.0f} MB" if now else "where there is none"
    return Lesson(
        key="memory_limit",
        claim=f"no process of {pool} used more than {peak.highest / 1e6:.0f} MB on any of {len(peak.days)} days",
        gain=f"a limit of {wanted / 1e6:.0f} MB {words}: what leaks is found "
        + (
            "sooner, and the rest is free for others"
            if not now or wanted < now
            else "and what works is left alone"
        ),
        low=float(_stepped(least)),
        high=float(wanted),
        n=peak.looks,
        sql=sql(
            "SELECT date_trunc('day', time) AS day, max(memory_bytes) / 1e6 AS mb, count(*) AS looks FROM samples"
            " WHERE unit = $pool OR starts_with(unit, $units) GROUP BY day ORDER BY day",
            pool=pool,
            units=f"{pool}-",
        ),
        risk="a task that needs more memory than ever before has its worker restarted",
        rollback=f"memory_limit = {now}" if now else "no memory_limit",
        change={"what": f"[[worker]] {pool}", "key": "memory_limit", "now": now, "to": wanted},
    )


def _stepped(peak: int) -> int:
    """Return the limit for a peak."""
    return -(-int(_TIMES * peak) // _STEP) * _STEP


def _round(seconds: float) -> float:
    """Return the next number with two digits."""
    scale = 1.0
    while seconds / scale >= 100:
        scale *= 10
    while seconds / scale < 10 and scale > 0.1:
        scale /= 10
    return -(-seconds // scale) * scale

"""What ended lately, queue by queue: under which conditions attempts failed, how long they took, what waited."""

import re
from math import exp, log

from msgspec import Struct, field

from events.envelope import Recorded
from events.settings import Settings
from events.tasks import (
    TaskCancelled,
    TaskDied,
    TaskDropped,
    TaskFailed,
    TaskFinished,
    TaskMoved,
    TaskStarted,
    TaskSubmitted,
)
from projections.health import memory_percent
from projections.hours import slot_of, zone_of
from projections.units import Units

DAY_US = 86_400_000_000
# Durations are kept by steps of 5 %.
STEP = log(1.05)
RECENT = 400
_LONGEST_DAYS = 30
_ERRORS = 30
_FEATURES = 120
_HALVED_AT = 20_000
_OPEN = 50_000
_FULL_PERCENT = 85.0
_NUMBERS = re.compile(r"0x[0-9a-fA-F]+|\d+")
_PARTS = ("0 to 6 h", "6 to 12 h", "12 to 18 h", "18 to 24 h")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Open(Struct, array_like=True):
    """A task that has not ended: when it was submitted and last started, and its kind."""

    at: int
    kind: str
    started: int = 0
    attempt: int = 0


class Ended(Struct, frozen=True, array_like=True):
    """A finished task: when it was submitted (microseconds), how long it ran (milliseconds), its kind."""

    at: int
    service_ms: int
    kind: str


class Book(Struct):
    """One queue. `under[feature]` counts attempts, `failed[error][feature]` those that ended with this error."""

    attempts: int = 0
    since: int = 0
    under: dict[str, int] = {}
    errors: dict[str, int] = {}
    failed: dict[str, dict[str, int]] = {}
    durations: dict[str, int] = {}
    finished: int = 0
    timeouts: int = 0
    longest: dict[str, int] = {}
    recent: list[Ended] = field(default_factory=list)

    def quantile_ms(self, share: float) -> float:
        """Return the duration below which this share of successes lie, 5 % at most above the truth."""
        wanted, passed = share * self.finished, 0
        for step in sorted(self.durations, key=int):
            passed += self.durations[step]
            if passed >= wanted:
                return exp((int(step) + 1) * STEP)
        return 0.0


class Workbook(Struct):
    """All queues, and the tasks that have not ended by `queue/task`."""

    books: dict[str, Book] = {}
    open: dict[str, Open] = {}

    def apply(self, event: Recorded, now: int, units: Units, settings: Settings) -> None:
        """Fold one event of a task; `units` say under which configuration, and how full."""
        match event.body:
            case TaskSubmitted(queue=queue, task=task, kind=kind, due=due):
                if len(self.open) < _OPEN:
                    self.open[f"{queue}/{task}"] = Open(max(now, due), kind)
            case TaskStarted(queue=queue, task=task, attempt=attempt):
                known = self.open.get(f"{queue}/{task}")
                if known:
                    known.started, known.attempt = now, attempt
            case TaskFinished() as body:
                self._finished(body, now, units, settings)
            case TaskFailed() as body:
                self._failed(body, now, units, settings)
            case TaskDied() as body:
                self._failed(body, now, units, settings)
                self.open.pop(f"{body.queue}/{body.task}", None)
            case TaskCancelled() | TaskMoved() | TaskDropped() as body:
                self.open.pop(f"{body.queue}/{body.task}", None)
            case _:
                return

    def _book(self, queue: str, now: int) -> Book:
        book = self.books.get(queue)
        if book is None:
            book = self.books[queue] = Book(since=now)
        return book

    def _finished(self, body: TaskFinished, now: int, units: Units, settings: Settings) -> None:
        known = self.open.pop(f"{body.queue}/{body.task}", None)
        book = self._book(body.queue, now)
        self._attempt(book, features(body.unit, body.attempt, known, now, units, settings))
        step = str(int(log(max(1, body.service_ms)) / STEP))
        book.durations[step] = book.durations.get(step, 0) + 1
        book.finished += 1
        day = str(now // DAY_US)
        book.longest[day] = max(book.longest.get(day, 0), body.service_ms)
        while len(book.longest) > _LONGEST_DAYS:
            del book.longest[min(book.longest, key=int)]
        if known:
            book.recent.append(Ended(known.at, body.service_ms, known.kind))
            del book.recent[:-RECENT]

    def _failed(self, body: TaskFailed | TaskDied, now: int, units: Units, settings: Settings) -> None:
        known = self.open.get(f"{body.queue}/{body.task}")
        book = self._book(body.queue, now)
        attempt = known.attempt if known else 0
        found = features(body.unit, attempt, known, now, units, settings)
        self._attempt(book, found)
        book.timeouts += body.kind == "timeout"
        name = f"{body.kind}: {spelled(body.error)}"
        if name not in book.failed:
            if len(book.failed) >= _ERRORS:
                rarest = min(book.errors, key=lambda key: (book.errors[key], key))
                del book.failed[rarest], book.errors[rarest]
            book.failed[name], book.errors[name] = {}, 0
        book.errors[name] += 1
        _add(book.failed[name], found)

    def _attempt(self, book: Book, found: list[str]) -> None:
        book.attempts += 1
        _add(book.under, found)
        if book.attempts >= _HALVED_AT:
            # The past fades: what was true a long time ago proves nothing.
            book.attempts //= 2
            _halve(book.under)
            _halve(book.errors)
            for counts in book.failed.values():
                _halve(counts)


def features(
    unit: str, attempt: int, known: Open | None, now: int, units: Units, settings: Settings
) -> list[str]:
    """Return the conditions an attempt ran under."""
    hour = slot_of(now, zone_of(settings))
    found = [f"worker {unit}", f"day {_DAYS[hour // 24]}", f"hour {_PARTS[hour % 24 // 6]}"]
    if known and known.kind:
        found.append(f"type {known.kind}")
    if attempt > 1:
        found.append("attempt after a failure")
    one = units.units.get(unit)
    if one:
        if one.launch:
            found.append(f"configuration {one.launch[:8]}")
        percent = memory_percent(one, settings)
        if percent is not None and percent > _FULL_PERCENT:
            found.append("memory above 85 % of the limit")
    return found


def spelled(error: str) -> str:
    """Return an error's first line without its numbers: equal faults have equal names."""
    return _NUMBERS.sub("#", error.strip().split("\n", 1)[0])[:80]


def _add(counts: dict[str, int], found: list[str]) -> None:
    for name in found:
        if name in counts or len(counts) < _FEATURES:
            counts[name] = counts.get(name, 0) + 1


def _halve(counts: dict[str, int]) -> None:
    for name, count in counts.items():
        counts[name] = (count + 1) // 2

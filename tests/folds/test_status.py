"""The page of what is now: rates over any number of tasks, and a fold that survives its snapshot."""

import msgspec

from events.codec import canonical
from events.envelope import Recorded
from events.log import MemoryLog, entry, envelope
from events.tasks import TaskFinished, TaskSubmitted
from projections.status import Status
from tests.replay import Forest, queue, settings, unit

SECOND = 1_000_000


def tasks(count: int, start: int, apart: int) -> list[Recorded]:
    log = MemoryLog()
    for number in range(count):
        at = start + number * apart
        asked = TaskSubmitted(task=f"t{number}", queue="q")
        done = TaskFinished(task=f"t{number}", queue="q", unit="w", generation=1, attempt=1, claim=1)
        log.take([entry(envelope(f"s{number}", at, "client.c", asked))])
        log.take([entry(envelope(f"f{number}", at + 1, "worker.w", done))])
    return log.events


def page(events: list[Recorded], now: int) -> dict[str, object]:
    status = Status()
    forest = Forest(policies=())
    forest.lead(settings())
    forest.obey()
    for event in [*forest.log.events, *events]:
        status.apply(event)
    answer: dict[str, object] = status.page(now)["queues"][0]
    return answer


def test_rates_count_every_task_of_the_last_minute_however_many() -> None:
    now = 2_000 * SECOND
    row = page(tasks(30_000, now - 60 * SECOND, 2_000), now)
    assert (row["arrival_per_min"], row["done_per_min"]) == (30_000, 30_000)


def test_what_is_older_than_the_window_is_forgotten() -> None:
    row = page(tasks(100, 1_000 * SECOND, SECOND), 9_000 * SECOND)
    assert (row["arrival_per_min"], row["done_per_min"], row["unfinished"]) == (0, 0, 0)


def test_the_page_is_the_same_after_a_trip_through_a_snapshot() -> None:
    forest = Forest()
    forest.lead(settings())
    forest.obey()
    forest.tick([unit("a")], [queue(120)])
    forest.tick(queues=[queue(150)])
    forest.land()
    events = [*forest.log.events, *tasks(50, forest.now, SECOND)]
    whole, half = Status(), Status()
    for event in events:
        whole.apply(event)
    for event in events[:20]:
        half.apply(event)
    restored = msgspec.json.decode(canonical(half), type=Status)
    for event in events[20:]:
        restored.apply(event)
    assert canonical(restored) == canonical(whole)
    assert restored.page(forest.now) == whole.page(forest.now)

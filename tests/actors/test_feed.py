"""The feed: one reader for all, each from its own place on, in order, without a gap."""

import queue
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import actors.feed
import actors.jetstream
from actors.bus import Bus
from actors.clock import SystemClock
from actors.feed import Chunk, Feed, Subscription, Window
from actors.jetstream import jetstream_api
from actors.journal import Journal
from events.observations import ClockStepped, Quarantined
from tests.projections.test_warehouse import busy
from tests.real_server import real_server, until


class Ear:
    """Takes events as an actor would; may be deaf, or gone."""

    def __init__(self, name: str, after: int = 0, deaf: bool = False) -> None:
        self.heard: list[int] = []
        self.deaf = deaf
        self.gone = False
        self.waiting: queue.Queue[Chunk] = queue.Queue()
        self.subscription = Subscription(name, after, self._take)

    def _take(self, chunk: Chunk) -> bool:
        if self.gone:
            return False
        if self.deaf:
            self.waiting.put(chunk)
        else:
            self._hear(chunk)
        return True

    def _hear(self, chunk: Chunk) -> None:
        self.heard += [event.position for event in chunk.events]
        self.subscription.taken = chunk.events[-1].position

    def wake(self) -> None:
        """Take what has waited and whatever comes."""
        self.deaf = False
        while not self.waiting.empty():
            self._hear(self.waiting.get())


class Line:
    """A bus on a real server with a feed and a pen."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.failed: list[str] = []
        self.feed = Feed(bus, self.failed.append)
        self.journal = Journal(bus, SystemClock(bus), "node.n1")

    def say(self, count: int) -> None:
        """Append so many events and wait until they are durable."""
        written = threading.Event()
        for number in range(count):
            last = number == count - 1
            body = ClockStepped(step_ms=number)
            self.journal.write(body, done=(lambda _: written.set()) if last else None)
        assert written.wait(60)

    def say_long(self, count: int, length: int) -> None:
        """Append so many events of this length and wait until they are durable."""
        written = threading.Event()
        for number in range(count):
            last = number == count - 1
            body = Quarantined(position=1, subject="s", reason="", sample="x" * length)
            self.journal.write(body, done=(lambda _: written.set()) if last else None)
        assert written.wait(60)

    def begin(self, *ears: Ear) -> None:
        """Subscribe them and start reading."""
        for ear in ears:
            self.feed.subscribe(ear.subscription)
        self.bus.wait(lambda: self.feed.start_with({ear.subscription.name for ear in ears}), 10)


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with real_server(tmp_path) as server:
        bus = Bus(server.credentials("node"), "test-feed")
        bus.start()
        made = Line(bus)
        yield made
        bus.stop()
        assert made.failed == []


async def test_each_hears_from_its_own_place_on(line: Line) -> None:
    line.say(100)
    ears = [Ear("old"), Ear("middle", 40), Ear("new", 100)]
    line.begin(*ears)
    line.say(50)
    for ear, start in zip(ears, (1, 41, 101), strict=True):
        await until(lambda ear=ear: ear.heard and ear.heard[-1] == 150)  # type: ignore[misc]
        assert ear.heard == list(range(start, 151))
    assert line.feed.lags() == {"old": 0, "middle": 0, "new": 0}


async def test_one_that_comes_back_catches_up_while_the_others_go_on(line: Line) -> None:
    line.say(500)
    first = Ear("a")
    line.begin(first)
    await until(lambda: first.heard and first.heard[-1] == 500)
    again, other = Ear("a", 123), Ear("b")
    line.feed.subscribe(again.subscription)
    line.feed.subscribe(other.subscription)
    for _ in range(20):
        line.say(50)
    await until(lambda: again.heard and again.heard[-1] == 1500)
    await until(lambda: other.heard and other.heard[-1] == 1500)
    assert again.heard == list(range(124, 1501))
    assert other.heard == list(range(1, 1501))
    assert first.heard == list(range(1, len(first.heard) + 1))
    assert set(line.feed.lags()) == {"a", "b"}


async def test_one_that_is_gone_is_forgotten(line: Line) -> None:
    stays, leaves = Ear("stays"), Ear("leaves")
    line.begin(stays, leaves)
    line.say(5)
    await until(lambda: leaves.heard == [1, 2, 3, 4, 5])
    leaves.gone = True
    line.say(5)
    await until(lambda: stays.heard and stays.heard[-1] == 10)
    await until(lambda: set(line.feed.lags()) == {"stays"})
    assert leaves.heard == [1, 2, 3, 4, 5]
    assert stays.heard == list(range(1, 11))


async def test_reading_waits_for_the_slowest_so_that_mailboxes_stay_small(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actors.feed, "_LAG", 300)
    slow, quick = Ear("slow", deaf=True), Ear("quick")
    line.begin(slow, quick)
    for _ in range(10):
        line.say(500)
    await until(lambda: line.feed.lags()["slow"] > 300)
    held = line.feed.position
    assert held < 5000
    slow.wake()
    await until(lambda: quick.heard and quick.heard[-1] == 5000)
    await until(lambda: slow.heard and slow.heard[-1] == 5000)
    assert slow.heard == quick.heard == list(range(1, 5001))


async def test_it_waits_for_bytes_as_well_as_for_events(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actors.feed, "_LAG_BYTES", 100_000)
    slow, quick = Ear("slow", deaf=True), Ear("quick")
    line.begin(slow, quick)
    line.say_long(100, 20_000)
    await until(lambda: line.feed.lags()["slow"] > 4)
    slow.wake()
    await until(lambda: slow.heard and slow.heard[-1] == 100)
    await until(lambda: quick.heard and quick.heard[-1] == 100)
    assert slow.heard == quick.heard == list(range(1, 101))


@pytest.mark.parametrize("limit", [50_000, 10_000])
async def test_orders_are_bounded_in_bytes_and_one_longer_message_comes_all_the_same(
    line: Line, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(actors.jetstream, "BYTES_LIMIT", limit)
    line.say_long(60, 20_000)
    line.say(10)
    ear = Ear("ear")
    line.begin(ear)
    await until(lambda: ear.heard and ear.heard[-1] == 70)
    assert ear.heard == list(range(1, 71))
    answer = line.bus.wait(lambda: jetstream_api(line.bus.connection, "CONSUMER.LIST.LOG", {}), 10)
    readers = [one["name"] for one in answer["consumers"] if one["name"].startswith("r_")]
    assert len(readers) == 1, "no order's end was taken for the consumer's"


def test_a_window_counts_what_not_everybody_has_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actors.feed, "_LAG", 10)
    events = busy(20)
    early, late = (sum(len(event.data) for event in part) for part in (events[:3], events[3:9]))
    monkeypatch.setattr(actors.feed, "_LAG_BYTES", max(early, late))
    window = Window()
    window.add(events[:3])
    assert not window.is_full(0)
    window.add(events[3:9])
    assert window.is_full(0), "in bytes"
    assert not window.is_full(3)
    monkeypatch.setattr(actors.feed, "_LAG_BYTES", 1_000_000)
    window.add(events[9:])
    assert window.is_full(9), "in events"
    assert not window.is_full(10)

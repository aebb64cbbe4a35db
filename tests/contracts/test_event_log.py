"""The promise of `events.log.EventLog`, kept by the log in memory and by the one on a real server."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from actors.connection import Connection
from actors.jetstream import JetStreamLog, jetstream_api
from actors.nats_server import DATA
from events.envelope import Recorded
from events.event import Event
from events.log import (
    Conflict,
    Entry,
    EventLog,
    Expect,
    LogFull,
    LogRefused,
    LogUnreachable,
    MemoryLog,
    entry,
    envelope,
    matches,
)
from events.observations import LeaseTaken, Sampled
from events.subjects import LEASE, LOG, task_filter
from events.tasks import TaskCancelled, TaskSubmitted
from tests.real_server import real_server

NODE = "node.n1"


class Case:
    """A log under test as the node and as a client see it, and how to leave it no room."""

    def __init__(self, log: EventLog, client: EventLog, fill: Callable[[], Awaitable[None]]) -> None:
        self.log = log
        self.client = client
        self.fill = fill

    async def take(self, count: int, after: int = 0, filter: str = "log.>") -> list[Recorded]:
        """Follow the log until so many events have come."""
        taken: list[Recorded] = []
        async with asyncio.timeout(60):
            async for chunk in self.log.follow(after, filter):
                taken.extend(chunk)
                if len(taken) >= count:
                    break
        return taken


@pytest.fixture(params=["memory", "jetstream"])
async def case(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Case]:
    if request.param == "memory":
        memory = MemoryLog()

        async def no_room() -> None:
            memory.room = len(memory.events)

        yield Case(memory, memory, no_room)
        return
    async with real_server(tmp_path) as server:
        connection = await server.connect("node")
        log = JetStreamLog(connection)
        yield Case(log, await server.log("client"), lambda: no_more(connection, log))


async def no_more(connection: Connection, log: JetStreamLog) -> None:
    """Limit the stream to what it holds."""
    wanted = json.loads((DATA / "streams.json").read_text())[LOG] | {"max_msgs": await log.end()}
    answer = await jetstream_api(connection, f"STREAM.UPDATE.{LOG}", wanted | {"num_replicas": 1})
    assert "error" not in answer, answer


def said(id: str, body: Event | None = None, expect: Expect | None = None) -> Entry:
    """Return one entry by the node."""
    return entry(envelope(id, 7, NODE, body or Sampled(full=False)), expect)


def lease(id: str, expected: int) -> Entry:
    """Return a compare-and-set of the lease."""
    return said(id, LeaseTaken(holder="n1", previous=expected), Expect(LEASE, expected))


async def test_an_empty_log(case: Case) -> None:
    assert await case.log.end() == 0
    assert await case.log.last("log.>") is None
    assert (await case.log.append([])).positions == ()


async def test_positions_ascend_from_one_and_events_come_back_as_they_were_said(case: Case) -> None:
    single = await case.log.append([said("one")])
    batch = await case.log.append([said("two"), said("three")])
    assert (single.positions, batch.positions) == ((1,), (2, 3))
    assert await case.log.end() == 3
    first, second, third = await case.take(3)
    assert [event.id for event in (first, second, third)] == ["one", "two", "three"]
    assert (first.position, first.subject, first.time, first.source) == (
        1,
        f"log.{NODE}.sampled.node",
        7,
        NODE,
    )
    assert first.body == Sampled(full=False)
    assert json.loads(first.data)["id"] == "one"


async def test_a_known_id_is_stored_once_and_answers_with_its_place(case: Case) -> None:
    await case.log.append([said("one"), said("two")])
    again = await case.log.append([said("two")])
    assert (again.positions, again.known) == ((2,), ("two",))
    mixed = await case.log.append([said("two"), said("three")])
    assert (mixed.positions, mixed.known) == ((2, 3), ("two",))
    assert await case.log.end() == 3


async def test_a_batch_of_known_ids_is_harmless(case: Case) -> None:
    first = await case.log.append([said("one"), said("two")])
    again = await case.log.append([said("one"), said("two")])
    assert (again.positions, again.known) == (first.positions, ("one", "two"))
    assert await case.log.end() == 2


async def test_compare_and_set_lets_one_of_two_win(case: Case) -> None:
    first = await case.log.append([lease("a", 0)])
    with pytest.raises(Conflict):
        await case.log.append([lease("b", 0)])
    second = await case.log.append([lease("c", first.positions[0])])
    assert second.positions == (2,)
    assert await case.log.end() == 2


async def test_a_conflict_anywhere_in_a_batch_stores_nothing_of_it(case: Case) -> None:
    await case.log.append([lease("a", 0)])
    for number in range(3):
        batch = [said(f"x{number}"), said(f"y{number}"), said(f"z{number}")]
        batch[number] = lease(f"b{number}", 0)
        with pytest.raises(Conflict):
            await case.log.append(batch)
    assert await case.log.end() == 1


async def test_a_fence_of_another_subject_refuses_a_stale_writer(case: Case) -> None:
    epoch = (await case.log.append([lease("a", 0)])).positions[0]
    fence = Expect(LEASE, epoch)
    assert (await case.log.append([said("one", None, fence), said("two")])).positions == (2, 3)
    await case.log.append([lease("b", epoch)])
    with pytest.raises(Conflict):
        await case.log.append([said("three", None, fence), said("four")])
    with pytest.raises(Conflict):
        await case.log.append([said("five", None, fence)])
    assert await case.log.end() == 4


async def test_one_task_is_one_chain_whoever_writes_it(case: Case) -> None:
    chain = task_filter("q1", "t")
    submitted = entry(envelope("s", 1, "client.cli", TaskSubmitted(task="t", queue="q1")), Expect(chain, 0))
    position = (await case.client.append([submitted])).positions[0]
    await case.log.append([said("between")])
    cancelled = TaskCancelled(task="t", queue="q1")
    await case.log.append([entry(envelope("c", 2, "node.n1", cancelled), Expect(chain, position))])
    with pytest.raises(Conflict):
        await case.log.append([entry(envelope("d", 3, "node.n1", cancelled), Expect(chain, position))])
    last = await case.client.last(chain)
    assert last is not None
    assert (last.position, last.body) == (3, cancelled)


async def test_reading_begins_behind_a_position_and_keeps_to_its_filter(case: Case) -> None:
    await case.log.append([said(f"e{number}") for number in range(5)])
    await case.log.append([lease("lease", 0)])
    await case.log.append([said("after")])
    assert [event.position for event in await case.take(4, after=3)] == [4, 5, 6, 7]
    assert [event.id for event in await case.take(1, filter=LEASE)] == ["lease"]
    assert [event.id for event in await case.take(1, after=5, filter=f"log.{NODE}.>")] == ["after"]
    last = await case.log.last(f"log.{NODE}.sampled.*")
    assert last is not None
    assert last.id == "after"


async def test_many_events_come_in_order_and_without_a_gap(case: Case) -> None:
    for start in range(0, 3000, 1000):
        await case.log.append([said(f"e{number}") for number in range(start, start + 1000)])
    taken = await case.take(3000)
    assert [event.id for event in taken] == [f"e{number}" for number in range(3000)]


async def test_without_room_nothing_of_a_batch_is_stored_and_reading_goes_on(case: Case) -> None:
    await case.log.append([said("one")])
    await case.fill()
    with pytest.raises(LogFull):
        await case.log.append([said("two")])
    with pytest.raises(LogFull):
        await case.log.append([said("three"), said("four")])
    assert await case.log.end() == 1
    assert [event.id for event in await case.take(1)] == ["one"]


async def test_a_batch_that_is_too_long_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    async with real_server(tmp_path) as server:
        log = await server.log()
        with pytest.raises(LogRefused, match="at most 1000"):
            await log.append([said(f"e{number}") for number in range(1001)])
        assert await log.end() == 0


async def test_a_reader_outlives_a_killed_server(tmp_path: Path) -> None:
    async with real_server(tmp_path, sync="always") as server:
        log = await server.log()
        await log.append([said(f"e{number}") for number in range(100)])
        seen: list[str] = []
        follow = log.follow()
        async with asyncio.timeout(60):
            while len(seen) < 100:
                seen += [event.id for event in await anext(follow)]
            server.kill()
            server.start()
            other = await server.log()
            await _until_answered(other)
            await other.append([said(f"f{number}") for number in range(100)])
            while len(seen) < 200:
                seen += [event.id for event in await anext(follow)]
        await follow.aclose()  # type: ignore[attr-defined]
        assert seen == [f"e{number}" for number in range(100)] + [f"f{number}" for number in range(100)]


async def _until_answered(log: JetStreamLog) -> None:
    while True:
        try:
            await log.end()
        except LogUnreachable:
            await asyncio.sleep(0.01)
        else:
            return


TOKENS = st.lists(st.sampled_from(["log", "a", "b", "*"]), min_size=1, max_size=5)


@profile(max_examples=300, deadline=None)
@given(TOKENS, st.lists(st.sampled_from(["log", "a", "b"]), min_size=1, max_size=5), st.booleans())
def test_a_filter_fits_token_by_token(filter: list[str], subject: list[str], rest: bool) -> None:
    parts = [*filter, ">"] if rest else filter
    pairs = zip(filter, subject, strict=False)
    fits = all(want in ("*", have) for want, have in pairs)
    fits = fits and (len(subject) > len(filter) if rest else len(subject) == len(filter))
    assert matches(".".join(parts), ".".join(subject)) is fits

"""The recorder: what goes together, what a refusal costs whom, what it does while the log is silent."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from actors.recorder import PIPELINE_BELOW, Recorder
from events.log import Conflict, Entry, Expect, LogFull, LogUnreachable, MemoryLog, Receipt, entry, envelope
from events.observations import LeaseTaken, Sampled
from events.subjects import LEASE


class Wire(MemoryLog):
    """A log in memory behind a wire: notes each call, fails as told, stores although the answer is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, int]] = []
        self.lost_before: list[bool] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def append(self, batch: Sequence[Entry]) -> Receipt:
        """Append over the wire; each True in `lost_before` loses the answer of one call after it was stored."""
        await self.gate.wait()
        self.calls.append(("batch", len(batch)))
        if self.lost_before:
            if self.lost_before.pop(0):
                self.take(batch)
            raise LogUnreachable("no answer")
        return self.take(batch)

    async def pipeline(self, batch: Sequence[Entry]) -> list[Receipt | Exception]:
        """Publish singles."""
        await self.gate.wait()
        self.calls.append(("pipeline", len(batch)))
        results: list[Receipt | Exception] = []
        for item in batch:
            try:
                results.append(self.take([item]))
            except Exception as problem:
                results.append(problem)
        return results


class Desk:
    """A recorder over the wire, and what its writers were told."""

    def __init__(self) -> None:
        self.log = Wire()
        self.recorder = Recorder(self.log)  # type: ignore[arg-type]
        self.told: dict[str, Receipt | Exception] = {}
        self.recorder.start()

    def write(self, *ids: str, expect: Expect | None = None) -> None:
        """Queue one group."""
        entries = [said(one, expect if number == 0 else None) for number, one in enumerate(ids)]
        self.recorder.take(entries, lambda result: self.told.__setitem__(ids[0], result))

    async def all(self, count: int) -> None:
        """Wait until so many groups were answered."""
        async with asyncio.timeout(60):
            while len(self.told) < count:
                await asyncio.sleep(0.001)

    @property
    def stored(self) -> list[str]:
        """The ids in the log, in order."""
        return [event.id for event in self.log.events]


def said(id: str, expect: Expect | None = None) -> Entry:
    """Return one entry."""
    return entry(envelope(id, 1, "node.n", Sampled(full=False)), expect)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    yield made
    await made.recorder.stop()


async def test_what_waits_is_written_together_in_the_order_it_was_said(desk: Desk) -> None:
    desk.log.gate.clear()
    desk.write("first")
    await asyncio.sleep(0)
    for number in range(PIPELINE_BELOW + 4):
        desk.write(f"e{number}")
    desk.log.gate.set()
    await desk.all(PIPELINE_BELOW + 5)
    assert desk.stored == ["first", *(f"e{number}" for number in range(PIPELINE_BELOW + 4))]
    assert desk.log.calls == [("batch", 1), ("batch", PIPELINE_BELOW + 4)]
    assert desk.told["e3"] == Receipt((5,))
    assert desk.recorder.written == PIPELINE_BELOW + 5


async def test_few_singles_are_pipelined_and_a_group_makes_it_one_batch(desk: Desk) -> None:
    for number in range(3):
        desk.write(f"e{number}")
    await desk.all(3)
    desk.write("a", "b")
    desk.write("c")
    await desk.all(5)
    assert desk.log.calls == [("pipeline", 3), ("batch", 3)]
    assert desk.told["a"] == Receipt((4, 5))
    assert desk.told["c"] == Receipt((6,))


async def test_no_batch_is_longer_than_the_server_takes(desk: Desk) -> None:
    for number in range(5):
        desk.write(*(f"e{number}-{part}" for part in range(300)))
    await desk.all(5)
    assert [size for _, size in desk.log.calls] == [900, 600]


async def test_a_conflict_is_the_business_of_its_group_alone(desk: Desk) -> None:
    desk.log.take([entry(envelope("lease", 1, "node.m", LeaseTaken(holder="m")))])
    stale = Expect(LEASE, 7)
    desk.write("a", "b")
    desk.write("c", "d", expect=stale)
    desk.write("e")
    desk.write("f", "g")
    await desk.all(4)
    assert isinstance(desk.told["c"], Conflict)
    assert desk.stored == ["lease", "a", "b", "e", "f", "g"]
    assert desk.told["f"] == Receipt((5, 6))


async def test_an_answer_that_is_lost_is_asked_for_again_and_nothing_is_stored_twice(desk: Desk) -> None:
    desk.log.lost_before = [True, False]
    desk.write("a", "b")
    desk.write("c")
    desk.write("d", "e")
    await desk.all(3)
    assert desk.stored == ["a", "b", "c", "d", "e"]
    assert [isinstance(result, Receipt) for result in desk.told.values()] == [True] * 3
    receipt = desk.told["a"]
    assert isinstance(receipt, Receipt)
    assert receipt.positions == (1, 2)


async def test_order_is_kept_when_the_log_was_away(desk: Desk) -> None:
    desk.log.lost_before = [False, False]
    desk.write("a")
    desk.write("b", "c")
    desk.write("d")
    desk.write("e", "f")
    desk.write("g")
    await desk.all(5)
    assert desk.stored == list("abcdefg")


async def test_a_full_log_is_told_to_everybody_in_the_batch(desk: Desk) -> None:
    desk.log.room = 1
    desk.write("a", "b")
    desk.write("c", "d")
    await desk.all(2)
    assert [type(result) for result in desk.told.values()] == [LogFull, LogFull]
    desk.log.room = None
    desk.write("e")
    await desk.all(3)
    assert desk.stored == ["e"]


async def test_a_writer_that_fails_at_its_receipt_stops_nobody(desk: Desk) -> None:
    def fail(_: Receipt | Exception) -> None:
        raise RuntimeError("no")

    desk.recorder.take([said("a")], fail)
    desk.write("b")
    await desk.all(1)
    desk.write("c")
    await desk.all(2)
    assert desk.stored == ["a", "b", "c"]


async def test_stopping_writes_what_waits(desk: Desk) -> None:
    for number in range(40):
        desk.write(f"e{number}", f"f{number}")
    await desk.recorder.stop()
    assert len(desk.stored) == 80


async def test_waiting_for_a_receipt_raises_what_went_wrong(desk: Desk) -> None:
    assert await desk.recorder.append([said("a")]) == Receipt((1,))
    with pytest.raises(Conflict):
        await desk.recorder.append([said("b", Expect(LEASE, 3))])

"""Emptying the stream: on the real server, on both sides of every step, and never above what somebody needs."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from actors.blocks import folder_of, records
from actors.inspection import prove
from actors.jetstream import JetStreamLog, Reader, jetstream_api
from actors.trimming import Trimmed, trim
from events.envelope import Recorded
from events.log import Entry, LogDamaged, entry, envelope
from events.observations import ClockStepped, LeaseTaken
from events.subjects import LEASE, LOG
from events.tasks import TaskSubmitted
from projections import anchor
from projections.archive import Bound
from projections.segments import Segments
from tests.real_server import RealServer, real_server

COUNT = 3_000
SEALED = 2_000


def said(start: int, count: int) -> list[Entry]:
    return [
        entry(envelope(f"c{start + one}", 1_000_000 + start + one, "node.n1", ClockStepped(step_ms=one)))
        for one in range(count)
    ]


async def filled(server: RealServer, data: Path) -> Segments:
    """Write a lease, events, seal most of them, leave an anchor."""
    log = await server.log()
    await log.append([entry(envelope("l1", 1, "node.n1", LeaseTaken(holder="n1")))])
    for start in range(1, COUNT, 500):
        await log.append(said(start, min(500, COUNT - start)))
    events: list[Recorded] = []
    async for chunk in Reader(log.connection, LOG, 0).read(idle=0.2):
        events.extend(chunk)
    segments = Segments(data)
    for start in range(0, SEALED, 500):
        segments.seal([[(one.position, one.subject, one.time, one.data) for one in events[start:]]], 500)
    chain = segments.chain
    chain.extend(events[SEALED:])
    anchor.write(anchor.path_in(data), anchor.of(chain, 1))
    return segments


async def trimmed(
    server: RealServer, segments: Segments, bounds: Sequence[Bound], mark: Any = None
) -> Trimmed | None:
    log = await server.log()
    bus = SimpleNamespace(connection=log.connection, log=log)
    return await trim(bus, server.credentials("archive"), list(bounds), 0, mark or segments.mark)  # type: ignore[arg-type]


def walked(data: Path) -> int:
    return prove(data, Segments(data), records(folder_of(data / "nats" / "store")))


async def test_only_leases_stay_below_and_the_rest_is_proven(tmp_path: Path) -> None:
    async with real_server(tmp_path) as server:
        segments = await filled(server, tmp_path)
        assert walked(tmp_path) == COUNT
        done = await trimmed(server, segments, [Bound("segments", SEALED + 1), Bound("readers", SEALED + 50)])
        assert done == Trimmed(Bound("segments", SEALED + 1), SEALED - 1)
        log: JetStreamLog = await server.log()
        lease = await log.last(LEASE)
        assert lease is not None
        assert lease.position == 1
        assert await log.at(SEALED) is None
        assert await log.at(SEALED + 1) is not None
        assert walked(tmp_path) == COUNT
        server.kill()
        server.start()
        assert walked(tmp_path) == COUNT


async def test_a_crash_between_the_note_and_the_purge_is_no_damage_and_the_purge_is_made_good(
    tmp_path: Path,
) -> None:
    async with real_server(tmp_path) as server:
        segments = await filled(server, tmp_path)

        def dies(below: int) -> None:
            segments.mark(below)
            raise ConnectionError("the node dies here")

        with pytest.raises(ConnectionError):
            await trimmed(server, segments, [Bound("segments", SEALED + 1)], dies)
        assert walked(tmp_path) == COUNT
        again = await trimmed(server, Segments(tmp_path), [Bound("segments", SEALED + 1)])
        assert again == Trimmed(Bound("segments", SEALED + 1), SEALED - 1)
        assert walked(tmp_path) == COUNT


async def test_a_crash_after_the_purge_leaves_the_same_to_say(tmp_path: Path) -> None:
    async with real_server(tmp_path) as server:
        segments = await filled(server, tmp_path)
        first = await trimmed(server, segments, [Bound("segments", SEALED + 1)])
        again = await trimmed(server, segments, [Bound("segments", SEALED + 1)])
        assert first is not None
        assert again == Trimmed(first.bound, 0)
        assert walked(tmp_path) == COUNT


async def test_a_purge_that_nobody_noted_is_damage(tmp_path: Path) -> None:
    async with real_server(tmp_path) as server:
        segments = await filled(server, tmp_path)
        await trimmed(server, segments, [Bound("segments", SEALED + 1)], lambda _: None)
        with pytest.raises(LogDamaged, match="elf log repair"):
            walked_strictly(tmp_path)


def walked_strictly(data: Path) -> None:
    """Walk over what the server serves: its files may still hold what it has removed."""
    held = [one for one in records(folder_of(data / "nats" / "store")) if one[0] > SEALED or one[0] == 1]
    prove(data, Segments(data), held)


async def test_a_waiting_task_holds_the_stream_by_its_queues_consumer_alone(tmp_path: Path) -> None:
    async with real_server(tmp_path) as server:
        log = await server.log("client")
        await log.append(said_by_client())
        segments = await filled(server, tmp_path)
        done = await trimmed(server, segments, [Bound("segments", SEALED + 1)])
        assert done is not None
        assert done.bound == Bound("q_q1", 1)


def said_by_client() -> list[Entry]:
    return [entry(envelope("t1", 1, "client.cli", TaskSubmitted(task="t1", queue="q1")))]


@pytest.mark.parametrize("user", ["node", "client", "operator", "worker-p1"])
async def test_nobody_but_the_archive_may_empty_the_stream(tmp_path: Path, user: str) -> None:
    async with real_server(tmp_path) as server:
        await filled(server, tmp_path)
        connection = await server.connect(user)
        answer = await jetstream_api(connection, f"STREAM.PURGE.{LOG}", {"seq": 100}, timeout=0.5)
        assert "error" in answer
        assert (await jetstream_api(await server.connect(), f"STREAM.INFO.{LOG}", None))["state"][
            "messages"
        ] == COUNT

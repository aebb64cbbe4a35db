"""History leaves the stream: sealed first, purged below what anybody needs, said in the log, read as one."""

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from actors.jetstream import JetStreamLog
from events.envelope import Recorded
from events.observations import HistoryPurged, HistorySealed
from events.subjects import LEASE
from projections.segments import Segments
from projections.warehouse import Warehouse
from tests.archive.folder import FOREST, elf, grow, stream, until, verified, whole
from tests.real_node import RealNode, real_node


def purges(log: Sequence[Recorded], least: int) -> list[HistoryPurged]:
    return [one.body for one in log if isinstance(one.body, HistoryPurged) and one.body.below >= least]


async def seen(node: RealNode, unit: str) -> dict[str, Any]:
    """Return a unit's row once the page has it running."""
    deadline = time.monotonic() + 60
    while True:
        rows = [row for row in (await node.status())["workers"] if row["name"] == unit]
        if rows and rows[0]["state"] == "running":
            row: dict[str, Any] = rows[0]
            return row
        assert time.monotonic() < deadline, rows
        await asyncio.sleep(0.02)


async def test_sealed_history_leaves_the_stream_and_the_log_stays_whole(tmp_path: Path) -> None:
    async with real_node(tmp_path, FOREST) as node:
        await node.runs("idle")
        await grow(node, 3_000)
        (purge, *_) = await until(lambda log: purges(log, 2_500), node.data)
        state = await stream(node.data)
        last = (await JetStreamLog(await node.connection()).last(LEASE)) is not None
        assert last, "the lease stays: every decision is fenced by it"
        assert state["messages"] <= state["last_seq"] - purge.below + 10
        log = await whole(node.data)
        assert [event.position for event in log] == list(range(1, len(log) + 1))
        sealed = [event.body for event in log if isinstance(event.body, HistorySealed)]
        segments = Segments(node.data)
        assert [(one.first, one.last, one.head) for one in sealed] == [
            (one.first, one.last, one.head) for one in segments.all[: len(sealed)]
        ]
        assert segments.last >= purge.below - 1
        found = await verified(node.data)
        assert (found["ok"], found["first"], found["damage"]) == (True, 1, [])
        assert await node.stop() == 0
    found = await verified(node.data)
    assert (found["ok"], found["damage"]) == (True, [])
    code, out, err = await elf("replay", "--json", "--data", node.data)
    assert (code, json.loads(out)["divergences"]) == (0, []), err
    code, out, _ = await elf("log", "export", "-", "--to", "1200", "--data", node.data)
    assert [json.loads(line)["position"] for line in out.splitlines()] == list(range(1, 1201))
    question = "SELECT count(*) AS n, min(seq) AS first, count(body) AS told FROM events"
    code, out, _ = await elf("sql", question, "--json", "--data", node.data)
    assert code == 0
    assert f"{found['events']}" in out, "every event of the sealed past answers in SQL"


async def test_the_stream_is_emptied_while_there_is_always_more_to_seal(tmp_path: Path) -> None:
    async with real_node(tmp_path, FOREST) as node:
        await node.runs("idle")
        await grow(node, 8_000)
        log = await until(lambda log: log if purges(log, 7_000) else [], node.data, 60.0)
        sealed = [one.position for one in log if isinstance(one.body, HistorySealed)]
        emptied = [one.position for one in log if isinstance(one.body, HistoryPurged)]
        assert emptied[0] < sealed[-3]


async def test_a_node_whose_snapshots_are_gone_starts_from_the_segments(tmp_path: Path) -> None:
    async with real_node(tmp_path, FOREST) as node:
        await node.runs("idle")
        await grow(node, 2_000)
        await until(lambda log: purges(log, 1_500), node.data)
        before = await seen(node, "idle")
        await node.kill9()
        for path in (node.data / "snapshots").iterdir():
            path.unlink()
        (node.data / "warehouse.duckdb").unlink()
        for path in node.data.glob("warehouse.duckdb.wal"):
            path.unlink()
        await node.start()
        again = await seen(node, "idle")
        assert (again["pid"], again["generation"]) == (before["pid"], before["generation"])
        found = await verified(node.data)
        assert found["ok"], found
        assert await node.stop() == 0
    assert (await verified(node.data))["ok"]


async def test_an_open_task_keeps_its_place_in_the_stream(tmp_path: Path) -> None:
    async with real_node(tmp_path, FOREST) as node:
        await node.runs("idle")
        await grow(node, 1_000)
        await node.submit("held", [("waits", 1)])
        await grow(node, 2_000)
        held = next(event for event in await whole(node.data) if event.type == "task_submitted")
        place = held.position
        log = await until(
            lambda log: log if purges(log, 900) and Segments(node.data).last > place else [], node.data
        )
        assert max(one.below for one in purges(log, 1)) <= place
        kept = await JetStreamLog(await node.connection()).at(place)
        assert kept is not None
        assert kept.type == "task_submitted"
        assert await node.stop() == 0


async def test_a_node_that_dies_between_sealing_and_saying_so_says_so_later(tmp_path: Path) -> None:
    async with real_node(tmp_path, FOREST.replace("500", "1000000")) as node:
        await node.runs("idle")
        await grow(node, 1_500)
        await until(lambda log: len(log) > 1_500, node.data)
        assert await node.stop() == 0
        with Warehouse.open(node.data / "warehouse.duckdb", read_only=True) as warehouse:
            Segments(node.data).seal(warehouse.rows(), 700)
        await node.start()
        found = await until(
            lambda log: [one.body for one in log if isinstance(one.body, HistorySealed)], node.data
        )
        assert [one.last for one in found] == [700]
        assert await node.stop() == 0

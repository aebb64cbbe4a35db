"""The tables as a file for any DuckDB: published while the node runs, replaced under readers, equal to all others."""

import json
import threading
from pathlib import Path
from typing import Any

import duckdb

from projections.published import path_in, publish
from projections.segments import Segments
from projections.warehouse import Warehouse
from tests.archive.folder import elf, until
from tests.projections.scenes import everything, stored
from tests.real_node import real_node

FOREST = """
[log]
segment_events = 200
[kpi]
snapshot_s = 0.2
targets = { "エラー率" = 0.5 }
[[queue]]
name = "sums"
[[worker]]
name = "adder"
queue = "sums"
call = "plain:echo"
cwd = "HANDLERS"
"""
HANDLERS = Path(__file__).parents[1] / "handlers"
INDICATORS = "SELECT name, value, target, met, n FROM kpi_daily ORDER BY day, place"


def outside(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """Ask as any other program would."""
    with duckdb.connect(str(path), read_only=True) as plain:
        return plain.execute(sql).fetchall()


async def test_the_same_numbers_from_the_node_the_file_and_a_rebuild(tmp_path: Path) -> None:
    async with real_node(tmp_path, FOREST.replace("HANDLERS", str(HANDLERS))) as node:
        await node.runs("adder")
        await node.submit("sums", [(f"t{number}", {"n": number}) for number in range(60)])
        await node.wait(lambda _: len([e for e in node.events if e.type == "task_finished"]) == 60)
        await until(lambda log: any(event.type == "history_sealed" for event in log), node.data)
        by_itself = path_in(node.data)
        await node.wait(lambda _: by_itself.exists(), 20.0, "a file published by itself")
        said = await node.ask("publish", seconds=60)
        path = Path(said["path"])
        assert path == by_itself.resolve()
        position = said["position"]
        (inside,) = (await node.ask("sql", sql="SELECT count(*) FROM tasks WHERE state = 'done'"))["rows"]
        assert outside(path, "SELECT count(*) FROM tasks WHERE state = 'done'") == [tuple(inside)]
        ((events, seen),) = outside(path, "SELECT count(*), max(seq) FROM events WHERE body IS NOT NULL")
        assert events == seen == position, "sealed bytes are read from the segments, the others from the file"
        assert Segments(node.data).last > 0
        assert outside(
            path, "SELECT body->>'$.payload.n' FROM events WHERE entity = 't7' AND type = 'task_submitted'"
        ) == [("7",)]
        assert await node.stop() == 0
    code, out, err = await elf("kpi", "--json", "--data", node.data)
    assert code == 0, err
    rows = [
        (row["name"], row["value"], row["target"], row["met"], row["n"])
        for row in json.loads(out)["indicators"]
    ]
    assert ("completion_rate", 1.0, 0.95, True, 60) in rows
    assert ("error_rate", 0.0, 0.5, True, 60) in rows
    code, out, err = await elf("sql", "--snapshot", "--data", node.data)
    assert code == 0, err
    assert outside(Path(out.strip()), INDICATORS) == rows
    with Warehouse.open(node.data / "warehouse.duckdb") as warehouse:
        warehouse.rebuild()
        assert warehouse.cursor().execute(INDICATORS).fetchall() == rows


def test_a_reader_never_sees_a_half_of_it(tmp_path: Path) -> None:
    events = everything().events
    with stored(tmp_path / "warehouse.duckdb", events[:20]) as warehouse:
        path = publish(warehouse, None).path
        stop, wrong, asked = threading.Event(), list[object](), [0]

        def read() -> None:
            while not stop.is_set():
                with duckdb.connect(str(path), read_only=True) as plain:
                    for _ in range(3):
                        (row,) = plain.execute("SELECT count(*), max(seq) FROM events").fetchall()
                        ((end,),) = plain.execute("SELECT seq FROM log_end").fetchall()
                        asked[0] += 1
                        if row != (end, end):
                            wrong.append((row, end))

        reader = threading.Thread(target=read)
        reader.start()
        for event in events[20:28]:
            warehouse.add([event])
            assert publish(warehouse, None).position == event.position
        stop.set()
        reader.join()
        assert wrong == []
        assert asked[0] > 0
    assert sorted(item.name for item in path.parent.iterdir()) == ["kpi.duckdb"]


def test_what_somebody_wrote_into_the_file_is_gone_with_the_next(tmp_path: Path) -> None:
    with stored(tmp_path / "warehouse.duckdb", everything().events) as warehouse:
        path = publish(warehouse, None).path
        with duckdb.connect(str(path)) as plain:
            plain.execute("PRAGMA disable_checkpoint_on_shutdown")
            plain.execute("CREATE TABLE mine AS SELECT 1 AS a")
        publish(warehouse, None)
    ((tables,),) = outside(path, "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'mine'")
    assert tables == 0
    ((tags,),) = outside(
        path, "SELECT tags FROM duckdb_databases() WHERE path = (SELECT max(path) FROM duckdb_databases())"
    )
    assert tags["storage_version"].startswith("v1.4.0")

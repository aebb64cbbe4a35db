"""The warehouse as a follower of the log: atomic, exact, made again from its bytes, given back on close."""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from events.codec import CATALOGUE
from events.envelope import Recorded
from events.subjects import target_of
from projections import definitions, rows
from projections.chain import Altered, Chain, Gap, Regression
from projections.facts import Facts
from projections.rows import COLUMNS
from projections.warehouse import Warehouse
from projections.warehouse_file import WarehouseDamaged, WarehouseError
from tests.projections.scenes import Scene, everything, stored

ROOT = Path(__file__).parents[2]


def contents(warehouse: Warehouse) -> dict[str, list[Any]]:
    """Return every table whole; `meta` too."""
    cursor = warehouse.cursor()
    try:
        return {
            table: cursor.execute(f"FROM {table} ORDER BY ALL").fetchall() for table in definitions.tables()
        }
    finally:
        cursor.close()


def busy(count: int) -> Sequence[Recorded]:
    """Return a log of that many events with everything in it."""
    scene = everything()
    while len(scene.events) < count:
        task = f"n{len(scene.events)}"
        scene.submit(task)
        scene.finish(task, scene.start(task))
    return scene.events[:count]


def test_schema_and_writers_name_the_same_columns(tmp_path: Path) -> None:
    with_columns = {}
    warehouse = Warehouse.open(tmp_path / "w.duckdb")
    cursor = warehouse.cursor()
    for table in COLUMNS:
        with_columns[table] = tuple(row[0] for row in cursor.execute(f"DESCRIBE {table}").fetchall())
    cursor.close()
    warehouse.close()
    assert with_columns == COLUMNS


def test_every_event_of_the_catalogue_has_its_rows() -> None:
    said = {type(event.body) for event in everything().events}
    assert said >= set(CATALOGUE), "let tests/projections/scenes.py say the new event"
    made = rows.rows_of(everything().events, Facts())
    assert all(made.values())
    by_position = {row[0]: row[8] for row in made["log"]}
    for event in everything().events:
        if isinstance(event.body, CATALOGUE) and target_of(event.body) != "node":
            assert by_position[event.position] == target_of(event.body)


def test_bytes_and_checkpoint_come_back_after_reopening(tmp_path: Path) -> None:
    events = busy(1200)
    warehouse = stored(tmp_path / "w.duckdb", events, 97)
    chain = Chain()
    chain.extend(events)
    assert (warehouse.chain, warehouse.checkpoint) == (chain, 1200)
    warehouse.close()
    again = Warehouse.open(tmp_path / "w.duckdb")
    assert again.chain == chain
    assert [event for page in again.events() for event in page] == list(events)
    assert [event.position for page in again.events(5, 9) for event in page] == [6, 7, 8, 9]
    assert list(again.events(1200)) == []
    assert (again.anchor.position, again.anchor.head, again.anchor.count) == (1200, chain.head_hex, 1200)
    assert again.anchor.time == events[-1].time
    again.close()


@pytest.mark.parametrize(("batch", "problem"), [((2, 4), Gap), ((0, 1), Regression), ((5, 6), Gap)])
def test_a_batch_that_does_not_follow_changes_nothing(
    tmp_path: Path, batch: tuple[int, int], problem: type[Exception]
) -> None:
    events = busy(10)
    warehouse = stored(tmp_path / "w.duckdb", events[:3])
    before = contents(warehouse)
    bad = [events[index] for index in batch] if batch[0] != 2 else [events[3], events[5]]
    with pytest.raises(problem):
        warehouse.add(bad)
    assert (contents(warehouse), warehouse.checkpoint) == (before, 3)
    warehouse.add(events[3:])
    assert warehouse.checkpoint == 10
    warehouse.close()


def test_an_error_while_storing_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = busy(60)
    warehouse = stored(tmp_path / "w.duckdb", events[:20])
    before = contents(warehouse)

    def broken(*_: object) -> list[object]:
        return ["no number", "no head", "no count", "no time", 0, ""]

    with monkeypatch.context() as patched:
        patched.setattr("projections.warehouse._checkpoint", broken)
        with pytest.raises(duckdb.Error):
            warehouse.add(events[20:40])
    assert (contents(warehouse), warehouse.checkpoint) == (before, 20)
    warehouse.add(events[20:])
    warehouse.close()
    whole = stored(tmp_path / "x.duckdb", events)
    again = Warehouse.open(tmp_path / "w.duckdb")
    assert contents(again) == contents(whole)
    again.close()
    whole.close()


def test_numbers_and_texts_that_no_column_holds_do_not_stop_it(tmp_path: Path) -> None:
    scene = everything()
    huge = 10**30
    scene.raw(
        "log.worker.w1.task.q.x.started.1",
        b'{"id":"h","time":%d,"source":"worker.w1","body":{"type":"task_started","task":"x","queue":"q","unit":"w-1",'
        b'"generation":%d,"pid":-%d,"attempt":1,"nonce":"n"}}' % (huge, huge, huge),
    )
    scene.submit("later")
    warehouse = stored(tmp_path / "w.duckdb", scene.events)
    cursor = warehouse.cursor()
    row = cursor.execute("SELECT generation, pid FROM task_event WHERE task = 'x'").fetchone()
    assert row == (2**63 - 1, -(2**63))
    assert cursor.execute("SELECT epoch_us(time) FROM events WHERE id = 'h'").fetchone() == (0,)
    before = contents(warehouse)
    warehouse.rebuild()
    assert contents(warehouse) == before
    assert [event for page in warehouse.events() for event in page] == list(scene.events)
    cursor.close()
    warehouse.close()


def test_counts_that_32_bits_do_not_hold_are_made_again_as_they_were(tmp_path: Path) -> None:
    scene = everything()
    more = 2**31
    scene.raw(
        "log.worker.w1.task.q.x.started.1",
        b'{"id":"m","time":1,"source":"worker.w1","body":{"type":"task_started","task":"x","queue":"q","unit":"w-1",'
        b'"generation":%d,"pid":-%d,"attempt":-%d,"nonce":"n"}}' % (more, more + 1, 2**63),
    )
    warehouse = stored(tmp_path / "w.duckdb", scene.events)
    before = contents(warehouse)
    warehouse.rebuild()
    assert contents(warehouse) == before
    cursor = warehouse.cursor()
    row = cursor.execute("SELECT generation, pid FROM task_claim WHERE task = 'x'").fetchone()
    assert row == (more, -more - 1)
    cursor.close()
    warehouse.close()


@pytest.mark.parametrize("batch", [1, 7, 500])
def test_a_rebuild_gives_what_following_gave(tmp_path: Path, batch: int) -> None:
    events = busy(300)
    warehouse = stored(tmp_path / "w.duckdb", events, batch)
    before = contents(warehouse)
    heard: list[tuple[int, int]] = []
    warehouse.rebuild(lambda done, whole: heard.append((done, whole)))
    assert contents(warehouse) == before
    assert heard == [(250, 300), (300, 300)]
    warehouse.add(busy(310)[300:])
    assert warehouse.checkpoint == 310
    warehouse.close()


def test_a_rebuild_finds_altered_bytes_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    stored(path, busy(50)).close()
    with duckdb.connect(str(path)) as raw:
        raw.execute("UPDATE log SET data = encode('{}') WHERE position = 20")
    warehouse = Warehouse.open(path)
    before = contents(warehouse)
    with pytest.raises(Altered, match="expected head"):
        warehouse.rebuild()
    assert contents(warehouse) == before
    warehouse.close()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE log SET type = 'unknown' WHERE position = 40",
        "UPDATE log SET entity = NULL",
        "ALTER TABLE log DROP COLUMN correlation",
        "ALTER TABLE log ADD COLUMN more INTEGER",
    ],
)
def test_a_rebuild_brings_the_log_to_its_columns(tmp_path: Path, change: str) -> None:
    path = tmp_path / "w.duckdb"
    with stored(path, busy(60)) as warehouse:
        before = contents(warehouse)
    with duckdb.connect(str(path)) as raw:
        for view in definitions.views():
            raw.execute(f"DROP VIEW {view}")
        raw.execute(change)
    with Warehouse.open(path) as warehouse:
        warehouse.rebuild()
        assert contents(warehouse) == before
        warehouse.add(busy(70)[60:])
    with Warehouse.open(path) as warehouse:
        assert [event for page in warehouse.events() for event in page] == list(busy(70))


def test_other_views_are_replaced_and_other_tables_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.duckdb"
    warehouse = stored(path, busy(50))
    before = contents(warehouse)
    warehouse.close()
    changed = {**definitions.views(), "mine": "CREATE VIEW mine AS SELECT count(*) AS n FROM events"}
    del changed["clock_steps"]
    with monkeypatch.context() as patched:
        patched.setattr(definitions, "views", lambda: changed)
        patched.setattr(definitions, "views_digest", lambda: "other views")
        with pytest.raises(WarehouseError, match="open it for writing"):
            Warehouse.open(path, read_only=True)
        other = Warehouse.open(path)
        cursor = other.cursor()
        assert cursor.execute("SELECT n FROM mine").fetchone() == (50,)
        with pytest.raises(duckdb.CatalogException):
            cursor.execute("FROM clock_steps")
        cursor.close()
        other.close()
    with duckdb.connect(str(path)) as raw:
        raw.execute("DROP TABLE task_end; UPDATE meta SET value = 'old' WHERE key = 'tables'")
    heard: list[int] = []
    again = Warehouse.open(path, progress=lambda done, whole: heard.append(done))
    assert contents(again) == before
    assert heard == [50]
    again.close()


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.duckdb"
    garbage.write_bytes(os.urandom(20_000))
    foreign = tmp_path / "foreign.duckdb"
    with duckdb.connect(str(foreign)) as raw:
        raw.execute("CREATE TABLE mine (a INT)")
    torn = tmp_path / "torn.duckdb"
    stored(torn, busy(3000)).close()
    os.truncate(torn, torn.stat().st_size // 2)
    for path in (garbage, foreign, torn, tmp_path / "none" / "w.duckdb"):
        with pytest.raises(WarehouseDamaged, match=path.name):
            Warehouse.open(path).rebuild()
    with pytest.raises(WarehouseError):
        Warehouse.open(tmp_path / "absent.duckdb", read_only=True)


def test_another_process_that_holds_the_file_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    warehouse = stored(path, busy(10))
    code = (
        "import sys; from pathlib import Path; from projections.warehouse import Warehouse\n"
        "from projections.warehouse_file import WarehouseLocked\n"
        "try: Warehouse.open(Path(sys.argv[1]))\n"
        "except WarehouseLocked as problem: print(problem)"
    )
    asked = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True)
    assert asked.stdout.startswith(f"expected {path} to be free"), asked.stderr
    warehouse.close()
    with Warehouse.open(path, read_only=True) as reader:
        assert reader.checkpoint == 10
        with pytest.raises(duckdb.Error):
            reader.add(busy(11)[10:])


def test_closing_ends_what_other_threads_run_and_gives_the_file_back(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    warehouse = stored(path, busy(10))
    begun, ended = threading.Event(), threading.Event()

    def endless() -> None:
        cursor = warehouse.cursor()
        begun.set()
        try:
            cursor.execute("SELECT count(*) FROM range(100000000) a, range(1000000) b").fetchall()
        except duckdb.Error:
            ended.set()

    thread = threading.Thread(target=endless)
    thread.start()
    assert begun.wait(60)
    warehouse.close()
    assert ended.wait(60)
    thread.join()
    warehouse.close()
    with pytest.raises(WarehouseError, match="closed"):
        warehouse.cursor()
    with duckdb.connect(str(path)) as raw:
        assert raw.execute("SELECT count(*) FROM log").fetchone() == (10,)


def test_others_read_while_one_writes(tmp_path: Path) -> None:
    events = busy(3000)
    warehouse = Warehouse.open(tmp_path / "w.duckdb")
    wrong: list[object] = []
    stop = threading.Event()

    def read() -> None:
        cursor = warehouse.cursor()
        while not stop.is_set():
            seen = cursor.execute(
                "SELECT (SELECT count(*) FROM log), (SELECT position FROM checkpoint)"
            ).fetchone()
            if seen is None or seen[0] != seen[1]:
                wrong.append(seen)
        cursor.close()

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for start in range(0, 3000, 100):
        warehouse.add(events[start : start + 100])
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    warehouse.close()


def test_forest_time_follows_the_lease_holder_alone(tmp_path: Path) -> None:
    from events.observations import LeaseTaken, NodeStarted

    scene = Scene()
    started = NodeStarted(node="a", release="1", pure_zone="z", pid=1, boot="b", python="3")
    scene.say(started, "node.a", second=50)
    scene.say(LeaseTaken(holder="a"), "node.a", second=10)
    scene.say(started, "node.b", second=99)
    scene.say(started, "node.a", second=20)
    scene.say(started, "node.a", second=15)
    scene.say(LeaseTaken(holder="b", previous=2), "node.b", second=30)
    warehouse = stored(tmp_path / "w.duckdb", scene.events, 2)
    warehouse.close()
    warehouse = Warehouse.open(tmp_path / "w.duckdb")
    scene.say(started, "node.b", second=31)
    warehouse.add(scene.events[6:])
    cursor = warehouse.cursor()
    seconds = cursor.execute(
        "SELECT epoch(forest_time)::BIGINT % 100 FROM events WHERE seq > 1 ORDER BY seq"
    ).fetchall()
    assert [row[0] for row in seconds] == [10, 10, 20, 20, 30, 31]
    cursor.close()
    warehouse.close()

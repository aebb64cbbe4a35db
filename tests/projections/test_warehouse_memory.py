"""What the warehouse holds in memory, and when it lets it go."""

from pathlib import Path

import duckdb
import pytest

import projections.warehouse
from projections import rebuilding
from projections.warehouse import Warehouse
from tests.projections.scenes import stored
from tests.projections.test_warehouse import busy, contents


def test_when_it_settles_the_file_takes_what_its_journal_holds(tmp_path: Path) -> None:
    events = busy(4200)
    journal = tmp_path / "w.duckdb.wal"
    with Warehouse.open(tmp_path / "w.duckdb") as warehouse:
        warehouse.add(events[:2100])
        assert warehouse.unsettled == 2100
        assert journal.stat().st_size
        reader = warehouse.cursor()
        reader.begin()
        assert reader.execute("SELECT count(*) FROM log").fetchone() == (2100,)
        warehouse.settle()
        assert warehouse.unsettled == 0, "somebody who reads stops nothing"
        assert reader.execute("SELECT count(*) FROM log").fetchone() == (2100,)
        reader.rollback()
        assert not journal.exists() or not journal.stat().st_size
        warehouse.add(events[2100:])
        assert warehouse.unsettled == 2100
        assert warehouse.checkpoint == 4200


def test_pages_become_smaller_where_events_are_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuilding, "PAGE_BYTES", 20_000)
    with stored(tmp_path / "w.duckdb", busy(2000), 500) as warehouse:
        pages = list(warehouse.rows())
        assert [row[0] for page in pages for row in page] == list(range(1, 2001))
        assert len(pages[0]) == 250, "nothing is known of their length yet"
        assert all(sum(len(row[3]) for row in page) < 40_000 for page in pages[1:])
        assert max(len(page) for page in pages[1:]) > 40
        before = contents(warehouse)
        warehouse.rebuild()
        assert contents(warehouse) == before


def test_what_is_kept_for_questions_goes_when_nobody_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projections.warehouse, "_KEPT", "1MB")
    with stored(tmp_path / "w.duckdb", busy(8_000), 500) as warehouse:
        warehouse.settle()

        def held() -> int:
            with warehouse.reading() as cursor:
                asked = "SELECT sum(memory_usage_bytes) FROM duckdb_memory() WHERE tag = 'BASE_TABLE'"
                ((size,),) = cursor.execute(asked).fetchall()
                return int(size)

        with warehouse.reading() as cursor:
            cursor.execute("SELECT sum(hash(COLUMNS(*))) FROM log").fetchall()
            full = held()
            warehouse.let_go()
            assert held() == full > 1_500_000, "somebody reads"
            with pytest.raises(duckdb.Error, match="locked"):
                cursor.execute("SET GLOBAL threads = 4")
        warehouse.let_go()
        assert held() < 1_000_000
        with warehouse.reading() as cursor:
            ((limit,),) = cursor.execute("SELECT current_setting('memory_limit')").fetchall()
        assert limit == "1.8 GiB"


def test_what_is_in_use_is_kept_and_the_limit_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projections.warehouse, "_KEPT", "1kB")
    events = busy(3_000)
    with stored(tmp_path / "w.duckdb", events[:2_000], 500) as warehouse:
        warehouse.let_go()
        warehouse.add(events[2_000:])
        warehouse.settle()
        with warehouse.reading() as cursor:
            assert cursor.execute("SELECT count(*) FROM log").fetchone() == (3_000,)
            assert cursor.execute("SELECT current_setting('memory_limit')").fetchone() == ("1.8 GiB",)

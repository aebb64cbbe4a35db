"""Events a second into the warehouse, out of it, and through a rebuild from its own bytes, beside a bare appender."""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.figures import Report, arguments, machine, workdir
from bench.history import PAGE, History
from bench.programs import rss
from bench.raw.duckdb_append import Row, rows_per_second
from events.envelope import Recorded
from projections.facts import Facts
from projections.rows import rows_of
from projections.warehouse import Warehouse


def fill(warehouse: Warehouse, count: int) -> tuple[float, list[Row]]:
    """Add a history; return the seconds in `add` alone and the first rows of the table of all events."""
    took, kept = 0.0, list[Row]()
    for page in History().pages(count):
        if len(kept) < 100_000:
            kept.extend(rows_of(page, Facts())["log"])
        took += timed_add(warehouse, page)
    return took, kept


def timed_add(warehouse: Warehouse, page: list[Recorded]) -> float:
    """Add one page and return the seconds."""
    began = time.perf_counter()
    warehouse.add(page)
    return time.perf_counter() - began


def main() -> None:
    """Run all parts and say the figures."""
    parser = arguments(__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--memory", default="48MB", help="what DuckDB may use; a node gives it so much")
    options = parser.parse_args()
    report = Report("rebuild_rate", options.json)
    print(machine())
    with workdir("rebuild") as folder:
        before = rss(os.getpid())
        warehouse = Warehouse.open(folder / "warehouse.duckdb", memory=options.memory)
        took, rows = fill(warehouse, options.events)
        count = warehouse.checkpoint
        raw = rows_per_second(folder / "raw.duckdb", rows, PAGE, options.memory)
        rows.clear()
        beside = "bare appender, 100,000 rows of the widest table"
        report.row(
            f"add, {count:,} events in pages of {PAGE:,}", count / took, "events/s", beside=beside, raw=raw
        )
        began = time.perf_counter()
        read = sum(len(page) for page in warehouse.events())
        assert read == count
        report.row("events read back", count / (time.perf_counter() - began), "events/s")
        began, spent = time.perf_counter(), time.process_time()
        warehouse.rebuild()
        took, spent = time.perf_counter() - began, time.process_time() - spent
        report.row(
            "rebuild of every table, chain verified",
            count / took,
            "events/s",
            beside=beside,
            raw=raw,
            goal=">= 100,000/s",
            seconds=took,
            per_processor_second=round(count / spent),
            rss_mib=rss(os.getpid()),
            rss_before_mib=before,
        )
        warehouse.close()
        size = (folder / "warehouse.duckdb").stat().st_size
        report.row("file", size / 2**20, "MiB", bytes_per_event=size / count)


if __name__ == "__main__":
    main()

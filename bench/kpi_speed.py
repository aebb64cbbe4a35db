"""Seconds that the indicators take over ten million events, that publishing the tables takes, and SQL over Parquet."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import duckdb

from bench.agent_history import AgentHistory
from bench.figures import Report, arguments, machine, workdir
from projections.published import publish
from projections.segments import Segments
from projections.warehouse import Warehouse

COPIED = (
    "log",
    "task_asked",
    "task_claim",
    "task_end",
    "assignment",
    "agent_sample",
    "agent_state",
    "decision",
)
BEST_OF = 3


def fill(warehouse: Warehouse, events: int, days: int) -> int:
    """Add a day of events, then copy the rows of its tables to further days; returns how many events that is."""
    for page in AgentHistory().pages(events // days):
        warehouse.add(page)
    count = warehouse.checkpoint
    cursor = warehouse.cursor()
    span = 86_400_000_000
    for table in COPIED:
        columns = {row[0] for row in cursor.execute(f"DESCRIBE {table}").fetchall()}
        moved = [f"position + k * {count} AS position", f"time + k * {span} AS time"]
        moved += [
            f"{name} + k * {span} AS {name}" for name in ("submitted", "claimed", "forest") if name in columns
        ]
        moved += [f"claim + k * {count} AS claim"] if "claim" in columns else []
        moved += ["day + k::INTEGER AS day"] if "day" in columns else []
        moved += ["''::BLOB AS data"] if table == "log" else []
        cursor.execute(
            f"INSERT INTO {table} SELECT t.* REPLACE ({', '.join(moved)}) FROM {table} t, range(1, {days}) r(k)"
        )
    last = (days - 1) * span
    cursor.execute(f"UPDATE checkpoint SET time = time + {last}, forest = forest + {last}")
    ((total,),) = cursor.execute("SELECT count(*) FROM log").fetchall()
    cursor.close()
    return int(total)


def best(cursor: duckdb.DuckDBPyConnection, sql: str) -> tuple[float, float]:
    """Run a query some times; returns the least seconds by the clock, and of processor time."""
    took, worked = [], []
    for _ in range(BEST_OF):
        began, busy = time.perf_counter(), time.process_time()
        cursor.execute(sql).fetchall()
        took.append(time.perf_counter() - began)
        worked.append(time.process_time() - busy)
    return min(took), min(worked)


def over_parquet(folder: Path, events: int, report: Report) -> None:
    """Seal real events into segments and ask them directly, as any program may."""
    segments = Segments(folder)
    pages = AgentHistory().pages(events)
    rows = ([(e.position, e.subject, e.time, e.data) for e in page] for page in pages)
    while segments.last < events // 100_000 * 100_000:
        segments.seal(rows, 100_000)
    with duckdb.connect(config={"threads": 2}) as plain:
        files = f"read_parquet('{segments.folder}/*-*.parquet')"
        by_writer = (
            "SELECT split_part(subject, '.', 2) AS role, split_part(subject, '.', 3) AS writer, count(*),"
            f" min(time), max(time) FROM {files} GROUP BY ALL"
        )
        by_end = (
            "SELECT split_part(subject, '.', 5) AS queue, split_part(subject, '.', 7) AS what, count(*),"
            f" min(time), max(time) FROM {files} WHERE subject LIKE '%.task.%' GROUP BY ALL"
        )
        for name, sql in (("events by writer", by_writer), ("task events by queue and kind", by_end)):
            took, worked = best(plain, sql)
            report.row(
                f"SQL over Parquet: {name}",
                segments.last / took,
                "events/s",
                goal=">= 1,000,000/s",
                a_core=segments.last / worked,
            )


def main() -> None:
    """Run all parts and say the figures."""
    parser = arguments(__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=100)
    parser.add_argument("--sealed", type=int, default=200_000)
    parser.add_argument("--memory", default="96MB", help="what DuckDB may use; a node gives it so much")
    options = parser.parse_args()
    report = Report("kpi_speed", options.json)
    print(machine())
    with workdir("kpi") as folder:
        with Warehouse.open(folder / "warehouse.duckdb", memory=options.memory) as warehouse:
            events = fill(warehouse, options.events, options.days)
            print(f"{events:,} events: one day as it was written, its rows copied to {options.days - 1} more")
            cursor = warehouse.cursor()
            goal = "<= 1 s"
            last = "WHERE day = (SELECT max(day) FROM days)"
            asked = {
                "kpi_daily of the last day, one thread": f"FROM kpi_daily {last}",
                "kpi_daily of all days": "FROM kpi_daily",
                "kpi_rolling of all days": "FROM kpi_rolling",
            }
            for name, sql in asked.items():
                took, worked = best(cursor, sql)
                report.row(name, took, "s", goal=goal, events=events, processor_s=worked)
            done = publish(warehouse, None)
            report.row("publishing kpi.duckdb", done.seconds, "s", mib=done.path.stat().st_size / 2**20)
            with duckdb.connect(str(done.path), read_only=True) as plain:
                took, worked = best(plain, f"FROM kpi_daily {last}")
                report.row("the last day by a plain client", took, "s", goal=goal, processor_s=worked)
        over_parquet(folder, options.sealed, report)


if __name__ == "__main__":
    main()

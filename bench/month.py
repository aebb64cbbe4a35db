"""A month of operation as an ordinary log: `bench/month.py PATH_TO_DATA`, `elf daily` of each day, the indicators.

Recorded requests (gentd26) stretched to so many days on three unequal agents with the failures of the seed. The log is
read by the commands a person has; indicators are asked of the folder, of its published snapshot and of a rebuild.
"""

import argparse
import contextlib
import io
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import duckdb

import cli
from actors.simulator import Choice, Scenario, simulate_one
from actors.simulator.scenario import at_horizon, ranked
from bench.distribution import ERROR_RATE, fleet
from bench.distribution_traces import work
from projections.published import path_in, publish
from projections.warehouse import Warehouse

DAY_S = 86_400.0
KPI = "SELECT day::VARCHAR AS day, name, value, met, n FROM kpi_daily ORDER BY day, name"


def month(data: Path, tasks: int, days: int) -> Scenario:
    """Return that many days of work at the load that the trace then has."""
    horizon = days * DAY_S
    jobs = ranked(work(data, "gentd26")[:tasks], 10, 50)
    return Scenario(
        jobs=tuple(at_horizon(jobs, horizon - 3600.0)),
        players=fleet(3, horizon, "seed", 0),
        choices=(),
        seed=1,
        jitter_s=10.0,
    )


def elf(*words: str) -> Any:
    """Run a command with --json as the command line does and return its answer."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = cli.main([*words, "--json"])
    if code not in (0, 1):
        raise SystemExit(f"elf {' '.join(words)} ended with {code}")
    return json.loads(said.getvalue())


def main() -> None:
    """Read the arguments, simulate, analyse every day, compare the three sources."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with gentd26")
    parser.add_argument("--tasks", type=int, default=6000)
    parser.add_argument("--days", type=int, default=30)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="elf-month-"))
    try:
        play(month(given.data, given.tasks, given.days), folder / "log")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def play(scenario: Scenario, log: Path) -> None:
    """Do it all and print figures."""
    began = time.perf_counter()
    result = simulate_one(scenario, Choice(policy="pull_best"), log)
    print(
        f"{len(scenario.jobs):,} tasks, {result.done:,} done, {result.failed} failed attempts (CC03: {ERROR_RATE:.0%}),"
        f" {result.lost} lost with their agent; written in {time.perf_counter() - began:.1f} s"
    )
    data = ["--data", str(log)]
    days = [row["day"] for row in elf("sql", "SELECT day::VARCHAR AS day FROM days ORDER BY day", *data)]
    began = time.perf_counter()
    analysed = [elf("daily", "--day", day, *data) for day in days]
    said = sum(len(one["recommendations"]) for one in analysed)
    print(
        f"{len(analysed)} days analysed in {time.perf_counter() - began:.1f} s,"
        f" {sum(bool(one['performance_impact']['indicators']) for one in analysed)} with indicators,"
        f" {said} recommendations"
    )
    asked = [tuple(row.values()) for row in elf("sql", KPI, *data)]
    with Warehouse.open(log / "warehouse.duckdb") as warehouse:
        events = [event for page in warehouse.events() for event in page]
        publish(warehouse, None)
    outside = duckdb.connect(str(path_in(log)), read_only=True)
    snapshot = outside.execute(KPI).fetchall()
    outside.close()
    with Warehouse.open(log / "again.duckdb") as again:
        again.add(events)
        rebuilt = again.cursor().execute(KPI).fetchall()
    same = [_plain(asked) == _plain(snapshot), _plain(snapshot) == _plain(rebuilt)]
    print(f"{len(asked)} indicators: elf sql = snapshot {same[0]}, snapshot = rebuild {same[1]}")


def _plain(rows: Any) -> list[list[Any]]:
    return [[round(value, 9) if isinstance(value, float) else value for value in row] for row in rows]


if __name__ == "__main__":
    main()

"""How long a node takes to lead on a log of a million events: with snapshots, and once without."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from actors.refill import refill
from bench.figures import Report, arguments, machine, workdir
from bench.history import History
from bench.nodes import RunningNode, running
from bench.programs import rss, wait_for
from events.envelope import Recorded
from projections import anchor
from projections.segments import Row, Segments
from projections.warehouse import Warehouse

FOREST = """
[node]
name = "NODE_NAME"
[[worker]]
name = "idle"
command = ["sleep", "3600"]
stop_wait_s = 1
"""
SEGMENT = 100_000


def rows(page: list[Recorded]) -> list[Row]:
    """Return what is sealed of events."""
    return [(event.position, event.subject, event.time, event.data) for event in page]


def build(data: Path, count: int) -> None:
    """Make a data folder as a node leaves it: tables, sealed files, the stream behind them, the anchor."""
    data.mkdir(parents=True)
    segments = Segments(data)
    with Warehouse.open(data / "warehouse.duckdb") as warehouse:
        for page in History(decide=False).pages(count):
            warehouse.add(page)
        while warehouse.checkpoint - segments.last >= SEGMENT:
            segments.seal(warehouse.rows(segments.last), SEGMENT)
        first = segments.last + 1

        def tail() -> Iterator[list[Row]]:
            yield from warehouse.rows(first - 1)

        refill(data / "nats" / "store", first, tail())
        segments.mark(first)
        anchor.write(anchor.path_in(data), warehouse.anchor)
    (data / "lock").touch()


def caught_up(node: RunningNode, least: int) -> bool:
    """Tell whether every reader has taken everything."""
    if not node.up():
        return False
    answer = node.ask("check")
    return answer["position"] >= least and max(answer["lags"].values()) <= 5


def start(folder: Path, least: int) -> tuple[float, float, float]:
    """Start a node and end it; return seconds to its first answer, to everybody's end of the log, and MiB then."""
    began = time.perf_counter()
    with running(folder, FOREST) as node:
        answered = time.perf_counter() - began
        wait_for(lambda: caught_up(node, least), 300.0, "readers at the end of the log", 0.02)
        taken = time.perf_counter() - began
        return answered, taken, rss(node.process.pid)


def main() -> None:
    """Build the folder, start once without snapshots, then with those that the first start left."""
    parser = arguments(__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--starts", type=int, default=5)
    given = parser.parse_args()
    report = Report("start_time", given.json)
    print(machine(), flush=True)
    with workdir("start") as folder:
        build(folder / "data", given.events)
        _, taken, size = start(folder, given.events)
        report.row(f"start on {given.events:,} events, no snapshot: readers at the end", taken, "s", mib=size)
        found = [start(folder, given.events) for _ in range(given.starts)]
        answers = sorted(one[0] for one in found)
        ends = sorted(one[1] for one in found)
        report.row(
            "start with snapshots: first answer, median", answers[len(answers) // 2], "s", goal="<= 2 s"
        )
        report.row(
            "the same, readers at the end, median", ends[len(ends) // 2], "s", goal="<= 2 s", worst=ends[-1]
        )
        report.row("memory of the node then", found[-1][2], "MiB", beside="without snapshots", raw=size)


if __name__ == "__main__":
    main()

"""Events a second through the recorder into a log synced on every write, beside raw atomic batches."""

import os
import sys
import threading
import time
from functools import partial
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from actors.bus import Bus
from bench.figures import Report, arguments, machine, quantile, workdir
from bench.raw.atomic_batch import events_per_second
from bench.raw.fsync_append import appends_per_second
from bench.servers import bus_of, server
from events.codec import encode
from events.log import Entry, Receipt, entry, envelope
from events.observations import Sampled, UnitSample

SOURCE = "node.bench"


def entries(count: int, mark: str) -> list[Entry]:
    """Return appends of the event that there is most of: a sample of one unit."""
    made = []
    now = time.time_ns() // 1000
    for number in range(count):
        unit = UnitSample("enhanced_task", 3, "S", 125, 48_000_000 + number, 4, 2, 1, 1200)
        body = Sampled(full=False, units=(unit,))
        made.append(entry(envelope(f"{mark}{number}", now + number, SOURCE, body)))
    return made


class Counted:
    """Counts receipts on the bus and wakes who waits for the last."""

    def __init__(self, wanted: int) -> None:
        self.left = wanted
        self.all = threading.Event()
        self.took: list[float] = []

    def done(self, began: float, result: Receipt | Exception) -> None:
        """Take one receipt."""
        if isinstance(result, Exception):
            raise result
        self.took.append(time.perf_counter() - began)
        self.left -= 1
        if not self.left:
            self.all.set()


def backlog(bus: Bus, count: int, mark: str, group: int = 1) -> float:
    """Hand everything over at once in groups of `group` events; return acknowledged events a second."""
    made = entries(count, mark)
    groups = [made[start : start + group] for start in range(0, count, group)]
    counted = Counted(len(groups))
    began = time.perf_counter()
    for one in groups:
        bus.append(one, partial(counted.done, began))
    if not counted.all.wait(60.0):
        raise TimeoutError(f"expected {count} receipts, {counted.left} are missing")
    return count / (time.perf_counter() - began)


def offered(bus: Bus, rate: int, seconds: float, mark: str) -> list[float]:
    """Hand events over one by one at a steady rate; return the ms to each acknowledgement."""
    made = entries(int(rate * seconds), mark)
    counted = Counted(len(made))
    began = time.perf_counter()
    for number, one in enumerate(made):
        wait = began + number / rate - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        now = time.perf_counter()
        bus.append([one], partial(counted.done, now))
    if not counted.all.wait(60.0):
        raise TimeoutError(f"expected {len(made)} receipts, {counted.left} are missing")
    return [took * 1000 for took in counted.took]


def main() -> None:
    """Run all parts and say the figures."""
    parser = arguments(__doc__)
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    report = Report("append_rate", options.json)
    print(machine())
    with workdir("append") as folder, server(folder) as files, bus_of(files.credentials["node"]) as bus:
        data = encode(entries(1, "x")[0].envelope)
        subject = entries(1, "x")[0].subject
        who = files.credentials["node"]
        disk = appends_per_second(folder, len(data), 2000)
        report.row("the disk alone: write and fdatasync", disk, "/s")
        ours, raw = [], []
        for run in range(options.runs):
            mark = f"{os.getpid()}-{run}-"
            raw.append(
                events_per_second(
                    who.url,
                    who.user,
                    who.password,
                    who.inbox,
                    subject,
                    data,
                    1000,
                    options.events // 1000,
                    mark,
                )
            )
            ours.append(backlog(bus, options.events, f"b{mark}"))
        report.row(
            f"append, backlog of {options.events:,} single events",
            median(ours),
            "events/s",
            beside="raw atomic batches of 1,000",
            raw=median(raw),
            goal=">= 20,000/s",
            least=min(ours),
            most=max(ours),
        )
        grouped = backlog(bus, options.events, f"g{os.getpid()}-", 4)
        report.row("the same in groups of 4", grouped, "events/s", beside="raw", raw=median(raw))
        took = offered(bus, 1000, 5.0, f"o{os.getpid()}-")
        report.row("1,000/s offered: handed over to acknowledged, p50", quantile(took, 0.5), "ms")
        report.row("1,000/s offered: handed over to acknowledged, p99", quantile(took, 0.99), "ms")


if __name__ == "__main__":
    main()

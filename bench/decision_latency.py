"""From an acknowledged observation to its acknowledged decision, with a log synced on every write.

First the product's own elf shell, feed, bus and recorder under a policy that decides on every observation;
then, beside the same load of observations nobody decides on, a complete node that is asked to restart a
worker.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import psutil
from msgspec import Struct, field

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from actors.bus import Bus
from actors.clock import SystemClock
from actors.elf import ElfActor
from actors.elves import Draft, View
from actors.feed import Feed
from actors.jetstream import JetStreamLog, Reader
from actors.journal import Journal
from actors.recorder import Done, Recorder
from actors.snapshots import Snapshots
from bench.figures import Report, arguments, machine, quantile, workdir
from bench.nodes import RunningNode, running
from bench.programs import ROOT, python
from bench.servers import bus_of, server
from events.decisions import Decided, RaiseAlert
from events.envelope import Recorded
from events.event import Event
from events.log import Entry, Expect, Receipt, entry, envelope
from events.observations import IntentSet, LeaseTaken, WorkerReady
from events.subjects import LEASE, LOG


class Waiting(Struct):
    """Observations that have no decision yet, by their number."""

    numbers: list[int] = field(default_factory=list)


class Eager:
    """A policy that decides once on every observation: all that wait go into one decision each."""

    name = "eager"
    version = "1"
    state_type = Waiting
    triggers: tuple[type[Event], ...] = (WorkerReady, Decided)

    def initial(self) -> Waiting:
        """See `Policy.initial`."""
        return Waiting()

    def fold(self, state: Waiting, event: Recorded, view: View) -> None:
        """See `Policy.fold`."""
        assert view.timeline.position == event.position
        if isinstance(event.body, WorkerReady):
            state.numbers.append(event.body.pid)
        elif isinstance(event.body, Decided):
            state.numbers.remove(event.body.inputs["number"])

    def decide(self, state: Waiting, view: View) -> Sequence[Draft]:
        """See `Policy.decide`."""
        assert view.timeline.epoch
        return [
            Draft(
                rule="ready",
                target=f"unit{number % 10}",
                action=RaiseAlert(cause="ready", severity="info", again=True),
                reason="ready",
                text=f"unit{number % 10} is ready",
                inputs={"number": number},
            )
            for number in state.numbers
        ]

    def due(self, state: Waiting, view: View) -> int:
        """See `Policy.due`."""
        return 0 * len(state.numbers) * view.timeline.position


class TimedJournal(Journal):
    """A journal that notes when each decision was acknowledged."""

    decided: dict[int, float]

    def append(self, entries: Sequence[Entry], done: Done | None = None) -> None:
        """See `Journal.append`."""

        def noted(result: Receipt | Exception) -> None:
            now = time.perf_counter()
            if isinstance(result, Receipt):
                for item in entries:
                    if isinstance(item.envelope.body, Decided):
                        self.decided[item.envelope.body.inputs["number"]] = now
            if done:
                done(result)

        super().append(entries, noted)


def shell(bus: Bus, folder: Path, rate: int, seconds: float) -> list[float]:
    """Offer observations; return the ms from each one's receipt to its decision's."""
    journal = TimedJournal(bus, SystemClock(bus), "node.bench")
    journal.decided = {}
    observed: dict[int, float] = {}
    lease = entry(journal.envelope(LeaseTaken(holder="bench")), Expect(LEASE, 0))
    epoch = bus.wait(lambda: bus.recorder.append([lease]), 10.0).positions[0]
    failures: list[str] = []
    feed = Feed(bus, failures.append)
    elf = ElfActor.start(
        lambda down: failures.append(down.error),
        Eager(),
        journal,
        SystemClock(bus),
        Snapshots(folder),
        feed.subscribe,
        lambda _: None,
        failures.append,
        epoch,
    )
    bus.wait(lambda: feed.start_with({"eager"}), 10.0)
    count, everything = int(rate * seconds), threading.Event()

    def done(number: int, result: Receipt | Exception) -> None:
        assert isinstance(result, Receipt), result
        observed[number] = time.perf_counter()

    began = time.perf_counter()
    for number in range(count):
        everything.wait(max(0.0, began + number / rate - time.perf_counter()))
        made = entry(journal.envelope(WorkerReady(unit=f"unit{number % 10}", generation=1, pid=number)))
        bus.append([made], partial(done, number))
    deadline = time.monotonic() + 10.0
    while len(journal.decided) < count and time.monotonic() < deadline and not failures:
        time.sleep(0.01)
    elf.stop(block=True, timeout=5.0)
    if failures or len(journal.decided) < count:
        raise RuntimeError(f"expected {count} decisions, got {len(journal.decided)}; {failures}")
    return [(journal.decided[number] - observed[number]) * 1000 for number in range(count)]


async def pressed(node: RunningNode, rate: int, seconds: float) -> list[float]:
    """Offer observations and now and then ask for a restart; ms from stored wish to stored decision."""
    connection = await node.connect("operator")
    log = JetStreamLog(connection)
    recorder = Recorder(log)
    recorder.start()
    mark = os.urandom(4).hex()
    began, start = time.perf_counter(), await log.end()
    answers: list[Receipt | Exception] = []
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        wish = number % (2 * rate) == rate
        body = IntentSet(target="line" if wish else "nobody", intent="run", restart=wish)
        said = envelope(f"{mark}-{number}", time.time_ns() // 1000, "operator.cli", body)
        recorder.take([entry(said)], answers.append)
    await asyncio.sleep(2.0)
    await recorder.stop()
    await connection.close()
    assert all(isinstance(answer, Receipt) for answer in answers)
    return await stored(node, start, mark)


async def stored(node: RunningNode, start: int, mark: str) -> list[float]:
    """Compare the server's own times of wishes and of the decisions that answer them."""
    connection = await node.connect("node")
    times: dict[int, int] = {}
    reader = Reader(connection, LOG, start)
    take = reader._take

    def noted(message: object) -> None:
        reply = str(getattr(message, "reply", "")).split(".")
        times[int(reply[5])] = int(reply[7])
        take(message)  # type: ignore[arg-type]

    reader._take = noted  # type: ignore[method-assign]
    events = [event async for chunk in reader.read(idle=1.0) for event in chunk]
    await reader.close()
    await connection.close()
    took = []
    for event in events:
        body = event.body
        if isinstance(body, IntentSet) and body.restart and event.id.startswith(mark):
            answer = next(e for e in events if e.position > event.position and isinstance(e.body, Decided))
            took.append((times[answer.position] - times[event.position]) / 1e6)
    return took


def main() -> None:
    """Run both parts and say the figures."""
    parser = arguments(__doc__)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--only", choices=("shell", "node"))
    options = parser.parse_args()
    report = Report("decision_latency", options.json)
    print(machine())
    if options.only != "node":
        with workdir("decide") as folder, server(folder) as files, bus_of(files.credentials["node"]) as bus:
            probing = python(ROOT / "bench" / "raw" / "disk_probe.py", folder / "probe", options.seconds)
            with subprocess.Popen(probing, stdout=subprocess.PIPE, text=True) as probe:
                took = shell(bus, folder / "snapshots", options.rate, options.seconds)
                raw = [float(word) for word in probe.communicate()[0].split()]
            report.row(
                f"acknowledged to decided, {options.rate}/s, p50",
                quantile(took, 0.5),
                "ms",
                beside="wake-up and fdatasync",
                raw=raw[0],
            )
            report.row(
                f"acknowledged to decided, {options.rate}/s, p99",
                quantile(took, 0.99),
                "ms",
                beside="wake-up and fdatasync",
                raw=raw[1],
                goal="<= 10 ms",
                worst=max(took),
                n=len(took),
            )
    if options.only != "shell":
        command = json.dumps(python(ROOT / "bench" / "line_worker.py", "/dev/null"))
        forest = f'[node]\nname = "NODE_NAME"\n[[worker]]\nname = "line"\ncommand = {command}\n'
        with workdir("decide") as folder, running(folder, forest) as node:
            cpu = psutil.Process(node.process.pid)
            cpu.cpu_percent()
            took = asyncio.run(pressed(node, options.rate, options.seconds))
            report.row(
                f"complete node, {options.rate}/s beside: stored wish to decision, p50",
                quantile(took, 0.5),
                "ms",
                worst=max(took),
                n=len(took),
                node_cpu_percent=cpu.cpu_percent(),
            )


if __name__ == "__main__":
    main()

"""Resident memory of a working node over each 100,000 events of a million: it must not grow with the log."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from actors.jetstream import JetStreamLog
from bench.figures import Report, arguments, machine, workdir
from bench.nodes import RunningNode, running
from bench.programs import ROOT, rss, wait_for
from events.log import Expect, LogUnreachable, entry, envelope
from events.subjects import task_filter
from events.tasks import TaskSubmitted

# One plain unit beside the runner gives every tick something to say.
FOREST = f"""
[node]
name = "NODE_NAME"
sample_s = 1.0
[log]
keep_s = 60
[[queue]]
name = "q"
[[worker]]
name = "w"
queue = "q"
call = "plain:noop"
cwd = "{ROOT}/tests/handlers"
batch = 20
concurrency = 2
[[worker]]
name = "p"
command = ["sleep", "1000000"]
"""
_BATCH = 250
# So many events may be under way, or lie before the slowest reader.
_AHEAD = 6_000
_EVENTS_OF_A_TASK = 3


def processes(node: RunningNode) -> dict[str, int]:
    """Return the pid of each process that must stay flat by what it is."""
    found = {"node": node.process.pid, "keeper": node.keeper, "nats-server": node.server}
    for pid in node.below():
        if " runner " in " ".join(psutil.Process(pid).cmdline()):
            found["runner"] = pid
    return found


class Load:
    """Real tasks from one client, as fast as the slowest reader of the node takes what comes of them."""

    def __init__(self, node: RunningNode) -> None:
        self._node = node
        self.pids = processes(node)
        self._submitted = 0
        self._mark = f"{time.time_ns() // 1000}-{os.getpid()}"

    async def until(self, position: int) -> None:
        """Submit until the log has reached a position."""
        connection, operator = await self._node.connect("client"), await self._node.connect("operator")
        log = JetStreamLog(connection, timeout=20.0)
        try:
            while True:
                reply = await operator.client.request("ctl.check", b"{}", timeout=20.0)
                node = json.loads(reply.data)
                if node["position"] >= position:
                    return
                under_way = self._submitted * _EVENTS_OF_A_TASK - node["position"]
                if max(under_way, *node["lags"].values()) > _AHEAD:
                    await asyncio.sleep(0.01)
                else:
                    await self._submit(log)
        finally:
            await connection.close()
            await operator.close()

    async def _submit(self, log: JetStreamLog) -> None:
        now = time.time_ns() // 1000
        names = [f"m{self._mark}-{self._submitted + number}" for number in range(_BATCH)]
        bodies = [TaskSubmitted(task=name, queue="q", payload={"n": 1}) for name in names]
        batch = [
            entry(envelope(f"s-{body.task}", now, "client.cli", body), Expect(task_filter("q", body.task), 0))
            for body in bodies
        ]
        try:
            await log.append(batch)
        except LogUnreachable:
            # These names may stand or not; the next batch has others.
            pass
        self._submitted += _BATCH


def main() -> None:
    """Run and say the figures; the last row says how far memory strayed."""
    parser = arguments(__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--step", type=int, default=100_000)
    options = parser.parse_args()
    report = Report("memory_over_a_million", options.json)
    print(machine())
    seen: dict[str, list[float]] = {}
    with workdir("million") as folder, running(folder, FOREST) as node:
        wait_for(lambda: "runner" in processes(node), 30.0, "a runner")
        load, began = Load(node), time.monotonic()
        for position in range(options.step, options.events + 1, options.step):
            step = asyncio.run(watched(load, position))
            for name, sizes in step.items():
                seen.setdefault(name, []).append(median(sizes))
            rest: dict[str, Any] = {
                name: round(median(sizes), 1) for name, sizes in step.items() if name != "node"
            }
            most = round(max(step["node"]), 1)
            report.row(f"node up to {position:,} events", seen["node"][-1], "MiB", most=most, **rest)
        report.row("events a second meanwhile", options.events / (time.monotonic() - began), "/s")
        manifest = json.loads((node.data / "segments" / "manifest.json").read_text())
        report.row("sealed files", len(manifest["segments"]), "", emptied_below=manifest["purged"])
    for name in ("node", "keeper", "runner"):
        # The first step fills caches: DuckDB's blocks, Python's arenas.
        sizes = seen[name][1:]
        middle = (max(sizes) + min(sizes)) / 2
        report.row(
            f"{name}: strays from its middle", 100 * (max(sizes) - middle) / middle, "%", goal="<= 10 %"
        )


async def watched(load: Load, position: int) -> dict[str, list[float]]:
    """Drive the node to a position; return what each process held meanwhile, in MiB, four times a second."""
    found: dict[str, list[float]] = {}
    driving = asyncio.ensure_future(load.until(position))
    while not driving.done():
        for name, pid in load.pids.items():
            found.setdefault(name, []).append(rss(pid))
        await asyncio.wait([driving], timeout=0.25)
    driving.result()
    return found


if __name__ == "__main__":
    main()

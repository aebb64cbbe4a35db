"""How fast one runner drains a filled queue of tasks that do nothing, and how long a task takes at low load.

python bench/task_rate.py [--tasks 10000] [--low 400] [--sync always,2m]
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from events.subjects import task_filter
from events.tasks import TaskFinished, TaskStarted, TaskSubmitted
from tests.real_runner import RealRunner
from tests.real_server import Client, RealServer, pending, real_server, until_found


def memory_mib(pid: int) -> float:
    """Return a process's resident memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def cpu_s(pid: int) -> float:
    """Return the processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def drained(client: Client, server: RealServer, last: str, runner: RealRunner) -> float:
    """Wait until the queue is empty and nothing is unacknowledged; returns the monotonic time."""
    node = await server.connect()
    while True:
        if await pending(node, "q1") == (0, 0):
            break
        await asyncio.sleep(0.005)
    assert await client.log.last(task_filter("q1", last)) is not None, runner.said()
    return time.monotonic()


async def rate(sync: str, tasks: int) -> dict[str, float]:
    """Fill a queue, start a runner, measure from its readiness to the last acknowledgement."""
    with tempfile.TemporaryDirectory() as folder:
        async with real_server(Path(folder), sync=sync) as server:
            client = Client(await server.log("client"))
            began = time.monotonic()
            await client.submit_all([(f"t{number}", None) for number in range(tasks)])
            submitted = time.monotonic() - began
            runner = RealRunner(server, Path(folder), "plain:noop")
            began = time.monotonic()
            runner.start()
            try:
                await until_found(client.log, "log.worker.p1.worker_ready.w1")
                ready = time.monotonic()
                busy = cpu_s(runner.pid)
                done = await drained(client, server, f"t{tasks - 1}", runner)
                result = {
                    "submitted/s": tasks / submitted,
                    "ready_ms": (ready - began) * 1000,
                    "drained/s": tasks / (done - ready),
                    "runner_cpu_us/task": (cpu_s(runner.pid) - busy) / tasks * 1e6,
                    "rss_mib": memory_mib(runner.pid),
                }
                assert await runner.drain() == 0
            finally:
                runner.close()
            finished = [one for one in await client.story() if isinstance(one.body, TaskFinished)]
            assert len(finished) == tasks, len(finished)
            return result


async def latency(sync: str, tasks: int, pause_s: float = 0.005) -> dict[str, float]:
    """Submit a task every few milliseconds; times are the writers' own, on one machine."""
    with tempfile.TemporaryDirectory() as folder:
        async with real_server(Path(folder), sync=sync) as server:
            client = Client(await server.log("client"))
            runner = RealRunner(server, Path(folder), "plain:noop").start()
            try:
                await until_found(client.log, "log.worker.p1.worker_ready.w1")
                running = []
                for number in range(tasks):
                    running.append(asyncio.create_task(client.submit(f"t{number}")))
                    await asyncio.sleep(pause_s)
                await asyncio.gather(*running)
                await drained(client, server, f"t{tasks - 1}", runner)
                assert await runner.drain() == 0
            finally:
                runner.close()
            times: dict[str, list[int]] = {}
            for one in await client.story():
                if isinstance(one.body, TaskSubmitted | TaskStarted | TaskFinished):
                    times.setdefault(one.body.task, []).append(one.time)
    waits = sorted((life[1] - life[0]) / 1000 for life in times.values())
    whole = sorted((life[2] - life[0]) / 1000 for life in times.values())
    return {
        "start p50": waits[len(waits) // 2],
        "start p99": waits[len(waits) * 99 // 100],
        "end p50": whole[len(whole) // 2],
        "end p99": whole[len(whole) * 99 // 100],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--low", type=int, default=400)
    parser.add_argument("--sync", default="always,2m")
    options = parser.parse_args()
    for sync in options.sync.split(","):
        figures = asyncio.run(rate(sync, options.tasks))
        if options.low:
            figures |= asyncio.run(latency(sync, options.low))
        width = max(len(name) for name in figures)
        print(f"sync {json.dumps(sync)}, {options.tasks} tasks")
        for name, value in figures.items():
            print(f"  {name:<{width}} {value:>12,.2f}")


if __name__ == "__main__":
    main()

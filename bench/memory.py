"""Resident memory of a node with the example's four workers: idle, at work of three kinds, and afterwards."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from actors.jetstream import JetStreamLog, jetstream_api
from actors.recorder import Recorder
from bench.figures import Report, arguments, machine, workdir
from bench.nodes import RunningNode, running
from bench.programs import ROOT, python, rss, smaps, wait_for
from events.log import entry, envelope
from events.subjects import LOG
from events.tasks import TaskSubmitted

QUEUE = "dialog_task_queue"
QUESTIONS = (
    "SELECT count(*), count(DISTINCT id), max(time) FROM log",
    "SELECT type, count(*), avg(octet_length(data)) FROM log GROUP BY type ORDER BY 2 DESC",
    "SELECT position, id, type, entity FROM log ORDER BY id LIMIT 5000",
)
ROUNDS = 6
LOOK_S = 0.05
LIMIT_MIB = 110.0
QUIET_S = 20.0
GOALS = {"node": "<= 110 MiB", "keeper": "<= 15 MiB", "runner simple_task": "<= 45 MiB"}


def forest() -> str:
    """Return the example's configuration with this checkout as the working folder of its workers."""
    text = (ROOT / "examples" / "forest.toml").read_text()
    return text.replace('name = "forest"', 'name = "NODE_NAME"').replace('cwd = ".."', f'cwd = "{ROOT}"')


def processes(node: RunningNode) -> dict[str, int]:
    """Return the pid of each process by what it is."""
    found = {"node": node.process.pid, "keeper": node.keeper, "nats-server": node.server}
    for pid in node.below():
        process = psutil.Process(pid)
        unit = process.environ().get("ELF_UNIT", "::").split(":")[1]
        command = " ".join(process.cmdline())
        if "handler_host" in command:
            found[f"handler host {unit}"] = pid
        elif " runner " in command:
            found[f"runner {unit}"] = pid
    return found


@contextmanager
def watched(node: RunningNode, what: str, report: Report) -> Iterator[None]:
    """Look at the node's memory all the time and say it: the median, the peak, how long it was over the goal."""
    over = threading.Event()
    seen = [rss(node.process.pid)]

    def look() -> None:
        while not over.wait(LOOK_S):
            seen.append(rss(node.process.pid))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    seen.sort()
    report.row(
        f"node, {what}: median",
        seen[len(seen) // 2],
        "MiB",
        goal=GOALS["node"],
        peak=seen[-1],
        p95=seen[int(len(seen) * 0.95)],
        over_goal_s=sum(value > LIMIT_MIB for value in seen) * LOOK_S,
    )


def example(node: RunningNode) -> None:
    """Submit the example's tasks again and again, and look at the forest each time, as a person does."""
    elf, at = python(ROOT / "__main__.py"), ("--data", str(node.data))
    question = "SELECT queue, count(*), avg(service_s) FROM tasks GROUP BY queue"
    for _ in range(ROUNDS):
        for words in (("submit", "--file", "examples/tasks.jsonl", "--wait"), ("status",), ("sql", question)):
            subprocess.run([*elf, *words, *at], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)


async def work(node: RunningNode, count: int, rate: float = 0.0) -> float:
    """Submit so many real tasks, at once or at a rate, and wait for the last end; return tasks a second."""
    client, watcher = await node.connect("client"), await node.connect("node")
    recorder = Recorder(JetStreamLog(client))
    recorder.start()
    began, now = time.monotonic(), time.time_ns() // 1000
    piece = max(1, round(rate / 10)) if rate else count
    for first in range(0, count, piece):
        bodies = [
            TaskSubmitted(
                task=f"m{now}-{number}", queue=QUEUE, payload={"folder": "nats", "pattern": "*.json"}
            )
            for number in range(first, min(first + piece, count))
        ]
        said = [entry(envelope(f"s-{body.task}", now, "client.cli", body)) for body in bodies]
        await asyncio.gather(*(recorder.append([item]) for item in said))
        if rate:
            await asyncio.sleep(max(0.0, began + (first + piece) / rate - time.monotonic()))
    while True:
        info = await jetstream_api(watcher, f"CONSUMER.INFO.{LOG}.q_{QUEUE}", None)
        if not info["num_pending"] and not info["num_ack_pending"]:
            break
        await asyncio.sleep(0.1)
    took = time.monotonic() - began
    await recorder.stop()
    await client.close()
    await watcher.close()
    return count / took


def weigh(node: RunningNode, when: str, report: Report, *, all_of_them: bool) -> None:
    """Say the memory of the processes; of the node also what it shares and what is its own."""
    for name, pid in processes(node).items():
        if all_of_them or name in ("node", "keeper", "nats-server", "runner simple_task"):
            account = smaps(pid)
            report.row(
                f"{name}, {when}",
                rss(pid),
                "MiB",
                goal=GOALS.get(name, ""),
                own=account["Private_Dirty"] + account["Private_Clean"],
                proportional=account["Pss"],
            )


def main() -> None:
    """Run all parts and say the figures."""
    parser = arguments(__doc__)
    parser.add_argument("--idle", type=float, default=60.0, help="seconds before the first look")
    parser.add_argument("--rate", type=float, default=200.0, help="tasks a second of the steady part")
    parser.add_argument("--seconds", type=float, default=40.0, help="how long it lasts")
    parser.add_argument("--tasks", type=int, default=5000, help="tasks of the burst")
    options = parser.parse_args()
    report = Report("memory", options.json)
    print(machine())
    with workdir("memory") as folder, running(folder, forest()) as node:
        wait_for(lambda: len(processes(node)) >= 7, 30.0, "four runners")
        weigh(node, "just started", report, all_of_them=False)
        time.sleep(options.idle)
        weigh(node, f"idle for {options.idle:g} s", report, all_of_them=True)
        with watched(node, f"{ROUNDS} times the example's tasks, status, SQL", report):
            example(node)
        weigh(node, "after them", report, all_of_them=False)
        steady = round(options.seconds * options.rate)
        with watched(node, f"{options.rate:g} tasks/s for {options.seconds:g} s", report):
            asyncio.run(work(node, steady, options.rate))
        time.sleep(QUIET_S)
        weigh(node, f"{QUIET_S:g} s after them", report, all_of_them=False)
        with watched(node, f"{options.tasks:,} tasks at once", report):
            rate = asyncio.run(work(node, options.tasks))
        report.row("real tasks submitted and done meanwhile, one runner", rate, "/s")
        time.sleep(2.0)
        weigh(node, f"2 s after {options.tasks:,} tasks", report, all_of_them=False)
        time.sleep(QUIET_S)
        weigh(node, f"{QUIET_S:g} s later", report, all_of_them=False)
        ends = "SELECT count(*) FROM log WHERE type = 'task_finished' AND correlation LIKE 'm%'"
        done = node.ask("sql", sql=ends)["rows"][0][0]
        assert done == options.tasks + steady, f"expected {options.tasks + steady} finished tasks, got {done}"
        for question in QUESTIONS:
            answer = node.ask("sql", sql=question)
            assert answer["ok"], answer
        weigh(node, "after questions in SQL", report, all_of_them=False)
        time.sleep(QUIET_S)
        weigh(node, f"{QUIET_S:g} s after them", report, all_of_them=False)


if __name__ == "__main__":
    main()

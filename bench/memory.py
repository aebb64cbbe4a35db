"""Resident memory of a node with the example's four workers: idle, after tasks, after questions."""

import asyncio
import sys
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from actors.jetstream import JetStreamLog, jetstream_api
from actors.recorder import Recorder
from bench.figures import Report, arguments, machine, workdir
from bench.nodes import RunningNode, running
from bench.programs import ROOT, rss, smaps, wait_for
from events.log import entry, envelope
from events.subjects import LOG
from events.tasks import TaskSubmitted

QUEUE = "dialog_task_queue"
QUESTIONS = (
    "SELECT count(*), count(DISTINCT id), max(time) FROM log",
    "SELECT type, count(*), avg(octet_length(data)) FROM log GROUP BY type ORDER BY 2 DESC",
    "SELECT position, id, type, entity FROM log ORDER BY id LIMIT 5000",
)
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


async def work(node: RunningNode, count: int) -> float:
    """Submit so many real tasks at once and wait until all are acknowledged; return tasks a second."""
    client, watcher = await node.connect("client"), await node.connect("node")
    recorder = Recorder(JetStreamLog(client))
    recorder.start()
    began, now = time.monotonic(), time.time_ns() // 1000
    bodies = [
        TaskSubmitted(task=f"m{now}-{number}", queue=QUEUE, payload={"folder": "nats", "pattern": "*.json"})
        for number in range(count)
    ]
    said = [entry(envelope(f"s-{body.task}", now, "client.cli", body)) for body in bodies]
    await asyncio.gather(*(recorder.append([item]) for item in said))
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
    parser.add_argument("--tasks", type=int, default=5000)
    options = parser.parse_args()
    report = Report("memory", options.json)
    print(machine())
    with workdir("memory") as folder, running(folder, forest()) as node:
        wait_for(lambda: len(processes(node)) >= 7, 30.0, "four runners")
        weigh(node, "just started", report, all_of_them=False)
        time.sleep(options.idle)
        weigh(node, f"idle for {options.idle:g} s", report, all_of_them=True)
        rate = asyncio.run(work(node, options.tasks))
        time.sleep(2.0)
        weigh(node, f"2 s after {options.tasks:,} tasks", report, all_of_them=False)
        time.sleep(QUIET_S)
        weigh(node, f"{QUIET_S:g} s later", report, all_of_them=False)
        report.row("real tasks submitted and done meanwhile, one runner", rate, "/s")
        ends = node.ask("sql", sql="SELECT count(*) FROM log WHERE type = 'task_finished'")["rows"][0][0]
        assert ends == options.tasks, f"expected {options.tasks} finished tasks, got {ends}"
        for question in QUESTIONS:
            answer = node.ask("sql", sql=question)
            assert answer["ok"], answer
        weigh(node, "after questions in SQL", report, all_of_them=False)
        time.sleep(QUIET_S)
        weigh(node, f"{QUIET_S:g} s after them", report, all_of_them=False)


if __name__ == "__main__":
    main()

"""What a node costs that has nothing to do: memory and processor, with and without visitors, with many workers.

Processor time is that of the node's own process, in percent of one core. A page load is what a browser asks for the
page of workers: the page, its files without a cache, status, samples, and the stream of news up to its first message.
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.figures import Report, arguments, machine, workdir
from bench.memory import forest
from bench.nodes import RunningNode, running
from bench.programs import ROOT, rss, wait_for

STATIC = sorted((ROOT / "actors" / "faces" / "web" / "static").iterdir())
WEB = "\n[web]\nport = 0\n"
MANY = '[node]\nname = "NODE_NAME"\n[web]\nport = 0\n' + "".join(
    f'[[worker]]\nname = "w{number}"\ncommand = ["sleep", "1000000"]\nstop_wait_s = 1\n'
    for number in range(200)
)


@contextmanager
def visitor(node: RunningNode) -> Iterator[httpx.Client]:
    """Come to the node's dashboard."""
    url = str(wait_for(lambda: node.ask("status")["node"]["web_url"], 30.0, "a dashboard"))
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        yield client


def load(client: httpx.Client) -> None:
    """Load the page of workers as a browser does."""
    client.get("/").raise_for_status()
    for path in STATIC:
        if path.suffix != ".html":
            client.get(f"/static/{path.name}").raise_for_status()
    client.get("/api/status").raise_for_status()
    client.get("/api/samples?span=1h").raise_for_status()
    with client.stream("GET", "/api/news") as news:
        next(news.iter_lines())


def follow(client: httpx.Client, over: threading.Event) -> None:
    """Keep a page open: follow the news and ask for status whenever there are some, as the page does."""
    with client.stream("GET", "/api/news") as news:
        for line in news.iter_lines():
            if over.is_set():
                return
            if line.startswith("data: ") and "types" in json.loads(line.removeprefix("data: ")):
                client.get("/api/status").raise_for_status()


def share(node: RunningNode, seconds: float) -> tuple[float, float]:
    """Return how many percent of one core the node used meanwhile, alone and with its keeper and nats-server."""
    processes = [psutil.Process(pid) for pid in (node.process.pid, node.keeper, node.server)]
    began, before = time.monotonic(), [spent(process) for process in processes]
    time.sleep(seconds)
    used = [spent(process) - was for process, was in zip(processes, before, strict=True)]
    took = time.monotonic() - began
    return 100 * used[0] / took, 100 * sum(used) / took


def spent(process: psutil.Process) -> float:
    """Return the processor time of a process in seconds."""
    times = process.cpu_times()
    return float(times.user + times.system)


def rest(report: Report, when: str, node: RunningNode, seconds: float, goal: str = "") -> None:
    """Say what the node uses while nothing happens."""
    alone, three = share(node, seconds)
    report.row(f"{when}: processor", alone, "%", goal=goal, with_keeper_and_server=three)


def four_workers(report: Report, seconds: float) -> None:
    """The example's four workers: nobody looks, somebody has looked, one page is open, a scrape."""
    with workdir("idle") as folder, running(folder, forest() + WEB) as node:
        pid = node.process.pid
        time.sleep(20.0)
        rest(report, "four workers, nobody looks", node, seconds, "<= 2 %")
        report.row("the same: memory", rss(pid), "MiB", goal="<= 120 MiB")
        with visitor(node) as client:
            load(client)
            time.sleep(2.0)
            rest(report, "after the first page", node, seconds, "<= 2 %")
            report.row("the same: memory", rss(pid), "MiB", goal="<= 120 MiB")
            _with_a_page_open(node, client, report, seconds)
            _scraped(client, pid, report)


def page_loads(report: Report, loads: int) -> None:
    """Many loads, on the example's four workers."""
    with workdir("idle") as folder, running(folder, forest() + WEB) as node, visitor(node) as client:
        _loads(client, node.process.pid, report, loads)


def _with_a_page_open(node: RunningNode, client: httpx.Client, report: Report, seconds: float) -> None:
    over = threading.Event()
    reader = threading.Thread(target=follow, args=(client, over), daemon=True)
    reader.start()
    time.sleep(2.0)
    rest(report, "one page open", node, seconds)
    over.set()
    # It ends with the next message.
    reader.join(60.0)


def _scraped(client: httpx.Client, pid: int, report: Report) -> None:
    process, took = psutil.Process(pid), []
    before = spent(process)
    for _ in range(20):
        start = time.monotonic()
        client.get("/metrics").raise_for_status()
        took.append(time.monotonic() - start)
    each = 1000 * (spent(process) - before) / 20
    report.row("one scrape of /metrics: processor time", each, "ms", median_ms=1000 * sorted(took)[10])


def _loads(client: httpx.Client, pid: int, report: Report, loads: int) -> None:
    for _ in range(100):
        load(client)
    time.sleep(2.0)
    before = rss(pid)
    for _ in range(loads):
        load(client)
    time.sleep(2.0)
    after = rss(pid)
    report.row(
        f"{loads} page loads behind the first 100: growth", after - before, "MiB", goal="< 2 MB", memory=after
    )


def many_workers(report: Report, seconds: float) -> None:
    """200 plain workers that do nothing."""
    with workdir("idle") as folder, running(folder, MANY) as node:
        wait_for(
            lambda: sum(row["state"] == "running" for row in node.ask("status")["workers"]) == 200,
            300.0,
            "200 workers that run",
            1.0,
        )
        time.sleep(20.0)
        pid = node.process.pid
        rest(report, "200 plain workers", node, seconds, "<= 10 %")
        report.row("the same: memory", rss(pid), "MiB")
        with visitor(node) as client:
            _scraped(client, pid, report)


def main() -> None:
    """Run all parts and say the figures."""
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each share is measured")
    parser.add_argument("--loads", type=int, default=900)
    parser.add_argument("--only", choices=("four", "loads", "many"), default="")
    given = parser.parse_args()
    report = Report("idle", given.json)
    print(machine(), flush=True)
    if given.only in ("", "four"):
        four_workers(report, given.seconds)
    if given.only in ("", "loads"):
        page_loads(report, given.loads)
    if given.only in ("", "many"):
        many_workers(report, given.seconds)


if __name__ == "__main__":
    main()

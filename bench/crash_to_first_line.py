"""From kill -9 of a plain worker to its successor's first line: the node beside a bare wait loop, by steps.

Workers write pid and clocks as their first act, so nothing is added by looking. `--peers VENV` also measures
supervisord from a virtual environment that has it.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.figures import Report, arguments, machine, spread, workdir
from bench.nodes import RunningNode, running
from bench.programs import ROOT, python, started, wait_for
from events.decisions import Decided
from events.envelope import Recorded
from events.observations import WorkerExited
from events.outcomes import EffectStarted, WorkerStarted

STEADY_S = 10.6
WORKER = ROOT / "bench" / "line_worker.py"
Line = tuple[int, int, int]


def lines(path: Path) -> list[Line]:
    """Return every start that was written: pid, monotonic ns, wall ns."""
    if not path.exists():
        return []
    whole = [line.split() for line in path.read_text().splitlines() if line.count(" ") == 2]
    return [(int(pid), int(mono), int(wall)) for pid, mono, wall in whole]


def kill(path: Path, within: float = 60.0) -> tuple[float, int, Line]:
    """Kill the last that started; return ms to the next first line, the moment of the kill and that line."""
    before = lines(path)
    began, wall = time.monotonic_ns(), time.time_ns()
    os.kill(before[-1][0], signal.SIGKILL)
    after = wait_for(lambda: lines(path)[len(before) :], within, "a new worker", 0.004)
    return (after[0][1] - began) / 1e6, wall, after[0]


def steady(paths: Sequence[Path], kills: int, age: float) -> list[tuple[float, int, Line]]:
    """Kill the workers in turn, each when it is older than `age`, at random phases."""
    phase = random.Random(11)
    found = []
    for number in range(kills):
        path = paths[number % len(paths)]
        born = lines(path)[-1][1] / 1e9
        time.sleep(max(0.0, born + age - time.monotonic()) + phase.uniform(0.1, 0.9))
        found.append(kill(path))
    return found


def breakdown(events: Sequence[Recorded], killed: int, line: Line) -> dict[str, float]:
    """Return the ms between the steps of one restart, by the clocks that the events carry."""
    start = next(e for e in events if isinstance(e.body, WorkerStarted) and e.body.pid == line[0])
    assert isinstance(start.body, WorkerStarted)
    before = (start.body.unit, start.body.generation - 1)
    exited = next(
        e for e in events if isinstance(e.body, WorkerExited) and (e.body.unit, e.body.generation) == before
    )
    assert isinstance(exited.body, WorkerExited)
    decided = next(e for e in events if isinstance(e.body, Decided) and e.id == start.cause)
    ordered = next(
        e for e in events if isinstance(e.body, EffectStarted) and e.body.decision == start.cause
    ).time
    steps = [
        ("kill to reaped by the keeper", killed / 1000, exited.body.at),
        ("reaped to exit written (fsync of the keeper's book)", exited.body.at, exited.time),
        ("exit written to decided (append, feed, fold, policy)", exited.time, decided.time),
        ("decided to order written (append, feed, sweep of /proc)", decided.time, ordered),
        ("order written to started (append, spawn)", ordered, start.time),
        ("started to first line (start of Python)", start.time, line[2] / 1000),
    ]
    return {name: (to - since) / 1000 for name, since, to in steps}


def forest(folder: Path, workers: int) -> str:
    """Return the configuration: so many plain workers and nothing else."""
    text = '[node]\nname = "NODE_NAME"\n'
    for number in range(workers):
        command = json.dumps(python(WORKER, folder / f"starts{number}"))
        text += f'[[worker]]\nname = "line{number}"\ncommand = {command}\n'
    return text


def of_node(folder: Path, kills: int, workers: int, report: Report) -> list[float]:
    """Measure the node; returns the ms of every kill."""
    paths = [folder / f"starts{number}" for number in range(workers)]
    with running(folder, forest(folder, workers)) as node:
        wait_for(lambda: all(lines(path) for path in paths), 20.0, "the first workers")
        found = steady(paths, kills, STEADY_S)
        young(node, paths[0], report)
        time.sleep(0.5)
        events = node.events()
    parts = [breakdown(events, killed, line) for _, killed, line in found]
    for name in parts[0]:
        report.row(
            f"  {name}",
            median(part[name] for part in parts),
            "ms",
            all=spread([part[name] for part in parts]),
        )
    return [took for took, _, _ in found]


def young(node: RunningNode, path: Path, report: Report) -> None:
    """Kill a worker 0.2 s after its start three times: the wait doubles by design."""
    assert node.process.poll() is None
    took = []
    for _ in range(3):
        time.sleep(max(0.0, lines(path)[-1][1] / 1e9 + 0.2 - time.monotonic()))
        took.append(kill(path)[0])
    report.row(
        "worker killed 0.2 s after its start (back-off 1, 2, 4 s)",
        took[0],
        "ms",
        then=[round(t) for t in took[1:]],
    )


def of_bare(folder: Path, kills: int) -> list[float]:
    """Measure a loop that waits and starts again."""
    path = folder / "bare"
    command = python(ROOT / "bench" / "raw" / "bare_restart.py", sys.executable, WORKER, path)
    with started(command, folder / "bare.log"):
        wait_for(lambda: lines(path), 10.0, "the first worker")
        return [took for took, _, _ in steady([path], kills, 0.5)]


def of_supervisord(folder: Path, venv: Path, kills: int) -> list[float]:
    """Measure supervisord from its own virtual environment, one program with its defaults."""
    path, config = folder / "supervised", folder / "supervisord.conf"
    config.write_text(
        f"[supervisord]\nnodaemon=true\nlogfile={folder}/s.log\npidfile={folder}/s.pid\n"
        f"[program:w]\ncommand={sys.executable} {WORKER} {path}\nautorestart=true\n"
    )
    with started([venv / "bin" / "supervisord", "-n", "-c", config], folder / "supervisord.log"):
        wait_for(lambda: lines(path), 20.0, "the first worker")
        return [took for took, _, _ in steady([path], kills, 3.0)]


def main() -> None:
    """Run all parts and say the figures."""
    parser = arguments(__doc__)
    parser.add_argument("--kills", type=int, default=9)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--peers", type=Path, metavar="VENV", help="also measure supervisord from this venv")
    options = parser.parse_args()
    report = Report("crash_to_first_line", options.json)
    print(machine())
    with workdir("crash") as folder:
        bare = of_bare(folder, options.kills)
        ours = of_node(folder, options.kills, options.workers, report)
        report.row(
            "kill -9 of a steady worker to the next first line, median",
            median(ours),
            "ms",
            beside="bare wait loop",
            raw=median(bare),
            goal="<= 50 ms",
            ours_all=spread(ours),
            bare_all=spread(bare),
        )
        if options.peers:
            peer = of_supervisord(folder, options.peers, options.kills)
            report.row(
                "the same beside supervisord", median(ours), "ms", beside="supervisord", raw=median(peer)
            )


if __name__ == "__main__":
    main()

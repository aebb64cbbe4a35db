"""What the node does with the stubborn and the stopped: time to end, time to heal, and what is left over.

A worker under SIGSTOP is noticed and continued; one that ignores SIGTERM and has a grandchild in a session of its
own is stopped by order. In the end the node is stopped, and no process with its marker may live.
"""

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from actors.jetstream import JetStreamLog
from bench.figures import Report, arguments, machine, workdir
from bench.nodes import RunningNode, running
from bench.programs import ROOT, alive, marked, python, wait_for
from events.log import entry, envelope
from events.observations import Intent, IntentSet

WAIT_S = 3.0
SAMPLE_S = 5.0
WORKER = ROOT / "bench" / "line_worker.py"


def forest(folder: Path) -> str:
    """Return the configuration: one stubborn worker, one obedient one."""
    stubborn = json.dumps(python(WORKER, folder / "stubborn", "ignore-term", "grandchild"))
    obedient = json.dumps(python(WORKER, folder / "obedient"))
    return (
        f'[node]\nname = "NODE_NAME"\nsample_s = {SAMPLE_S}\n'
        f'[[worker]]\nname = "stubborn"\nstop_wait_s = {WAIT_S}\ncommand = {stubborn}\n'
        f'[[worker]]\nname = "obedient"\ncommand = {obedient}\n'
    )


def pid_of(path: Path) -> int:
    """Return the pid of the worker that wrote to this file last."""
    words = path.read_text().split() if path.exists() else []
    return int(words[-3]) if len(words) >= 3 else 0


async def _intend(node: RunningNode, target: str, intent: Intent) -> None:
    connection = await node.connect("operator")
    said = envelope(
        os.urandom(8).hex(), time.time_ns() // 1000, "operator.cli", IntentSet(target=target, intent=intent)
    )
    await JetStreamLog(connection).append([entry(said)])
    await connection.close()


def stop(node: RunningNode, name: str, path: Path) -> tuple[float, int]:
    """Order a worker to stop; return the seconds until none of its processes is left, and how many there were."""
    family = marked(node.name, name)
    assert pid_of(path) in family
    began = time.monotonic()
    asyncio.run(_intend(node, name, "stop"))
    wait_for(
        lambda: not any(alive(pid) for pid in family) and not marked(node.name, name),
        30.0,
        f"{name} to end",
        0.01,
    )
    return time.monotonic() - began, len(family)


def freeze(path: Path) -> float:
    """Stop a worker by SIGSTOP; return the seconds until it runs again."""
    pid = pid_of(path)
    began = time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, 2.0, "the stop", 0.001)
    wait_for(lambda: psutil.Process(pid).status() != psutil.STATUS_STOPPED, 60.0, "its healing", 0.005)
    return time.monotonic() - began


def main() -> None:
    """Run all parts and say the figures."""
    parser = arguments(__doc__)
    options = parser.parse_args()
    report = Report("supervise_stop", options.json)
    print(machine())
    with workdir("stop") as folder, running(folder, forest(folder)) as node:
        paths = {name: folder / name for name in ("stubborn", "obedient")}
        wait_for(lambda: all(pid_of(path) for path in paths.values()), 20.0, "the workers")
        wait_for(lambda: len(marked(node.name, "stubborn")) == 2, 5.0, "the grandchild")
        took = freeze(paths["obedient"])
        report.row("SIGSTOPped worker noticed and continued", took, "s", goal="supervisors measured: never")
        took, count = stop(node, "obedient", paths["obedient"])
        report.row("stop of an obedient worker", took, "s", processes=count)
        took, count = stop(node, "stubborn", paths["stubborn"])
        report.row(
            f"stop of one that ignores TERM, {WAIT_S:g} s declared",
            took,
            "s",
            beside="its declared wait",
            raw=WAIT_S,
            processes=count,
        )
        began = time.monotonic()
        asyncio.run(_intend(node, "stubborn", "run"))
        wait_for(lambda: len(marked(node.name, "stubborn")) == 2, 10.0, "a new generation")
        report.row("wish to run again until it runs", time.monotonic() - began, "s")
        began = time.monotonic()
        node.process.send_signal(signal.SIGTERM)
        node.process.wait(30)
        report.row("end of the node with that worker", time.monotonic() - began, "s")
        report.row("processes left over", float(len(marked(node.name))), "", goal="0")


if __name__ == "__main__":
    main()

"""Three agents and 300 tasks with the limits of every day: one killed, one frozen, one slow and failing every tenth.

Says how long a dead agent's tasks wait for another one, whether every task has one effective end, and whether the late
result of the frozen one is kept.
"""

import asyncio
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.figures import Report, arguments, machine, workdir
from events.decisions import Decided, MarkAgent
from events.tasks import ResultSalvaged, TaskFailed, TaskFinished, TaskStarted
from tests.nodes.test_agents import QUEUE, at_work, console, ends, mixed, submit
from tests.real_agent import RealAgent, agents
from tests.real_node import RealNode, real_node

TASKS = 300
NAMES = ("CC01", "CC02", "CC03")


async def measure(folder: Path, report: Report) -> None:
    """Run the scene once and report it."""
    toml = QUEUE + "".join(f'[[agent]]\nname = "{name}"\nwip = 2\n' for name in NAMES)
    async with real_node(folder, toml, sample_s=5.0) as node:
        killed = RealAgent(node, NAMES[0], "--gate", str(folder / "gate-0"), wip=2)
        frozen = RealAgent(node, NAMES[1], "--gate", str(folder / "gate-1"), wip=2)
        words = ("--takes", "0.05", "--fail-every", "10", "--count", str(folder / "count"))
        poor = RealAgent(node, NAMES[2], *words, wip=2)
        async with agents(killed, frozen, poor):
            await submit(node, [mixed(number) for number in range(TASKS)])
            await node.wait(lambda _: len(node.all(TaskFinished)) >= 30, 60, "30 results")
            victim = await at_work(node, folder / "gate-1")
            stopped = time.time()
            frozen.signal(signal.SIGSTOP)
            (folder / "gate-1").unlink()
            lost = await at_work(node, folder / "gate-0")
            dead = time.time()
            await killed.kill9()
            await node.wait(lambda _: len(ends(node)) == TASKS, 300, "all tasks")
            frozen.signal(signal.SIGCONT)
            await node.saw(ResultSalvaged, seconds=60, task=victim)
            _say(node, report, {NAMES[0]: (lost, dead), NAMES[1]: (victim, stopped)})
        await node.stop()
        code, out, err = await console("replay", "--data", str(node.data))
        print((out or err).strip())
        report.row("replay: exit code", code, "", goal="0")


def _say(node: RealNode, report: Report, gone: dict[str, tuple[str, float]]) -> None:
    """Report what the log tells."""
    for name, (task, since) in gone.items():
        position, _ = node.all(Decided, target=name, action=MarkAgent(state="down"))[0]
        down = node.events[position - 1].time / 1e6
        again = min(
            event.time / 1e6
            for event in node.events
            if isinstance(event.body, TaskStarted)
            and event.body.task == task
            and event.source != f"agent.{name}"
        )
        how = "killed" if name == NAMES[0] else "frozen"
        report.row(f"{how}: last sign of life to DOWN", down - since, "s", goal="<= 35")
        report.row(f"{how}: last sign of life to the task elsewhere", again - since, "s", goal="<= 45")
    counts = ends(node)
    report.row(
        "tasks with exactly one effective end", sum(count == 1 for count in counts.values()), "", goal="300"
    )
    report.row("late results salvaged", len(node.all(ResultSalvaged)), "", goal=">= 1")
    report.row("attempts that failed", len(node.all(TaskFailed)), "")
    first = next(event.time for event in node.events if event.type == "task_submitted")
    last = max(event.time for event in node.events if event.type == "task_finished")
    report.row("all tasks done", (last - first) / 1e6, "s")


def main() -> None:
    """Measure in a folder of its own."""
    options = arguments(__doc__).parse_args()
    report = Report("agents_failover", options.json)
    print(machine())
    with workdir("agents") as folder:
        asyncio.run(measure(folder, report))


if __name__ == "__main__":
    main()

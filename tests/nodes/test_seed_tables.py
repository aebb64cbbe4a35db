"""The example of remote agents in a running node: work goes by kind and priority, and around who is away."""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from events.agents import PhaseEntered
from events.decisions import AssignTask, Decided, MarkAgent
from events.outcomes import EffectVerified
from events.tasks import TaskFinished
from tests.archive.folder import elf
from tests.real_agent import RealAgent, agents
from tests.real_node import ROOT, RealNode, real_node

# Outages are found out sooner than in the example, and agents are looked at more often.
LIMITS = (
    "agent_suspect_s = 1.5\nagent_ping_s = 0.3\nagent_cooldown_s = [0.5]\nagent_cap_s = 1\nmonitor_s = 0.5\n"
)


def example() -> str:
    """Return the example without its node, with shorter limits."""
    text = (ROOT / "examples" / "agents.toml").read_text()
    head, limits, rest = text.partition("[limits]")
    assert "[node]" in head
    return limits + rest.replace("\n", "\n" + LIMITS, 1)


def project(folder: Path) -> Path:
    """Make a folder of what the example's tasks are about, in which agents may write."""
    for name in ("events", "nats", "requirements", "examples/handlers"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (ROOT / "examples").glob("*.toml"):
        shutil.copy(path, folder / "examples")
    return folder


def agent(node: RealNode, name: str, folder: Path) -> RealAgent:
    """Return an agent that runs the example's command."""
    return RealAgent(node, name, command=f"{sys.executable} -m examples.handlers.agent", cwd=folder)


class Work:
    """Tasks of the example's kinds, each submitted at the console and followed to its end."""

    def __init__(self, node: RealNode) -> None:
        self.node = node
        self.lines = [
            json.loads(line) for line in (ROOT / "examples" / "agents.jsonl").read_text().splitlines()
        ]
        self.count = 0

    async def submit(self, lines: Sequence[dict[str, Any]]) -> set[tuple[str, str]]:
        """Submit lines and return each kind and priority with who did it and by which reason it was given."""
        named = []
        for line in lines:
            self.count += 1
            named.append({**line, "id": f"t{self.count}"})
        file = self.node.folder / "submitted.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in named))
        code, _, err = await elf("submit", "--file", str(file), "--data", str(self.node.data))
        assert code == 0, err
        for line in named:
            await self.node.saw(TaskFinished, task=line["id"])
        return {(f"{line['type']} {line.get('priority', 'middle')}", self.way(line["id"])) for line in named}

    def way(self, task: str) -> str:
        """Return who did a task and the reason for it."""
        (_, done), *more = self.node.all(TaskFinished, task=task)
        assert not more
        given = [
            body for _, body in self.node.all(Decided, target=task) if isinstance(body.action, AssignTask)
        ]
        return f"{done.unit} {given[-1].reason}"

    async def like(self, kind: str, priority: str = "middle", count: int = 1) -> set[str]:
        """Submit tasks of a kind and return the ways that they went."""
        line = next(line for line in self.lines if line["type"] == kind)
        return {way for _, way in await self.submit([{**line, "priority": priority}] * count)}


async def rows(node: RealNode) -> dict[str, dict[str, Any]]:
    """Return what `elf agent list` says of each agent."""
    code, out, err = await elf("agent", "list", "--json", "--data", str(node.data))
    assert code == 0, err
    return {row["name"]: row for row in json.loads(out)}


@pytest.mark.slow
async def test_the_two_tables_of_the_example_hold_in_a_running_node(tmp_path: Path) -> None:
    folder = project(tmp_path)
    async with real_node(folder / "examples", example()) as node:
        work = Work(node)
        chief, script = agent(node, "CC01", folder), agent(node, "AUTO", folder)
        second, third = agent(node, "CC02", folder), agent(node, "CC03", folder)
        async with agents(chief, script):
            await alone(work)
            async with agents(second, third):
                await together(work)
                await lost_and_recovered(work, second)
        assert await node.stop() == 0
        code, out, err = await elf("replay", "--data", str(node.data))
        assert code == 0, out + err


async def alone(work: Work) -> None:
    """Two never came: the first in the order of last resort does their work, and the log says so."""
    await work.node.status()  # agents have come when the log says so; the page is asked for that much of it
    listed = await rows(work.node)
    assert {name: row["state"] for name, row in listed.items()} == {
        "CC01": "alive",
        "CC02": "absent",
        "CC03": "absent",
        "AUTO": "alive",
    }
    assert {(row["load_score"], row["capacity"], row["phase"]) for row in listed.values()} == {
        (50.0, 50.0, "monitor")
    }
    done = dict(await work.submit(work.lines))
    assert done == {
        "design high": "CC01 pull_best",
        "design middle": "CC01 pull_best",
        "review high": "CC01 pull_best",
        "infrastructure middle": "CC01 fallback",
        "infrastructure high": "CC01 fallback",
        "environment middle": "CC01 fallback",
        "quality middle": "CC01 fallback",
        "test_cases middle": "CC01 fallback",
        "docs middle": "CC01 fallback",
        "backup low": "AUTO pull_best",
        "report low": "AUTO pull_best",
    }
    code, out, err = await elf("why", "t4", "--data", str(work.node.data))
    assert code == 0, err
    assert "t4 to CC01: nobody else may take it" in out


async def together(work: Work) -> None:
    """Everybody is there: each kind has its agent, what is high is the first agent's, what is low the script's."""
    done = dict(await work.submit(work.lines))
    assert done.pop("docs middle") in ("CC02 pull_best", "CC03 pull_best")
    # The second in the order of last resort, where the first is busy.
    assert done.pop("infrastructure high") in ("CC01 fallback", "CC02 fallback")
    assert done == {
        "design high": "CC01 pull_best",
        "design middle": "CC01 pull_best",
        "review high": "CC01 pull_best",
        "infrastructure middle": "CC02 pull_best",
        "environment middle": "CC02 pull_best",
        "quality middle": "CC03 pull_best",
        "test_cases middle": "CC03 pull_best",
        "backup low": "AUTO pull_best",
        "report low": "AUTO pull_best",
    }
    assert await work.like("infrastructure", "high") == {"CC01 fallback"}
    assert await work.like("quality", "high") == {"CC01 fallback"}
    report = work.node.folder / "data-agents" / "reports" / "report.md"
    assert "| examples/handlers/simple_task.py |" in report.read_text()


async def lost_and_recovered(work: Work, lost: RealAgent) -> None:
    """An agent is lost, its work goes on elsewhere; it proves itself and gets it back step by step."""
    node = work.node
    await lost.kill9()
    await node.saw(Decided, target="CC02", action=MarkAgent(state="down"))
    await node.saw(PhaseEntered, agent="CC02", phase="monitor")
    assert await work.like("infrastructure") == {"CC01 fallback"}
    await lost.start()
    await node.saw(PhaseEntered, agent="CC02", phase="stepwise")
    proven = [body.detail for _, body in node.all(EffectVerified, target="CC02")]
    assert proven[-1].startswith("the canary's answer is right")
    row = (await rows(node))["CC02"]
    assert (row["state"], row["phase"], row["wip"]) == ("probation", "stepwise", 1)
    after = len(node.events)
    assert await work.like("infrastructure", count=5) == {"CC02 pull_best"}
    await node.saw(PhaseEntered, after, agent="CC02", phase="full")
    row = (await rows(node))["CC02"]
    assert (row["state"], row["phase"], row["completion_rate"], row["error_rate"]) == (
        "alive",
        "full",
        1.0,
        0.0,
    )
    phases = [body.phase for _, body in node.all(PhaseEntered, agent="CC02")]
    assert phases == ["full", "monitor", "stepwise", "full"]

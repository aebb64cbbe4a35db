"""The printed algorithm in a running node: scores, capacities, last resort, alerts, moves, messages."""

import json
import signal
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from events.decisions import AssignTask, ClearAlert, Decided, MarkAgent, ProposeMove, RaiseAlert
from events.tasks import TaskDied, TaskFinished, TaskSubmitted
from tests.archive.folder import elf
from tests.nodes.test_agents import submit
from tests.real_agent import RealAgent, agents
from tests.real_node import RealNode, real_node

MONITOR_S = 2.0
FOREST = f"""
[[queue]]
name = "q"
serve = "dispatch"
max_attempts = 2
timeout_s = 600

[policy]
distribution = "seed"

[limits]
agent_suspect_s = 5
agent_ping_s = 0.3
agent_cap_s = 1
monitor_s = {MONITOR_S}
response_time_s = 0.5

[[agent]]
name = "CC01"

[[agent]]
name = "CC02"

[[agent]]
name = "CC03"

[notify.people]
file = "messages"
topics = ["reassigned", "warning", "proposal"]
"""
NAMES = ("CC01", "CC02", "CC03")


class Scene:
    """A node, its three agents, and tasks that wait for a file."""

    def __init__(self, node: RealNode, folder: Path) -> None:
        self.node, self.folder = node, folder
        self.data = ("--data", str(node.data))
        self.agents = {name: RealAgent(node, name) for name in NAMES}

    async def give(self, task: str, complexity: int, gate: str, priority: str = "middle") -> tuple[str, str]:
        """Submit a task that waits for a file; return who got it and why."""
        payload = {"wait_for": str(self.folder / gate)}
        await submit(
            self.node,
            [TaskSubmitted(task=task, queue="q", priority=priority, complexity=complexity, payload=payload)],
        )
        _, decided = await self.node.saw(Decided, target=task)
        assert isinstance(decided.action, AssignTask)
        return decided.action.agent, decided.reason

    async def rows(self) -> dict[str, dict[str, Any]]:
        """Return what `elf agent list` says."""
        code, out, err = await elf("agent", "list", "--json", *self.data)
        assert code == 0, err
        return {row["name"]: row for row in json.loads(out)}

    def assigned(self, task: str) -> list[tuple[str, str, str]]:
        """Return every assignment of a task: to whom, from whom, why."""
        return [
            (body.action.agent, body.action.previous, body.reason)
            for _, body in self.node.all(Decided, target=task, mode="act")
            if isinstance(body.action, AssignTask)
        ]

    async def told(self, task: str, before: str, after: str) -> None:
        """Wait until both agents, the node's own log and the people have heard of a task that changed hands."""
        hears: dict[str, tuple[Callable[[], str], str]] = {
            before: (self.agents[before].words, f"task {task} goes to {after}: "),
            after: (self.agents[after].words, f"task {task} comes from {before}: "),
            "the node": (self.node.words, f"task {task} goes from {before} to {after}: "),
            "people": (self.messages, f"reassigned: {task} "),
        }

        def unheard() -> list[str]:
            return [who for who, (words, wanted) in hears.items() if wanted not in words()]

        await self.node.wait(lambda _: not unheard(), what=f"everybody to hear of {task}")

    def messages(self) -> str:
        """Return what people were told."""
        path = self.node.folder / "messages"
        return path.read_text() if path.exists() else ""


@pytest.mark.slow
async def test_the_printed_algorithm_from_the_first_score_to_the_last_message(tmp_path: Path) -> None:
    async with real_node(tmp_path, FOREST) as node:
        scene = Scene(node, tmp_path)
        async with agents(*scene.agents.values()):
            await scores_and_capacities(scene)
            moved = await overload_and_moves(scene)
            await what_was_measured(scene, moved)
            await a_lost_agent(scene)
            await failures(scene)
        assert await node.stop() == 0
        code, out, err = await elf("replay", *scene.data)
        assert code == 0, out + err
        assert "0 differences" in out


async def scores_and_capacities(scene: Scene) -> None:
    """A new agent has 50 points and a capacity of 50; a task goes to the least load whose capacity exceeds it."""
    code, out, err = await elf("agent", "list", *scene.data, "--lang", "en")
    assert code == 0, err
    for name in NAMES:
        line = next(line.split() for line in out.splitlines() if line.startswith(name))
        phase = line.index("monitor")
        assert "alive" in line[:phase]
        assert line[phase + 1 : phase + 4] == ["50.0", "50.0", "0"]
    assert await scene.give("t1", 40, "go") == ("CC01", "seed")
    assert await scene.give("t2", 40, "go") == ("CC02", "seed")
    assert await scene.give("t3", 40, "go") == ("CC03", "seed")
    # All three have 60 points and a capacity of 40, which does not exceed 40.
    assert await scene.give("t4", 40, "go") == ("CC01", "fallback")
    assert await scene.give("t5", 39, "go") == ("CC02", "seed")
    listed = await scene.rows()
    assert {name: (row["load_score"], row["capacity"]) for name, row in listed.items()} == {
        "CC01": (70.0, 30.0),
        "CC02": (70.0, 30.0),
        "CC03": (60.0, 40.0),
    }
    code, out, err = await elf("why", "t4", *scene.data)
    assert "t4 to CC01: nobody else may take it" in out, err


async def overload_and_moves(scene: Scene) -> str:
    """Above 80 an alert, above 70 advice; what is approved is done, and all concerned hear of it. Returns the task."""
    node = scene.node
    assert await scene.give("t6", 90, "go") == ("CC01", "fallback")
    assert await scene.give("t7", 90, "go") == ("CC01", "fallback")
    raised = RaiseAlert(cause="high_load", severity="warning")
    _, alert = await node.saw(Decided, target="CC01", action=raised)
    assert (alert.elf, alert.rule, alert.inputs["score"]) == ("flow", "monitor", 90.0)
    # It comes with the tick after the sixth task or after the seventh.
    _, move = await node.saw(Decided, rule="redistribute", target="CC01", mode="advise")
    assert move.inputs["source_before"] > move.inputs["limit"] == 70.0
    assert f"above 70; {moving(move)} would be better off with CC03" in move.text

    async def shown() -> list[str]:
        code, out, err = await elf("plan", "--json", *scene.data)
        assert code == 0, err
        return [row["id"] for row in json.loads(out) if row["text"] == move.text]

    found = await shown()
    while not found:
        found = await shown()
    code, _, err = await elf("approve", found[0], "--reason", "it has room", *scene.data)
    assert code == 0, err
    # What was approved is decided anew: of two equal tasks the younger one goes.
    task = moving((await node.saw(Decided, rule="redistribute", target="CC01", mode="act"))[1])
    await node.wait(lambda _: scene.assigned(task)[1:], what="the move")
    assert scene.assigned(task)[-1] == ("CC03", "CC01", "approved")
    await scene.told(task, "CC01", "CC03")
    await node.wait(lambda _: f"proposal: {move.text}" in scene.messages(), what="people to hear of it")
    return task


def moving(decided: Decided) -> str:
    """Return the one task that is proposed to go from the busiest agent to the least busy one."""
    assert isinstance(decided.action, ProposeMove)
    (key,) = decided.action.tasks
    assert key in ("q/t6", "q/t7")
    assert (decided.action.source, decided.action.goal) == ("CC01", "CC03")
    return key.removeprefix("q/")


async def what_was_measured(scene: Scene, moved: str) -> None:
    """With its tasks done an agent's load is gone; slow answers are an alert; looks come as often as was asked."""
    node = scene.node
    (scene.folder / "go").touch()
    await node.wait(lambda _: len(node.all(TaskFinished)) == 7, what="seven results")
    assert [body.unit for _, body in node.all(TaskFinished, task=moved)] == ["CC03"]
    await node.saw(Decided, target="CC01", action=ClearAlert(cause="high_load"))
    slow = RaiseAlert(cause="slow_response", severity="warning")
    _, alert = await node.saw(Decided, target="CC01", action=slow)
    assert alert.inputs["response_s"] > alert.inputs["limit"] == 0.5
    for row in (await node.status())["agents"]:
        assert (row["completion_rate"], row["error_rate"], row["current_tasks"]) == (1.0, 0.0, 0)
    ticks = {body.trigger for _, body in node.all(Decided, rule="monitor", elf="flow")}
    looks = sorted(node.events[tick - 1].time for tick in ticks)
    assert len(looks) >= 2
    assert min(after - before for before, after in pairwise(looks)) >= MONITOR_S * 1e6


async def a_lost_agent(scene: Scene) -> None:
    """What a lost agent had goes on by priority: high to the last resort, the rest by score; both sides hear of it."""
    node, lost = scene.node, scene.agents["CC03"]
    for priority in ("high", "middle"):
        given = [(await scene.give(f"{priority}{number}", 1, "on", priority))[0] for number in range(3)]
        assert sorted(given) == sorted(NAMES)
    high, middle = (
        next(
            task
            for task in (f"{name}{number}" for number in range(3))
            if scene.assigned(task)[0][0] == "CC03"
        )
        for name in ("high", "middle")
    )
    lost.signal(signal.SIGSTOP)
    await node.saw(Decided, target="CC03", action=MarkAgent(state="down"))
    await node.wait(
        lambda _: scene.assigned(high)[1:] and scene.assigned(middle)[1:], what="two reassignments"
    )
    assert scene.assigned(high)[1:] == [("CC01", "CC03", "high_of_failed")]
    assert scene.assigned(middle)[1:] == [("CC02", "CC03", "seed")]
    lost.signal(signal.SIGCONT)
    await scene.told(high, "CC03", "CC01")
    await scene.told(middle, "CC03", "CC02")
    (scene.folder / "on").touch()
    await node.wait(lambda _: len(node.all(TaskFinished)) == 13, what="thirteen results")


async def failures(scene: Scene) -> None:
    """Tasks, completion, response and errors make an agent's score, and the score its capacity."""
    node = scene.node
    await submit(node, [TaskSubmitted(task="bad", queue="q", complexity=10, payload={"fails": "no"})])
    await node.saw(TaskDied, task="bad")
    await scene.give("t8", 10, "never")
    page = (await node.status())["agents"]
    assert sum(row["errors"] for row in page) == 2
    assert sum(row["current_tasks"] for row in page) == 1
    for row in page:
        score = row["current_tasks"] * 10 + (1 - row["completion_rate"]) * 50
        score += min(row["response_time_s"] / 60, 10) * 5 + row["error_rate"] * 100
        assert row["response_time_s"] > 0
        assert abs(row["load_score"] - score) < 0.1
        assert abs(row["capacity"] - (100 - score)) < 0.1

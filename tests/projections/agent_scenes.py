"""Logs of remote agents: what they are given, do, miss and come back from."""

from typing import Any

from events.agents import AgentJoined, AgentSample
from events.decisions import (
    AssignTask,
    ClearAlert,
    MarkAgent,
    ProposeMove,
    RaiseAlert,
    ScoreAlert,
    VerifyAgent,
)
from events.jobs import JobFinished
from events.observations import Sampled
from events.outcomes import EffectVerified
from events.tasks import TaskFailed, TaskFinished, TaskStarted
from tests.projections.scenes import Scene

QUEUE = "agents"


def join(scene: Scene, agent: str, wip: int = 1, second: float | None = None) -> int:
    """An agent's program is there."""
    body = AgentJoined(agent=agent, run=f"{agent}-1", pid=7, host="h", release="1", wip=wip)
    return scene.say(body, f"agent.{agent}", second=second)


def mark(scene: Scene, agent: str, state: Any, **fields: Any) -> str:
    """Healing says how an agent stands."""
    words = {"elf": "healing", "rule": state, "reason": state, "text": f"{agent} {state}"}
    return scene.decide(MarkAgent(state=state), agent, **(words | fields))


def assign(
    scene: Scene, task: str, agent: str, lease: int = 1, previous: str = "", second: float | None = None
) -> str:
    """Balance gives a task to an agent."""
    after = len(scene.events)
    action = AssignTask(
        task=task,
        queue=QUEUE,
        agent=agent,
        lease=lease,
        attempt=lease,
        submitted=1,
        after=after,
        previous=previous,
    )
    words = {"elf": "balance", "rule": "reassign" if previous else "assign", "reason": "policy"}
    return scene.decide(action, task, text=f"{task} goes to {agent}", second=second, **words)


def claim(
    scene: Scene, task: str, agent: str, lease: int = 1, attempt: int = 1, second: float | None = None
) -> int:
    """An agent claims what it was given."""
    body = TaskStarted(
        task=task, queue=QUEUE, unit=agent, generation=1, pid=7, attempt=attempt, nonce="n", lease=lease
    )
    return scene.say(body, f"agent.{agent}", second=second)


def finish(
    scene: Scene,
    task: str,
    agent: str,
    claimed: int,
    attempt: int = 1,
    writer: str = "",
    second: float | None = None,
) -> int:
    """An agent says its result."""
    body = TaskFinished(
        task=task, queue=QUEUE, unit=agent, generation=1, attempt=attempt, claim=claimed, service_ms=900
    )
    return scene.say(body, f"agent.{writer or agent}", second=second)


def fail(
    scene: Scene, task: str, agent: str, claimed: int, attempt: int = 1, second: float | None = None
) -> int:
    """An agent says that its attempt went wrong."""
    words: dict[str, Any] = {"kind": "error", "error": "no", "claim": claimed}
    body = TaskFailed(task=task, queue=QUEUE, unit=agent, generation=1, attempt=attempt, **words)
    return scene.say(body, f"agent.{agent}", second=second)


def story(scene: Scene) -> None:
    """Tell of two agents: one does a task, is found down and comes back; a forecast was right."""
    join(scene, "CC01")
    join(scene, "CC02", wip=2)
    scene.submit("a1", QUEUE, kind="design", priority="high")
    assign(scene, "a1", "CC01")
    given = claim(scene, "a1", "CC01")
    rows = (AgentSample("CC01", 100, 1, 50, True), AgentSample("CC02", 100, 0, -1, True))
    scene.say(Sampled(full=True, agents=rows), "node.n1")
    finish(scene, "a1", "CC01", given)
    mark(scene, "CC01", "down")
    check = scene.decide(VerifyAgent(), "CC01", elf="healing", rule="verify")
    scene.say(EffectVerified(decision=check, target="CC01"), "node.n1")
    mark(scene, "CC01", "alive")
    words = {"elf": "wisdom", "rule": "overload"}
    alert = scene.decide(RaiseAlert(cause="overload_forecast", severity="warning"), "CC01", **words)
    scene.decide(ClearAlert(cause="overload_forecast"), "CC01", **words)
    scene.decide(ScoreAlert(alert=alert, verdict="right"), "CC01", **words)
    advice = {"elf": "balance", "rule": "redistribute", "mode": "advise"}
    scene.decide(ProposeMove(tasks=("a2",), source="CC01", goal="CC02"), "CC01", **advice)
    run = JobFinished(job="types", decision="d", kind="types", ok=True, outcome="done", code=0, took_ms=5)
    scene.say(run, "node.n1")

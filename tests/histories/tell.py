"""Tells all five elves on one log in memory what no test on a real node shows, and keeps what they decided.

    python -m tests.histories.tell FOLDER

Days of refused starts, a night with too much work, a queue that nobody asks, agents that nobody may use or that do
their work too fast to be true.
"""

import sys
from pathlib import Path
from typing import Any

from actors.policies import POLICIES
from events.agents import AgentJoined
from events.decisions import AssignTask, Decided, StartUnit
from events.observations import QueueSample, UnitSample, WorkerReady
from events.settings import (
    AgentSettings,
    DistributionSettings,
    ElfSettings,
    Limits,
    ManaSettings,
    NightSettings,
    QueueSettings,
    Settings,
    WorkerSettings,
)
from events.tasks import TaskFinished, TaskStarted, TaskSubmitted
from tests.histories import save
from tests.replay import Forest

ELVES = tuple(
    ElfSettings(name=name, mana=ManaSettings(refill_per_hour=6000))
    for name in ("flow", "healing", "balance", "wisdom", "time")
)


def seen(name: str, memory: int = 100, generation: int = 1) -> UnitSample:
    """Return an idle task worker at a tick."""
    return UnitSample(name, generation, "S", 0, memory, 1, 1, 0, 0)


def waiting(pending: int, pulls: int = 1) -> QueueSample:
    """Return the queue at a tick."""
    return QueueSample("q", pending, 0, pulls, 0)


def work(forest: Forest, task: str, unit: str, ms: int, queue: str = "q", **more: Any) -> None:
    """Let a unit or an agent do a task."""
    source = f"agent.{unit}" if more else f"worker.{unit}"
    place: dict[str, Any] = {"task": task, "queue": queue, "unit": unit, "generation": 1, "attempt": 1}
    claim = len(forest.log.events) + 1
    forest.say(TaskStarted(**place, pid=1, nonce="n", **more), source=source)
    forest.say(TaskFinished(**place, claim=claim, service_ms=ms), source=source)


def workers() -> Forest:
    """A worker that is too full, that does not ask its queue, that has too much work at night."""
    night = NightSettings(start=0, end=1439, max=1)
    pool = WorkerSettings(
        name="w", queue="q", units=("w",), names=("w", "w-2"), memory_limit=1000, launch="1", night=night
    )
    forest = Forest(POLICIES)
    forest.lead(Settings(node="n", queues=(QueueSettings(name="q"),), workers=(pool,), elves=ELVES))
    forest.obey()
    forest.say(WorkerReady(unit="w", generation=1, pid=1), source="worker.w")
    for _ in range(10):
        forest.tick([seen("w")], [waiting(5, pulls=0)])
    work(forest, "t", "w", 100_000)
    forest.tick([seen("w")], [waiting(60)])
    forest.tick([seen("w")], [waiting(0)])
    for memory in (955, 960, 400):
        forest.tick([seen("w", memory)], [waiting(0)])
    forest.land()
    return forest


def refusals() -> Forest:
    """Three days of a worker whose every start fails."""
    dead = WorkerSettings(name="dead", units=("dead",), launch="1")
    forest = Forest(POLICIES)
    forest.lead(Settings(node="n", workers=(dead,), elves=ELVES, limits=Limits(learn_s=3600.0)))
    failed: set[str] = set()
    for _ in range(3 * 24):
        for event in list(forest.log.events):
            body = event.body
            if isinstance(body, Decided) and isinstance(body.action, StartUnit) and event.id not in failed:
                failed.add(event.id)
                forest.fail(event.id, "dead", "expected to start it, got no such file")
        forest.tick(s=3600)
        forest.land()
    return forest


def agents() -> Forest:
    """Tasks for nobody, a second agent that comes when the first has too much, one that is too fast to be true."""
    forest = Forest(POLICIES)
    names = ("a", "b")
    forest.lead(
        Settings(
            node="n",
            queues=(QueueSettings(name="d", serve="dispatch", timeout_s=200.0),),
            agents=tuple(AgentSettings(name=name, skills=("x",), wip=9, canary=True) for name in names),
            distribution=DistributionSettings(policy="jsq"),
            elves=ELVES,
            limits=Limits(agent_suspect_s=100_000.0),
        )
    )
    join(forest, "a")
    for number in range(60):
        submit(forest, f"usual-{number}")
        do(forest, "a", 1000 + number)
    submit(forest, "lost", kind="z")
    for number in range(9):
        submit(forest, f"much-{number}")
    join(forest, "b")
    for _ in range(30):
        forest.tick()
    submit(forest, "hollow")
    do(forest, "b", 3)
    forest.tick()
    forest.land()
    return forest


def join(forest: Forest, name: str) -> None:
    """Let an agent's program join."""
    joined = AgentJoined(agent=name, run="r", pid=1, host="h", release="1", wip=9)
    forest.say(joined, source=f"agent.{name}")


def submit(forest: Forest, task: str, kind: str = "x") -> None:
    """Let a task come."""
    forest.say(TaskSubmitted(task=task, queue="d", kind=kind), source="client.c")
    forest.land()


def do(forest: Forest, agent: str, ms: int) -> None:
    """Let an agent do the last task that it was given."""
    given = [
        event.body.action
        for event in forest.log.events
        if isinstance(event.body, Decided)
        and isinstance(event.body.action, AssignTask)
        and event.body.action.agent == agent
    ]
    work(forest, given[-1].task, agent, ms, "d", lease=given[-1].lease)
    forest.land()


if __name__ == "__main__":
    for story in (workers, refusals, agents):
        save(Path(sys.argv[1]) / f"told_{story.__name__}.jsonl.gz", story().log.events)

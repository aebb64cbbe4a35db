"""Tells all five elves on one log in memory what no test on a real node shows, and keeps what they decided.

    python -m tests.histories.tell FOLDER

Days of refused starts, a night with too much work, a queue that nobody asks, agents that nobody may use or that do
their work too fast to be true, a holiday that forecasts know nothing of.
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


def work(forest: Forest, task: str, unit: str, ms: int, queue: str = "q", lease: int = 0) -> None:
    """Let a unit or, with a lease, an agent do a task."""
    end(forest, task, unit, ms, begin(forest, task, unit, queue, lease), queue, bool(lease))


def begin(forest: Forest, task: str, unit: str, queue: str, lease: int = 0) -> int:
    """Let a unit or, with a lease, an agent begin a task; returns the claim."""
    claim = len(forest.log.events) + 1
    place: dict[str, Any] = {"task": task, "queue": queue, "unit": unit, "generation": 1, "attempt": 1}
    started = TaskStarted(**place, pid=1, nonce="n", lease=lease)
    forest.say(started, source=f"{'agent' if lease else 'worker'}.{unit}")
    return claim


def end(forest: Forest, task: str, unit: str, ms: int, claim: int, queue: str, agent: bool = True) -> None:
    """Let it end the task well."""
    place: dict[str, Any] = {"task": task, "queue": queue, "unit": unit, "generation": 1, "attempt": 1}
    finished = TaskFinished(**place, claim=claim, service_ms=ms)
    forest.say(finished, source=f"{'agent' if agent else 'worker'}.{unit}")


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


def forecasts() -> Forest:
    """Six agents with too much work from ten on, day by day: each foresees it thrice, and again on a holiday."""
    forest = Forest(POLICIES)
    names = tuple("abcdef")
    forest.lead(
        Settings(
            node="n",
            queues=(QueueSettings(name="d", serve="dispatch", timeout_s=7200.0),),
            agents=tuple(AgentSettings(name=name, skills=(name,), wip=9) for name in names),
            elves=ELVES,
            limits=Limits(agent_suspect_s=1e7, silence_s=1e7, response_time_s=7200.0),
        )
    )
    for name in names:
        join(forest, name)
    for day in range(8):
        looks(forest, 120)
        begun: list[tuple[str, str, int]] = []
        for name in names if day < 7 else ():
            for number in range(5):
                task = f"{name}-{day}-{number}"
                submit(forest, task, name)
                begun.append((task, name, begin(forest, task, name, "d", given(forest, name).lease)))
        looks(forest, 9)
        for task, name, claim in begun:
            end(forest, task, name, 2_700_000, claim, "d")
        looks(forest, 159)
    looks(forest, 1)
    return forest


def looks(forest: Forest, count: int) -> None:
    """Let so many times five minutes pass."""
    for _ in range(count):
        forest.tick(s=300)
        forest.land()


def join(forest: Forest, name: str) -> None:
    """Let an agent's program join."""
    joined = AgentJoined(agent=name, run="r", pid=1, host="h", release="1", wip=9)
    forest.say(joined, source=f"agent.{name}")


def submit(forest: Forest, task: str, kind: str = "x") -> None:
    """Let a task come."""
    forest.say(TaskSubmitted(task=task, queue="d", kind=kind), source="client.c")
    forest.land()


def given(forest: Forest, agent: str) -> AssignTask:
    """Return the last task that an agent was given."""
    return next(
        event.body.action
        for event in reversed(forest.log.events)
        if isinstance(event.body, Decided)
        and isinstance(event.body.action, AssignTask)
        and event.body.action.agent == agent
    )


def do(forest: Forest, agent: str, ms: int) -> None:
    """Let an agent do the last task that it was given."""
    last = given(forest, agent)
    work(forest, last.task, agent, ms, "d", last.lease)
    forest.land()


if __name__ == "__main__":
    for story in (workers, refusals, agents, forecasts):
        save(Path(sys.argv[1]) / f"told_{story.__name__}.jsonl.gz", story().log.events)

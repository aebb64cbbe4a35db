"""Tasks whose processes die: tried alone, charged to whom it concerns; whoever only sat beside them loses nothing."""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from events.envelope import Recorded
from events.observations import WorkerExited
from events.tasks import (
    TaskDied,
    TaskFailed,
    TaskFinished,
    TaskReleased,
    TaskStarted,
)
from tests.real_runner import RealRunner, end_of, ends_of, kinds, life_of, lines, lives
from tests.real_server import Client, RealServer, pending, real_server, shorten_ack_wait, until

Start = Callable[..., RealRunner]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RealServer]:
    async with real_server(tmp_path, {"p1": "q1", "p2": "q1"}) as running:
        await shorten_ack_wait(await running.connect(), "q1", 0.5)
        yield running


@pytest.fixture
def usual(tmp_path: Path) -> dict[str, Any]:
    return {"logs": str(tmp_path), "ack_wait_s": 0.5, "deaths": 1}


def beside(story: Sequence[Recorded]) -> list[str]:
    """Return the tasks that a living runner held during its trial of another one."""
    held: dict[str, int] = {}
    trial, generation, found = "", 0, []
    for event in story:
        body = event.body
        if isinstance(body, TaskStarted):
            held[body.task] = body.generation
            trial, generation = (body.task, body.generation) if body.solo else (trial, generation)
        elif isinstance(body, TaskFinished | TaskFailed | TaskDied | TaskReleased):
            held.pop(body.task, None)
            trial = "" if body.task == trial else trial
        if trial:
            found += [task for task, holder in held.items() if holder == generation and task != trial]
    return found


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_what_kills_its_handler_is_tried_alone_with_a_fresh_one_and_dies_with_evidence(
    start: Start, client: Client, concurrency: int
) -> None:
    runner = start("plain:crash_until", concurrency=concurrency)
    others = [f"t{number}" for number in range(200)]
    await client.submit_all([("poison", 99), *((task, 0) for task in others[:100])])
    await until(lambda: "ended: signal 11" in runner.said(), what="the first death")
    await client.submit_all([(task, 0) for task in others[100:]])
    ends = await ends_of(client, ["poison", *others])
    died = ends.pop("poison")
    assert isinstance(died, TaskDied)
    assert (died.attempts, died.kind, died.deaths, died.cleared) == (2, "crash", 2, 0)
    story = await client.story()
    first, failed, trial, _ = lives(story)["poison"][1:]
    assert (failed.deaths, failed.kind) == (1, "crash")
    assert (first.solo, first.deaths, trial.solo, trial.deaths) == (False, 0, True, 1)
    evidence = died.evidence
    assert evidence is not None
    assert (evidence.unit, evidence.generation, evidence.signal, evidence.code) == ("w1", 1, 11, None)
    assert 4_000_000 < evidence.memory < 200_000_000
    assert evidence.lines[-1].endswith("about to die poison")
    assert len(evidence.lines) <= 50
    assert beside(story) == []
    # The host of the trial was a fresh one.
    begun = next(event.position for event in story if event.body is trial)
    assert evidence.pid not in {end.result for end in ends.values() if end.claim < begun}
    assert {tuple(kinds(life)) for task, life in lives(story).items() if task != "poison"} <= {
        ("Started", "Finished"),
        ("Started", "Released", "Started", "Finished"),
    }
    assert await runner.drain() == 0


async def test_what_survives_alone_charges_its_deaths_to_the_workers(start: Start, client: Client) -> None:
    runner = start("plain:crash_until", max_attempts=1)
    await client.submit("t1", 2)
    end = await end_of(client, "t1")
    assert isinstance(end, TaskFinished)
    assert (end.attempt, end.cleared) == (2, 1)
    assert await runner.drain() == 0
    assert [path.name for path in runner.log.parent.glob("*.mark")] == []


async def test_an_error_in_the_trial_clears_the_task_too(
    start: Start, client: Client, tmp_path: Path
) -> None:
    died = tmp_path / "died"
    code = "import os, sys\nif not os.path.exists(sys.argv[1]):\n open(sys.argv[1], 'w')\n os.kill(os.getpid(), 9)\n"
    code += "sys.exit('no')"
    runner = start(exec=["python3", "-c", code, str(died)], max_attempts=2)
    await client.submit("t1")
    end = await end_of(client, "t1")
    assert isinstance(end, TaskDied)
    assert (end.kind, end.error, end.deaths, end.cleared) == ("error", "exit code 1: no", 0, 1)
    assert end.evidence is None
    assert await runner.drain() == 0


async def test_only_what_a_killed_runner_executed_is_blamed(
    start: Start, client: Client, server: RealServer
) -> None:
    runner = start("plain:kill_runner", deaths=2, redact=["s3cret"])
    await client.submit_all([(f"a{number}", 0) for number in range(50)])
    await ends_of(client, [f"a{number}" for number in range(50)])
    others = [f"t{number}" for number in range(60)]
    await client.submit_all([*((task, 0) for task in others[:30]), ("poison", "kill")])
    await client.submit_all([(task, 0) for task in others[30:]])
    watcher = Client(await server.log("node"))
    for _ in range(3):
        assert await runner.ended(20) == -9
        await watcher.say(
            WorkerExited(unit="w1", generation=runner.spec.generation, pid=runner.pid, signal=9)
        )
        runner = runner.next()
    try:
        ends = await ends_of(client, ["poison", *others])
        assert await runner.drain() == 0
    finally:
        runner.close()
    died = ends.pop("poison")
    assert isinstance(died, TaskDied)
    assert (died.attempts, died.deaths, died.kind) == (3, 3, "crash")
    assert died.error == (
        "the runner w1 (generation 3) ended by signal 9 (SIGKILL; out of memory?) in attempt 3"
        " while it executed the task"
    )
    assert died.evidence is not None
    assert (died.evidence.generation, died.evidence.signal) == (3, 9)
    assert "killing the runner, token=█" in died.evidence.lines
    assert {end.result for end in ends.values()} == {1}, "nobody else has lost an attempt"
    story = await client.story()
    assert beside(story) == []
    life = lives(story)["poison"]
    claims = [event for event in life if isinstance(event, TaskStarted) and event.solo]
    assert [(claim.generation, claim.attempt, claim.deaths) for claim in claims] == [(3, 3, 2)]
    blamed = [event.body for event in story if isinstance(event.body, TaskFailed)]
    assert {event.task for event in blamed} == {"poison"}
    assert await pending(await server.connect(), "q1") == (0, 0)


async def test_without_a_node_the_lock_on_the_marks_says_that_a_runner_is_gone(
    start: Start, client: Client, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    first = start("plain:mark_and_wait")
    await client.submit_all([("t1", str(marks)), ("t2", str(marks))])
    await until(lambda: len(lines(marks)) == 1, what="the first execution")
    first.process.kill()  # type: ignore[union-attr]
    await first.ended()
    (tmp_path / "go").touch()
    start("plain:mark_and_wait", unit="v1", pool="p2")
    ends = await ends_of(client, ["t1", "t2"])
    ran, waited = sorted(["t1", "t2"], key=lambda task: lines(marks)[0].split()[0] != task)
    assert (ends[ran].unit, ends[ran].attempt) == ("v1", 2)
    assert (ends[waited].unit, ends[waited].attempt) == ("v1", 1)
    assert kinds(await life_of(client, ran)) == ["Started", "Failed", "Started", "Finished"]

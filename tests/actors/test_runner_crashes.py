"""Processes are killed at the worst moment; each task has one effective end and exact attempts."""

import contextlib
import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from events.observations import WorkerExited
from events.tasks import TaskDied, TaskFailed, TaskFinished, TaskStarted
from tests.real_runner import HANDLERS, RealRunner, alive, end_of, ends_of, grown, kinds, lines, lives
from tests.real_server import Client, RealServer, pending, shorten_ack_wait, until

Start = Callable[..., RealRunner]


async def test_a_task_that_takes_too_long_is_killed_and_the_others_go_on(
    start: Start, client: Client
) -> None:
    runner = start("plain:hang_or_echo", max_attempts=2)
    await client.submit("hang", "hang", timeout_s=0.4)
    await client.submit_all([(f"t{number}", number) for number in range(20)])
    ends: dict[str, Any] = dict(await ends_of(client, ["hang", *(f"t{number}" for number in range(20))]))
    assert ends.pop("hang").kind == "timeout"
    assert [end.result for end in ends.values()] == list(range(20))
    story = lives(await client.story())
    assert kinds(story["hang"]) == ["Started", "Failed", "Started", "Died"]
    failed = story["hang"][2]
    assert failed.error.startswith("expected an end within 0.4 s, got none; it hangs in hang_or_echo (")
    assert f"{HANDLERS / 'plain.py'}:" in failed.error
    assert 400 <= failed.service_ms < 1000
    assert all(kinds(story[f"t{number}"]) == ["Started", "Finished"] for number in range(20))
    assert await runner.drain() == 0


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_a_crash_fails_only_the_task_that_was_running(
    start: Start, client: Client, concurrency: int
) -> None:
    payloads: list[tuple[str, object]] = [(f"t{number}", number) for number in range(300)]
    for number, what in ((40, "crash"), (120, "exit"), (200, "crash"), (299, "exit")):
        payloads[number] = (f"t{number}", what)
    await client.submit_all(payloads)
    runner = start("plain:crash", max_attempts=1, concurrency=concurrency)
    ends = await ends_of(client, [task for task, _ in payloads])
    for task, payload in payloads:
        if payload == "crash":
            assert (ends[task].kind, ends[task].error) == (
                "crash",
                "the handler's process ended: signal 11 (SIGSEGV)",
            )
        elif payload == "exit":
            assert (ends[task].kind, ends[task].error) == (
                "crash",
                "the handler's process ended: exit code 7",
            )
        else:
            assert ends[task].result == payload
    story = lives(await client.story())
    assert {tuple(kinds(life)) for life in story.values()} == {("Started", "Finished"), ("Started", "Died")}
    assert await runner.drain() == 0


async def test_a_killed_runner_leaves_its_tasks_to_the_next_generation(
    start: Start, client: Client, server: RealServer, tmp_path: Path
) -> None:
    node = await server.connect()
    await shorten_ack_wait(node, "q1", 1.0)
    tasks = [f"t{number}" for number in range(400)]
    marks = tmp_path / "marks"
    await client.submit_all([(task, str(marks)) for task in tasks])
    first = start("plain:count", ack_wait_s=1.0, max_attempts=2)
    await until(lambda: len(lines(marks)) > 100, what="100 executions")
    assert (await pending(node, "q1"))[1] > 0
    first.process.kill()  # type: ignore[union-attr]
    await first.ended()
    second = first.next()
    try:
        ends = await ends_of(client, tasks, seconds=60)
        assert await second.drain() == 0
    finally:
        second.close()
    story = lives(await client.story())
    assert all(isinstance(end, TaskFinished) for end in ends.values())
    for task in tasks:
        life = kinds(story[task])
        assert life.count("Finished") == 1
        assert life[:1] + life[-2:] == ["Started", "Started", "Finished"] or life == ["Started", "Finished"]
        assert life[1:-2] in ([], ["Released"], ["Failed"])
    blamed = [event for life in story.values() for event in life if isinstance(event, TaskFailed)]
    assert len(blamed) <= 1, "one host executes one task"
    assert {
        event.generation for life in story.values() for event in life if isinstance(event, TaskStarted)
    } == {
        1,
        2,
    }
    assert set(lines(marks)) == set(tasks)
    assert await pending(node, "q1") == (0, 0)


async def test_attempts_of_killed_runners_count_to_the_last(
    start: Start, client: Client, server: RealServer, tmp_path: Path
) -> None:
    await shorten_ack_wait(await server.connect(), "q1", 0.5)
    marks = tmp_path / "marks"
    runner = start("plain:mark_and_wait", ack_wait_s=0.5, max_attempts=2)
    await client.submit("t1", str(marks))
    await until(lambda: len(lines(marks)) == 1, what="the first execution")
    host = int(lines(marks)[0].split()[2])
    runner.process.kill()  # type: ignore[union-attr]
    await runner.ended()
    await until(lambda: not alive(host), what="the end of the handler's process")
    runner = runner.next()
    await until(lambda: len(lines(marks)) == 2, what="the second execution")
    runner.process.kill()  # type: ignore[union-attr]
    await runner.ended()
    runner = runner.next()
    try:
        died = await end_of(client, "t1")
    finally:
        runner.close()
    assert isinstance(died, TaskDied)
    assert (died.attempts, died.kind) == (2, "crash")
    assert died.error == ("the runner w1 (generation 2) ended in attempt 2 while it executed the task")
    assert died.deaths == 2
    assert [line.split()[:2] for line in lines(marks)] == [["t1", "1"], ["t1", "2"]]


async def test_another_pool_takes_over_when_the_log_says_that_the_runner_ended(
    start: Start, client: Client, server: RealServer, tmp_path: Path
) -> None:
    node = await server.connect()
    await shorten_ack_wait(node, "q1", 0.5)
    marks = tmp_path / "marks"
    first = start("plain:mark_and_wait", ack_wait_s=0.5)
    await client.submit("t1", str(marks))
    await until(lambda: len(lines(marks)) == 1, what="the first execution")
    first.process.kill()  # type: ignore[union-attr]
    await first.ended()
    watcher = Client(await server.log("node"))
    await watcher.say(WorkerExited(unit="w1", generation=1, pid=first.pid, signal=9))
    (tmp_path / "go").touch()
    start("plain:mark_and_wait", unit="v1", pool="p2", ack_wait_s=0.5)
    end = await end_of(client, "t1")
    assert (end.unit, end.attempt) == ("v1", 2)


async def test_a_server_that_is_killed_in_the_middle_costs_no_task(
    start: Start, client: Client, server: RealServer, tmp_path: Path
) -> None:
    tasks = [f"t{number}" for number in range(500)]
    marks = tmp_path / "marks"
    await shorten_ack_wait(await server.connect(), "q1", 2.0)
    await client.submit_all([(task, str(marks)) for task in tasks])
    runner = start("plain:slow_count", ack_wait_s=2.0)
    for stop in (60, 200, 350):
        await grown(marks, stop, 20)
        server.kill()
        server.start()
    await ends_of(client, tasks, seconds=60)
    assert await runner.drain() == 0
    story = lives(await client.story())
    counts = Counter(kind for task in tasks for kind in kinds(story[task]))
    assert counts["Finished"] == 500
    assert counts["Failed"] == counts["Died"] == 0
    assert set(lines(marks)) == set(tasks)
    executed = Counter(lines(marks))
    for task in tasks:
        assert kinds(story[task]).count("Started") >= executed[task]


async def test_results_outlive_server_and_runner_in_the_spool(
    start: Start, client: Client, server: RealServer, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    runner = start("plain:mark_and_wait", concurrency=3, max_attempts=1)
    tasks = ["t1", "t2", "t3"]
    for task in tasks:
        await client.submit(task, str(marks))
    await until(lambda: len(lines(marks)) == 3, what="three executions")
    server.kill()
    (tmp_path / "go").touch()
    spool = Path(runner.spec.spool)
    await until(lambda: len(lines(spool)) == 3, what="three results in the spool")
    assert os.stat(spool).st_mode & 0o777 == 0o600
    runner.process.kill()  # type: ignore[union-attr]
    await runner.ended()
    server.start()
    later = runner.next()
    try:
        ends = await ends_of(client, tasks)
        await until(lambda: not spool.exists(), what="the end of the spool")
        assert await later.drain() == 0
    finally:
        later.close()
    assert all(isinstance(end, TaskFinished) for end in ends.values())
    assert len(lines(marks)) == 3
    assert {event.generation for event in ends.values()} == {1}
    assert await pending(await server.connect(), "q1") == (0, 0)


async def test_a_beaten_runner_never_doubles_an_end(
    start: Start, client: Client, server: RealServer, tmp_path: Path
) -> None:
    """Runner and server are killed again and again at moments that a seed chooses."""
    chance = random.Random(11)
    node = await server.connect()
    await shorten_ack_wait(node, "q1", 0.5)
    tasks = [f"t{number}" for number in range(1500)]
    marks = tmp_path / "marks"
    await client.submit_all([(task, str(marks)) for task in tasks])
    runner = start("plain:count", ack_wait_s=0.5, max_attempts=50, concurrency=2)
    for _ in range(8):
        seen = len(lines(marks)) + chance.randrange(5, 150)
        with contextlib.suppress(AssertionError):
            await grown(marks, seen, 3)
        if chance.random() < 0.4:
            server.kill()
            server.start()
        else:
            runner.process.kill()  # type: ignore[union-attr]
            await runner.ended()
            runner = runner.next()
    try:
        await ends_of(client, tasks, seconds=60)
        # The last one may have nothing left to do and be told to end before it listens to signals.
        assert await runner.drain() in (0, -signal.SIGTERM)
    finally:
        runner.close()
    story = lives(await client.story())
    executed = Counter(lines(marks))
    for task in tasks:
        life = kinds(story[task])
        assert life.count("Finished") == 1
        assert life[-1] == "Finished"
        assert executed[task] >= 1
        assert life.count("Started") >= executed[task]

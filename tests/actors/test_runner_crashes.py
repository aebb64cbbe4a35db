"""Processes are killed at the worst moment; each task has one effective end and exact attempts all the same."""

import asyncio
import contextlib
import json
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.runner_spool import Spool
from events.log import Expect
from events.observations import WorkerExited
from events.subjects import task_filter
from events.tasks import ResultSalvaged, TaskCancelled, TaskDied, TaskFailed, TaskFinished, TaskStarted
from tests.real_runner import RealRunner, alive, end_of, ends_of, kinds, life_of, lives
from tests.real_server import Client, RealServer, pending, real_server, shorten_ack_wait, until, until_found

Start = Callable[..., RealRunner]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RealServer]:
    async with real_server(tmp_path, {"p1": "q1", "p2": "q1"}) as running:
        yield running


@pytest.fixture
async def client(server: RealServer) -> Client:
    return Client(await server.log("client"))


@pytest.fixture
def start(server: RealServer, tmp_path: Path) -> Iterator[Start]:
    started: list[RealRunner] = []

    def begin(call: str = "", **more: Any) -> RealRunner:
        runner = RealRunner(server, tmp_path, call, **more).start()
        started.append(runner)
        return runner

    yield begin
    for runner in started:
        runner.close()


def lines(path: Path) -> list[str]:
    """Return the lines of a file that may not exist yet."""
    return path.read_text().splitlines() if path.exists() else []


async def grown(path: Path, count: int, seconds: float) -> None:
    """Wait for more than so many lines."""
    await until(lambda: len(lines(path)) > count, seconds, f"{count} lines in {path.name}")


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
    assert failed.error == "expected an end within 0.4 s, got none"
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
        ends = await ends_of(client, tasks, seconds=30)
        assert await second.drain() == 0
    finally:
        second.close()
    story = lives(await client.story())
    assert all(isinstance(end, TaskFinished) for end in ends.values())
    for task in tasks:
        life = kinds(story[task])
        assert life.count("Finished") == 1
        assert life in (["Started", "Finished"], ["Started", "Started", "Finished"])
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
    assert died.error == "the runner w1 (generation 2) ended in attempt 2"
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


async def test_a_cancelled_task_is_stopped_where_it_stands(
    start: Start, client: Client, server: RealServer, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    runner = start("plain:mark_and_wait")
    await client.submit("running", str(marks))
    await until(lambda: lines(marks), what="the execution")
    host = int(lines(marks)[0].split()[2])
    last = await client.log.last(task_filter("q1", "running"))
    assert last is not None
    await client.say(
        TaskCancelled(task="running", queue="q1"), Expect(task_filter("q1", "running"), last.position)
    )
    await until(lambda: not alive(host), what="the end of the handler's process")
    (tmp_path / "go").touch()
    await client.submit("next", str(marks))
    await end_of(client, "next")
    assert await runner.drain() == 0
    assert kinds(await life_of(client, "running")) == ["Started", "Cancelled"]
    assert await pending(await server.connect(), "q1") == (0, 0)


async def test_a_cancellation_that_the_log_refused_changes_nothing(
    start: Start, client: Client, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    start("plain:mark_and_wait")
    await client.submit("t1", str(marks))
    await until(lambda: lines(marks), what="the execution")
    await client.log.connection.client.publish(
        "log.client.cli.task.q1.t1.cancelled",
        b"{}",
        headers={
            "Nats-Expected-Last-Subject-Sequence": "1000",
            "Nats-Expected-Last-Subject-Sequence-Subject": task_filter("q1", "t1"),
        },
    )
    await client.log.connection.client.flush()
    (tmp_path / "go").touch()
    assert isinstance(await end_of(client, "t1"), TaskFinished)
    assert len(lines(marks)) == 1


async def test_a_result_that_comes_after_the_end_is_salvaged(
    start: Start, client: Client, server: RealServer, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    runner = start("plain:mark_and_wait", concurrency=1)
    await client.submit("t1", str(marks))
    await until(lambda: lines(marks), what="the execution")
    last = await client.log.last(task_filter("q1", "t1"))
    assert last is not None
    other = Client(await server.log("worker-p2"))
    await other.say(
        TaskFinished(
            task="t1", queue="q1", unit="v1", generation=1, attempt=1, claim=last.position, result="first"
        ),
        Expect(task_filter("q1", "t1"), last.position),
    )
    (tmp_path / "go").touch()
    salvage = "log.worker.p1.result_salvaged.t1"
    found = await until_found(client.log, salvage)
    assert await runner.drain() == 0
    assert isinstance(found.body, ResultSalvaged)
    assert found.body.result == int(lines(marks)[0].split()[2])
    assert (await end_of(client, "t1")).result == "first"
    assert await pending(await server.connect(), "q1") == (0, 0)


async def test_a_drained_runner_finishes_what_runs_and_gives_back_the_rest(
    start: Start, client: Client, server: RealServer, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    runner = start("plain:mark_and_wait")
    for number in range(5):
        await client.submit(f"t{number}", str(marks))
    await until(lambda: lines(marks), what="the execution")
    runner.signal(signal.SIGTERM)
    running = lines(marks)[0].split()[0]
    await until_state(server, "draining")
    (tmp_path / "go").touch()
    assert await runner.ended() == 0
    assert len(lines(marks)) == 1
    story = lives(await client.story())
    assert kinds(story[running]) == ["Started", "Finished"]
    others = [task for task in story if task != running]
    assert all(kinds(story[task]) in ([], ["Started", "Released"]) for task in others)
    later = runner.next()
    try:
        ends = await ends_of(client, others)
    finally:
        later.close()
    assert {end.attempt for end in ends.values()} == {1}


async def until_state(server: RealServer, state: str) -> None:
    """Wait for a beat that says so."""
    node = await server.connect()
    news = await node.client.subscribe("beat.p1.w1")
    while json.loads((await news.next_msg(10)).data)["state"] != state:
        pass


async def test_a_second_signal_gives_up_what_runs(start: Start, client: Client, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    runner = start("plain:mark_and_wait", stop_wait_s=60)
    await client.submit("t1", str(marks))
    await until(lambda: lines(marks), what="the execution")
    runner.signal(signal.SIGTERM)
    await asyncio.sleep(0)
    while runner.process.poll() is None:  # type: ignore[union-attr]
        runner.signal(signal.SIGTERM)
        await asyncio.sleep(0.02)
    assert await runner.ended() == 0
    life = await life_of(client, "t1")
    assert kinds(life) == ["Started", "Failed"]
    assert (life[2].kind, life[2].retry_in_s) == ("exit", 0.0)
    assert not alive(int(lines(marks)[0].split()[2]))


async def test_claimed_tasks_are_given_back_when_one_takes_long(
    start: Start, client: Client, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    tasks: list[tuple[str, object]] = [(f"t{number}", number) for number in range(400)]
    tasks[100] = ("t100", "hang")
    await client.submit_all(tasks)
    start("plain:hang_or_echo", unit="w1")
    await until_found(client.log, "log.*.*.task.q1.t99.finished")
    second = start("plain:hang_or_echo", unit="v1", pool="p2")
    ends = await ends_of(client, [task for task, payload in tasks if payload != "hang"])
    assert {end.attempt for end in ends.values()} == {1}
    assert not marks.exists()
    assert await second.drain() == 0


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
    await ends_of(client, tasks, seconds=30)
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
        await ends_of(client, tasks, seconds=40)
        assert await runner.drain() == 0
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


def test_a_torn_spool_gives_what_is_whole(tmp_path: Path, server: RealServer) -> None:
    path = tmp_path / "torn"
    line = {
        "entries": [
            {
                "subject": "log.worker.p1.task.q1.t1.failed.1",
                "event": {
                    "id": "a",
                    "time": 1,
                    "source": "worker.p1",
                    "body": msgspec.to_builtins(
                        TaskFailed(
                            task="t1",
                            queue="q1",
                            unit="w1",
                            generation=1,
                            attempt=1,
                            claim=2,
                            kind="error",
                            error="x",
                        )
                    ),
                },
                "expect": {"filter": "log.*.*.task.q1.t1.>", "position": 2},
            }
        ],
        "replies": ["r"],
        "delay_s": 1.0,
    }
    text = json.dumps(line)
    path.write_text(text + "\n" + text[: len(text) // 2])
    (kept,) = Spool(str(path)).read()
    assert kept.entries[0].expect == Expect("log.*.*.task.q1.t1.>", 2)
    assert isinstance(kept.entries[0].envelope.body, TaskFailed)
    assert (list(kept.replies), kept.delay_s) == (["r"], 1.0)
    assert os.path.exists(path)

"""Tasks are withdrawn and runners stopped: nothing is lost, and no attempt is charged unfairly."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

from actors.jetstream import jetstream_api
from actors.nats_server import ensure_queue
from events.log import Expect
from events.subjects import task_filter
from events.tasks import ResultSalvaged, TaskCancelled, TaskFinished
from tests.real_runner import RealRunner, alive, end_of, ends_of, kinds, life_of, lines, lives
from tests.real_server import Client, RealServer, pending, until, until_found

Start = Callable[..., RealRunner]


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


async def test_a_runner_stopped_without_a_server_leaves_its_results_in_the_spool(
    start: Start, client: Client, server: RealServer, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    runner = start("plain:mark_and_wait", stop_wait_s=2)
    await client.submit("t1", str(marks))
    await until(lambda: lines(marks), what="the execution")
    server.kill()
    runner.signal(signal.SIGTERM)
    (tmp_path / "go").touch()
    assert await runner.ended() == 0
    spool = Path(runner.spec.spool)
    assert len(lines(spool)) == 1
    server.start()
    later = runner.next()
    try:
        assert (await end_of(client, "t1")).generation == 1
    finally:
        later.close()


async def test_a_runner_that_waits_for_its_server_can_be_stopped(start: Start, server: RealServer) -> None:
    server.kill()
    runner = start("plain:echo")
    (host,) = await until(lambda: children(runner.pid), what="a handler's process")
    await until(lambda: catches(runner.pid, signal.SIGTERM), what="a runner that listens to signals")
    assert await runner.drain() == 0
    assert not alive(host)


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler of its own for a signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(status.split("SigCgt:")[1].split()[0], 16)
    return bool(mask >> (number - 1) & 1)


async def test_a_killed_runner_takes_its_handlers_along(start: Start, client: Client, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    runner = start("plain:mark_and_wait", concurrency=2)
    for number in range(2):
        await client.submit(f"t{number}", str(marks))
    await until(lambda: len(lines(marks)) == 2, what="two executions")
    hosts = {int(line.split()[2]) for line in lines(marks)}
    assert len(hosts) == 2
    runner.close()
    await until(lambda: not any(alive(host) for host in hosts), what="the end of the handlers' processes")


async def test_a_handler_that_dies_between_tasks_costs_none(start: Start, client: Client) -> None:
    runner = start("plain:echo", max_attempts=1)
    await client.submit("t1", 1)
    await end_of(client, "t1")
    (host,) = children(runner.pid)
    os.kill(host, signal.SIGKILL)
    words = f"handler process {host} ended: signal 9 (SIGKILL; out of memory?); a new one starts"
    await until(lambda: words in runner.said(), what="a line about the end")
    await client.submit("t2", 2)
    assert isinstance(await end_of(client, "t2"), TaskFinished)


async def test_a_queue_that_appears_later_is_found(start: Start, client: Client, server: RealServer) -> None:
    log = await server.log("node")
    await jetstream_api(log.connection, "CONSUMER.DELETE.LOG.q_q1", {})
    runner = start("plain:echo")
    await client.submit("t1", 1)
    await until(lambda: catches(runner.pid, signal.SIGTERM), what="a runner that listens to signals")
    assert await client.log.last("log.worker.p1.worker_ready.w1") is None
    await ensure_queue(log.connection, "q1", 64)
    await end_of(client, "t1")
    assert runner.said() == ""


async def test_a_queue_that_is_made_again_loses_nothing(
    start: Start, client: Client, server: RealServer
) -> None:
    log = await server.log("node")
    start("plain:echo")
    await client.submit("t1", 1)
    await end_of(client, "t1")
    await jetstream_api(log.connection, "CONSUMER.DELETE.LOG.q_q1", {})
    await ensure_queue(log.connection, "q1", 64)
    await client.submit("t2", 1)
    await end_of(client, "t2")
    assert kinds(await life_of(client, "t1")) == ["Started", "Finished"]


async def test_tasks_that_wait_for_their_next_attempt_do_not_stop_the_queue(
    start: Start, client: Client
) -> None:
    late = [f"late{number}" for number in range(200)]
    await client.submit_all([(task, 99) for task in late])
    await client.submit("t1", 1)
    start("plain:fail_until", max_attempts=4)
    assert (await end_of(client, "t1")).result == 1
    story = lives(await client.story())
    assert all(kinds(story[task])[:2] == ["Started", "Failed"] for task in late)

"""Workers that die with tasks in hand, delayed tasks, dead letters: under a node, by the command line's own ways."""

import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from actors import second_chances
from actors.client import Client
from actors.connection import Connection, connect, read_credentials
from actors.jetstream import jetstream_api
from actors.nats_server import ACK_WAIT_S
from actors.place import Place
from events.observations import WorkerReady
from events.tasks import TaskDied, TaskDropped, TaskFailed, TaskFinished, TaskStarted, TaskSubmitted
from tests.nodes.test_task_worker import finished, worker
from tests.real_node import RealNode, real_node
from tests.real_runner import lines
from tests.real_server import until

KILLS = 2


async def test_what_a_killed_worker_had_in_hand_is_taken_again_at_once(tmp_path: Path) -> None:
    async with real_node(tmp_path, worker("mark_and_wait", "[worker.restart]\nburst = 20\n")) as node:
        await node.saw(WorkerReady, unit="w", generation=1)
        marks = tmp_path / "marks"
        await node.submit("q", [(f"t{number}", str(marks)) for number in range(3)])
        took = []
        for kill in range(1, KILLS + 1):
            await until(lambda kill=kill: len(lines(marks)) == kill, 60, "an execution")  # type: ignore[misc]
            began = time.monotonic()
            os.kill((await node.runs("w", kill)).pid, signal.SIGKILL)
            await node.saw(TaskStarted, unit="w", generation=kill + 1)
            took.append(time.monotonic() - began)
        print("kill -9 to the next claim:", [round(seconds, 2) for seconds in took])
        (tmp_path / "go").touch()
        await node.wait(lambda _: len(finished(node)) == 3, what="3 results")
        blamed = node.all(TaskFailed)
        assert [(body.task, body.deaths) for _, body in blamed] == [("t0", 1), ("t0", 2)]
        assert {body.task: body.attempt for _, body in node.all(TaskFinished)} == {"t0": 3, "t1": 1, "t2": 1}
        # A delivery that had to lapse first would be ten seconds late.
        assert max(took) < 10


@asynccontextmanager
async def manager_of(node: RealNode) -> AsyncIterator[Connection]:
    """Connect with the node's own rights."""
    connection = await connect(read_credentials(node.data / "secrets" / "node.json"), "test-node")
    try:
        yield connection
    finally:
        await connection.close()


async def until_queue(manager: Connection, field: str, value: int) -> None:
    """Wait until the server says so of the queue's consumer."""
    deadline = time.monotonic() + 60
    while (await jetstream_api(manager, "CONSUMER.INFO.LOG.q_q", None))[field] != value:
        assert time.monotonic() < deadline, f"expected {field} of {value}"


async def test_a_delivery_that_a_worker_never_read_is_given_to_the_next_one(tmp_path: Path) -> None:
    async with real_node(tmp_path, worker("double")) as node, manager_of(node) as manager:
        started = await node.runs("w")
        await until_queue(manager, "num_waiting", 1)
        os.kill(started.pid, signal.SIGSTOP)
        await node.submit("q", [("t", 21)])
        # A frozen worker's last order is still good: the server has handed it the task.
        await until_queue(manager, "num_ack_pending", 1)
        began = time.monotonic()
        os.kill(started.pid, signal.SIGKILL)
        await node.wait(lambda _: finished(node) == {"t": 42}, what="the result")
        took = time.monotonic() - began
        print(f"kill -9 with an unread delivery to its result: {took:.2f} s")
        assert took < 10
        assert [body.attempt for _, body in node.all(TaskStarted)] == [1]


async def test_a_delayed_task_survives_restarts_and_is_handed_out_when_due(tmp_path: Path) -> None:
    async with real_node(tmp_path, worker("double")) as node:
        await node.saw(WorkerReady, unit="w", generation=1)
        async with await Client.open(Place(node.data), "client", patient=True) as client:
            due = time.time_ns() // 1000 + 3_000_000
            await client.submit([submission("late", 1, due), submission("never", 2, due + 3_600_000_000)])
            await client.submit([submission("now", 3)])
            await node.saw(TaskFinished, task="now")
            node.signal_server(signal.SIGKILL)
            await node.kill9()
            await node.start()
            end = (await node.saw(TaskFinished, task="late", seconds=60))[0]
            started = node.all(TaskStarted, task="late")
            assert len(started) == 1
            # A killed server forgets delays; what it has handed out it hands out again after ACK_WAIT_S.
            assert 0 <= node.events[started[0][0] - 1].time - due < (ACK_WAIT_S + 2) * 1e6
            rows = (await node.ask("sql", sql="SELECT id, state FROM tasks ORDER BY id"))["rows"]
            assert [tuple(row) for row in rows] == [
                ("late", "done"),
                ("never", "delayed"),
                ("now", "done"),
            ]
            await second_chances.retry(client, "never")
            await node.saw(TaskFinished, task="never", after=end)


def submission(task: str, payload: object, due: int = 0) -> TaskSubmitted:
    """Return a task for the queue of these tests."""
    return TaskSubmitted(task=task, queue="q", payload=payload, due=due)


async def test_a_dead_letter_is_put_back_and_another_dropped(tmp_path: Path) -> None:
    limits = worker("fail_until").replace("timeout_s = 60", "timeout_s = 60\nmax_attempts = 1")
    async with real_node(tmp_path, limits) as node:
        await node.submit("q", [("a", 9), ("b", 9)])
        for task in ("a", "b"):
            await node.saw(TaskDied, task=task)
        async with await Client.open(Place(node.data), "client") as client:
            again = await second_chances.requeue(client, "a")
            died = (await node.saw(TaskDied, task="a", after=again))[0]
            (_, claim) = node.all(TaskStarted, again, task="a")[0]
            assert claim.attempt == 1, "attempts count from there"
            results = await second_chances.each(
                ["a", "b", "nobody"], lambda task: second_chances.drop(client, task, "known")
            )
            assert [isinstance(end, int) for _, end in results] == [True, True, False]
            await node.saw(TaskDropped, task="a", after=died)
            (_, refused) = (
                await second_chances.each(["a"], lambda one: second_chances.requeue(client, one))
            )[0]
            assert "expected a dead letter, got a: task_dropped" in str(refused)
            await second_chances.retry(client, "b")
            await node.wait(lambda _: len(node.all(TaskDied, task="b")) == 2, what="the second death of b")


async def test_a_queue_whose_consumer_vanished_goes_on_from_its_oldest_open_task(tmp_path: Path) -> None:
    async with real_node(tmp_path, worker("double")) as node:
        await node.saw(WorkerReady, unit="w")
        await node.submit("q", [(f"t{number}", number) for number in range(20)])
        await node.wait(lambda _: len(finished(node)) == 20, what="20 results")
        async with manager_of(node) as manager:
            answer = await jetstream_api(manager, "CONSUMER.DELETE.LOG.q_q", {})
            assert answer["success"]
            await node.submit("q", [("late", 21)])
            await node.wait(lambda _: finished(node).get("late") == 42, what="the result of the new task")
            info = await jetstream_api(manager, "CONSUMER.INFO.LOG.q_q", None)
        last = node.all(TaskFinished, task="t19")[0][0]
        assert info["config"]["opt_start_seq"] > last - 20
        assert len(node.all(TaskFinished)) == 21
        assert await node.stop() == 0
        await node.start()
        await node.submit("q", [("again", 1)])
        await node.wait(lambda _: finished(node).get("again") == 2, what="a result after the restart")

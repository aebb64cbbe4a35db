"""A real runner on a real server: tasks are taken, executed and ended as the log says."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from events.log import Conflict
from events.observations import WorkerReady
from events.tasks import TaskDied, TaskFailed, TaskFinished, TaskStarted, TaskSubmitted
from tests.real_runner import RealRunner, end_of, ends_of, kinds, life_of, lives
from tests.real_server import Client, RealServer, pending, real_server, until

Start = Callable[..., RealRunner]


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealServer]:
    pools = {f"p{number}": f"q{number}" for number in range(1, 20)}
    async with real_server(tmp_path_factory.mktemp("server"), pools) as running:
        yield running


@pytest.fixture
async def client(server: RealServer) -> Client:
    return Client(await server.log("client"))


@pytest.fixture
def start(server: RealServer, tmp_path: Path) -> Iterator[Start]:
    started: list[RealRunner] = []

    def begin(number: int, call: str = "", **more: Any) -> RealRunner:
        own = {"unit": f"w{number}", "pool": f"p{number}", "queue": f"q{number}"}
        runner = RealRunner(server, tmp_path, call, **own, **more).start()
        started.append(runner)
        return runner

    yield begin
    for runner in started:
        runner.close()


async def test_a_task_is_claimed_executed_ended_and_acknowledged(
    start: Start, client: Client, server: RealServer
) -> None:
    runner = start(1, "plain:echo")
    await client.submit("t1", {"日本": [1, 2.5, None]}, "q1", kind="greeting")
    await end_of(client, "t1")
    submitted, started, finished = await life_of(client, "t1")
    assert isinstance(submitted, TaskSubmitted)
    assert isinstance(started, TaskStarted)
    assert isinstance(finished, TaskFinished)
    assert finished.result == {
        "id": "t1",
        "queue": "q1",
        "type": "greeting",
        "payload": {"日本": [1, 2.5, None]},
        "attempt": 1,
        "hand_over": None,
    }
    assert (started.unit, started.generation, started.pid, started.attempt) == ("w1", 1, runner.pid, 1)
    claim = await client.log.last("log.worker.p1.task.q1.t1.started.1")
    assert claim is not None
    assert finished.claim == claim.position
    assert claim.correlation == "t1"
    ready = await client.log.last("log.worker.p1.worker_ready.w1")
    assert ready is not None
    assert ready.body == WorkerReady(unit="w1", generation=1, pid=runner.pid)
    assert await runner.drain() == 0
    assert await pending(await server.connect(), "q1") == (0, 0)

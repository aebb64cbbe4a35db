"""The client side on a real server without a node: it appends, withdraws and reads all the same."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.client import PAYLOAD_LIMIT, Client, new_ids
from actors.faces.console.task_lines import TaskLine, to_events
from actors.faces.console.waiting import Ends
from actors.place import ClientError, NodeUnreachable, Place
from events.log import Conflict
from events.observations import IntentSet
from events.tasks import TaskCancelled, TaskFinished, TaskMoved, TaskSubmitted
from tests.real_server import RealServer, real_server, until


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RealServer]:
    async with real_server(tmp_path, {"p1": "q1", "p2": "q2"}) as started:
        yield started


@pytest.fixture
async def client(server: RealServer, tmp_path: Path) -> AsyncIterator[Client]:
    async with await Client.open(Place(tmp_path), "client", patient=True) as opened:
        yield opened


def task(id: str, queue: str = "q1", payload: object = None) -> TaskSubmitted:
    return TaskSubmitted(task=id, queue=queue, payload=payload)


async def events(
    client: Client, after: int = 0, until: int | None = None, filter: str = "log.>"
) -> list[int]:
    return [event.position async for chunk in client.read(after, until, filter, 100) for event in chunk]


async def test_many_tasks_go_in_order_in_batches(client: Client) -> None:
    ids = new_ids(2500)
    told: list[int] = []
    await client.submit([task(name) for name in ids], told.append)
    assert told == [1000, 2000, 2500]
    assert ids == sorted(set(ids))
    found = [event async for chunk in client.read() for event in chunk]
    assert [event.correlation for event in found] == ids
    assert [event.position for event in found] == list(range(1, 2501))


async def test_large_payloads_are_cut_into_smaller_batches(client: Client) -> None:
    told: list[int] = []
    await client.submit([task(name, payload="x" * 200_000) for name in new_ids(45)], told.append)
    assert told == [20, 40, 45]


async def test_a_known_id_refuses_its_batch_and_is_named(client: Client) -> None:
    await client.submit([task("old")])
    with pytest.raises(ClientError, match=r"got old \(last event: task_submitted at position 1\)") as refused:
        await client.submit([task("new"), task("old"), task("other")])
    assert refused.value.code == 1
    assert await client.find("new") is None
    assert await events(client) == [1]


async def test_the_batches_before_a_refused_one_are_counted(client: Client) -> None:
    await client.submit([task("old")])
    with pytest.raises(ClientError, match="the 1000 tasks before this batch are submitted"):
        await client.submit([*(task(name) for name in new_ids(1000)), task("old")])


async def test_an_id_is_known_in_its_own_queue(client: Client) -> None:
    await client.submit([task("a", "q1"), task("a", "q2")])
    assert len(await events(client)) == 2


async def test_a_server_that_comes_back_gets_each_task_once(server: RealServer, client: Client) -> None:
    client.log.timeout = 0.5
    server.kill(signal.SIGKILL)
    tasks = [task(name) for name in new_ids(300)]
    submitting = asyncio.create_task(client.submit(tasks))
    await asyncio.sleep(0)
    server.start()
    await asyncio.wait_for(submitting, 20)
    assert await events(client) == list(range(1, 301))


async def test_cancel_ends_a_task_once(client: Client) -> None:
    await client.submit([task("a")])
    assert await client.cancel("a", "not needed") == 2
    last = await client.find("a")
    assert last is not None
    assert last.body == TaskCancelled(task="a", queue="q1", reason="not needed")
    with pytest.raises(
        ClientError, match="expected a task that has not ended, got a: task_cancelled"
    ) as ended:
        await client.cancel("a")
    with pytest.raises(ClientError, match="expected a task of this forest, got 'b'") as unknown:
        await client.cancel("b")
    assert (ended.value.code, unknown.value.code) == (1, 1)


async def test_cancel_looks_again_when_the_task_moved_on(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.submit([task("a")])
    real, tries = client.log.append, []

    async def late(batch: object) -> object:
        tries.append(batch)
        if len(tries) == 1:
            raise Conflict("a runner was quicker")
        return await real(batch)  # type: ignore[arg-type]

    monkeypatch.setattr(client.log, "append", late)
    assert await client.cancel("a") == 2
    assert len(tries) == 2


async def test_an_intent_stands_in_the_log_without_a_node(server: RealServer, tmp_path: Path) -> None:
    async with await Client.open(Place(tmp_path)) as operator:
        await operator.intend("p1", "run", restart=True, reason="new release")
        last = await operator.log.last("log.operator.cli.intent_set.p1")
    assert last is not None
    assert last.body == IntentSet(target="p1", intent="run", restart=True, reason="new release")


async def test_reading_by_position_and_filter(client: Client) -> None:
    await client.submit([task(f"a{n}") for n in range(250)])
    await client.submit([task(f"b{n}", "q2") for n in range(250)])
    assert await events(client, 10, 320) == list(range(11, 321))
    assert await events(client, 200, None, "log.*.*.task.q2.*.submitted") == list(range(251, 501))
    assert await events(client, 500) == []
    assert await events(client, 0, None, "log.*.*.task.none.>") == []


async def test_without_a_node_it_says_so(client: Client) -> None:
    with pytest.raises(NodeUnreachable, match="got a server without one; try elf node"):
        await client.ask("status")


async def test_a_wrong_password_is_told_from_an_absent_server(server: RealServer, tmp_path: Path) -> None:
    address = server.files.url.replace("nats://", "nats://client:wrong@")
    with pytest.raises(NodeUnreachable, match="to know the user client, got a refusal") as refused:
        await Client.open(Place(None, address))
    assert "wrong" not in str(refused.value)
    good = server.credentials("client")
    address = server.files.url.replace("nats://", f"nats://client:{good.password}@")
    async with await Client.open(Place(None, address)) as opened:
        assert opened.source == "client.cli"
    server.kill(signal.SIGTERM)
    with pytest.raises(NodeUnreachable, match="got no answer"):
        await Client.open(Place(tmp_path))


async def test_ends_are_heard_settled_by_the_log_and_followed_to_other_queues(
    server: RealServer, client: Client
) -> None:
    await client.submit([task("a"), task("b")])
    ends = Ends(client, {"a": "q1", "b": "q1"})
    await ends.listen()
    found: dict[str, object] = {}

    async def collect() -> None:
        async for name, event in ends.results(10):
            found[name] = event.body

    collecting = asyncio.create_task(collect())
    worker = await server.connect("worker-p1")
    other = await server.connect("worker-p2")
    first, second = Client(worker, client.place), Client(other, client.place)
    done = TaskFinished(task="a", queue="q1", unit="p1", generation=1, attempt=1, claim=1, result=7)
    await _say(first, done)
    await until(lambda: "a" in found, 5, "the end of a")
    assert not collecting.done()
    await _say(first, TaskMoved(task="b", queue="q1", to="q2"))
    await client.submit([task("b", "q2")])
    moved = TaskFinished(task="b", queue="q2", unit="p2", generation=1, attempt=1, claim=5, result=8)
    await _say(second, moved)
    await asyncio.wait_for(collecting, 10)
    assert found == {"a": done, "b": moved}


async def _say(client: Client, body: TaskFinished | TaskMoved) -> None:
    from events.log import entry

    await client.log.append([entry(client.envelope(body, body.task))])


async def test_waiting_gives_up_in_time(client: Client) -> None:
    ends = Ends(client, {"a": "q1"})
    await ends.listen()
    assert [name async for name, _ in ends.results(0.05)] == []


def test_a_payload_that_is_too_large_is_refused_with_advice() -> None:
    fits = TaskLine(queue="q", payload="x" * (PAYLOAD_LIMIT - 2))
    assert len(to_events([("one", fits)], ["q"])) == 1
    with pytest.raises(Exception, match="try writing it to a file and giving its path"):
        to_events([("one", TaskLine(queue="q", payload="x" * PAYLOAD_LIMIT))], ["q"])


def test_lines_are_checked_against_each_other_and_the_queues() -> None:
    lines = [
        ("f:1", TaskLine(queue="q", id="a")),
        ("f:2", TaskLine(queue="q", id="a")),
        ("f:3", TaskLine(queue="qq")),
        ("f:4", TaskLine(type="q")),
        ("f:5", TaskLine(type="z")),
        ("f:6", TaskLine()),
        ("f:7", TaskLine(queue="q", id="a b")),
        ("f:8", TaskLine(queue="q", complexity=-1)),
    ]
    with pytest.raises(Exception, match="nothing was submitted") as refused:
        to_events(lines, ["q", "other"])
    assert str(refused.value).splitlines()[:-1] == [
        "f:2: expected ids that differ, got a again (first on f:1)",
        "f:3: expected a queue of this forest, got 'qq'; try q",
        "f:5: expected \"queue\" or a queue named like the type, got 'z'; try one of: other, q",
        'f:6: expected a queue, got neither "queue" nor "type"; try elf submit QUEUE, or "queue" in the line',
        "f:7: expected task id of 1 to 64 letters, digits, '_' or '-', got 'a b'",
        "f:8: expected complexity, timeout_s and delay_s of at least 0, got a negative one",
    ]

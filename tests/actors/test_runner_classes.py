"""A pull queue by class: high before middle before low, and what has waited long in its turn."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from actors.jetstream import jetstream_api
from actors.nats_server import ensure_queue, is_missing, queue_states
from events.subjects import CLASSES, LOG, queue_consumer
from events.tasks import TaskFinished, TaskStarted
from tests.real_runner import RealRunner, ends_of, kinds, lines, lives
from tests.real_server import Client, RealServer, real_server, until

Start = Callable[..., RealRunner]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RealServer]:
    async with real_server(tmp_path, {"p1": "q1", "p2": "q2"}) as running:
        yield running


async def submit(client: Client, payload: object, **counts: int) -> list[str]:
    """Submit so many tasks of each class, in the order of the arguments; named `<class><number>`."""
    names = []
    for name, count in counts.items():
        some = [(f"{name}{number:02}", payload) for number in range(count)]
        await client.submit_all(some, priority=name)
        names += [task for task, _ in some]
    return names


async def started(client: Client) -> list[str]:
    """Return the tasks in the order of their claims; each was claimed once."""
    found = [one.body.task for one in await client.story() if isinstance(one.body, TaskStarted)]
    assert len(set(found)) == len(found)
    return found


async def test_what_waits_behind_a_busy_slot_is_taken_by_class(
    start: Start, client: Client, server: RealServer, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    await client.submit("first", str(marks), priority="low")
    start("plain:mark_and_wait")
    await until(lambda: lines(marks), what="a task that is executed")
    names = await submit(client, str(marks), low=12, middle=6, high=9)
    (sample,) = await queue_states(await server.connect(), ["q1"])
    assert sample.pending + sample.in_flight == 28
    marks.with_name("go").touch()
    await ends_of(client, names)
    order = await started(client)
    assert [name.rstrip("0123456789") for name in order] == ["first"] + ["high"] * 9 + ["middle"] * 6 + [
        "low"
    ] * 12
    (sample,) = await queue_states(await server.connect(), ["q1"])
    assert (sample.pending, sample.in_flight) == (0, 0)


async def test_what_has_waited_for_too_long_gets_every_eighth_place(start: Start, client: Client) -> None:
    names = await submit(client, None, low=6, high=60)
    start("plain:nap", age_s=0.001)
    await ends_of(client, names)
    order = await started(client)
    low = [place for place, name in enumerate(order) if name.startswith("low")]
    assert low[:6] == [8, 16, 24, 32, 40, 48]
    assert [name for name in order if name.startswith("high")] == sorted(
        n for n in names if n.startswith("high")
    )


async def test_an_idle_runner_takes_every_class_at_once_and_holds_no_more_than_its_slots(
    start: Start, client: Client, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    start("plain:mark_and_wait", concurrency=2)
    first = await submit(client, str(marks), low=1)
    await until(lambda: lines(marks), what="a task of the lowest class")
    more = await submit(client, str(marks), high=4, middle=4)
    await until(lambda: len(lines(marks)) == 2, what="a second task")
    marks.with_name("go").touch()
    await ends_of(client, first + more)
    order = await started(client)
    assert (order[0], order[1][:4]) == ("low00", "high")
    life = lives(await client.story())
    assert all(kinds(life[name]) == ["Started", "Finished"] for name in first + more)


async def test_two_idle_runners_share_the_classes_and_what_comes_twice_runs_once(
    start: Start, client: Client
) -> None:
    start("plain:nap")
    start("plain:nap", unit="w2")
    names = []
    for number in range(30):
        task = f"t{number}"
        await client.submit(task, None, priority=CLASSES[number % 3])
        names.append(task)
    ends = await ends_of(client, names)
    assert all(isinstance(end, TaskFinished) and end.attempt == 1 for end in ends.values())
    assert sorted(await started(client)) == sorted(names)


async def test_a_class_without_a_consumer_does_not_hold_up_the_others_and_comes_back(
    start: Start, client: Client, server: RealServer
) -> None:
    node = await server.connect()
    assert not await is_missing(node, "q1")
    await jetstream_api(node, f"CONSUMER.DELETE.{LOG}.{queue_consumer('q1', 0)}", None)
    assert await is_missing(node, "q1")
    assert await queue_states(node, ["q1"]) == ()
    names = await submit(client, None, middle=3, low=3)
    late = await submit(client, None, high=2)
    start("plain:nap")
    await ends_of(client, names)
    await ensure_queue(node, "q1", 64)
    await ends_of(client, late)


async def test_a_pool_may_pull_the_classes_of_its_own_queue_and_no_others(server: RealServer) -> None:
    connection = await server.connect("worker-p1")
    for queue, permitted in (("q1", True), ("q2", False)):
        for rank in range(len(CLASSES)):
            name = queue_consumer(queue, rank)
            for subject in (f"$JS.API.CONSUMER.MSG.NEXT.{LOG}.{name}", f"$JS.ACK.{LOG}.{name}.1.1.1.1.1"):
                connection.refusals.clear()
                await connection.client.publish(
                    subject, json.dumps({"batch": 1, "no_wait": True}).encode(), reply="_INBOX.worker-p1.x"
                )
                await connection.client.flush()
                if permitted:
                    assert not connection.refusals
                else:
                    await until(lambda: connection.refusals, what=f"a refusal of {subject}")
                    assert subject.lower() in connection.refusals[0].lower()

"""Priorities of a pull queue in a running node: strict by class, kept by retries and dead letters, with ageing."""

import asyncio
import itertools
import json
import time
from pathlib import Path

from actors.jetstream import jetstream_api
from events.observations import WorkerReady
from events.tasks import TaskDied, TaskFailed, TaskFinished, TaskStarted, TaskSubmitted
from tests.archive.folder import elf
from tests.nodes.test_task_deaths import manager_of
from tests.real_node import RealNode, real_node

NUMBERS = itertools.count()
WORK = """
import time
from pathlib import Path

def work(task):
    while not Path(task["payload"]["go"]).exists():
        time.sleep(0.005)
    time.sleep(0.05)
    if task["attempt"] <= task["payload"].get("failures", 0):
        raise ValueError("not yet")
"""


def forest(folder: Path, age_s: float = 600.0) -> str:
    """Return a queue and its one worker with one slot."""
    return (
        f'[[queue]]\nname = "q"\nmax_attempts = 2\nage_s = {age_s}\n'
        f'[[worker]]\nname = "w"\nqueue = "q"\ncall = "work:work"\ncwd = "{folder}"\n'
    )


async def submit(node: RealNode, go: str, **counts: int) -> None:
    """Submit so many tasks of each priority at the console, named `<go>-<priority>-<number>`; they wait for a file."""
    lines = [
        {
            "id": f"{go}-{name}-{number}",
            "queue": "q",
            "priority": name,
            "payload": {"go": str(node.folder / go)},
        }
        for name, count in counts.items()
        for number in (next(NUMBERS) for _ in range(count))
    ]
    file = node.folder / f"{go}-{'-'.join(counts)}.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in lines))
    code, out, err = await elf("submit", "--file", file, "--data", node.data)
    assert code == 0, out + err


def begun(node: RealNode, go: str) -> list[str]:
    """Return the priorities of these tasks in the order in which they were claimed first."""
    claims = [body.task for _, body in node.all(TaskStarted, attempt=1) if body.task.startswith(f"{go}-")]
    return [task.split("-")[1] for task in claims]


async def done(node: RealNode, go: str, count: int) -> list[str]:
    """Let go, wait for the ends, return the priorities in the order of their beginnings."""
    (node.folder / go).touch()
    await node.wait(
        lambda _: len([0 for _, body in node.all(TaskFinished) if body.task.startswith(f"{go}-")]) == count,
        what=f"{count} ends of {go}",
    )
    return begun(node, go)


async def test_high_tasks_begin_before_all_low_ones_that_wait(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(WORK)
    async with real_node(tmp_path, forest(tmp_path)) as node:
        await node.saw(WorkerReady, unit="w")
        await submit(node, "a", low=20)
        await node.wait(lambda _: begun(node, "a") == ["low"], what="a low task that is executed")
        await submit(node, "a", middle=2, high=3)
        await _are_counted(node, 25)
        assert await done(node, "a", 25) == ["low", *["high"] * 3, *["middle"] * 2, *["low"] * 19]
        await _keep_their_class(node)
        await _come_back(node)
        node.configure(forest(tmp_path, age_s=1.0))
        node.hup()
        await node.saw(WorkerReady, unit="w", generation=2)
        await submit(node, "c", high=1)
        await node.wait(lambda _: begun(node, "c") == ["high"], what="a busy worker")
        await submit(node, "c", low=2)
        old = time.time() + 1.0
        await node.wait(lambda _: time.time() > old, what="the age of what is low")
        await submit(node, "c", high=24)
        order = await done(node, "c", 27)
        assert [place for place, name in enumerate(order) if name == "low"] == [8, 16]


async def _are_counted(node: RealNode, count: int) -> None:
    """What is said of the queue is the sum over its classes."""
    deadline = time.monotonic() + 60
    while True:
        code, out, err = await elf("status", "--json", "--data", node.data)
        assert code == 0, err
        (queue,) = json.loads(out)["queues"]
        if queue["pending"] + queue["in_flight"] == count:
            return
        assert time.monotonic() < deadline, f"expected {count} tasks, got {queue}"
        await asyncio.sleep(0.05)


async def _keep_their_class(node: RealNode) -> None:
    """The next attempt comes from the same consumer; what died or is brought forward is submitted as it was."""
    payload = json.dumps({"go": str(node.folder / "a"), "failures": 2})
    code, _, err = await elf(
        *("submit", "q", "--id", "dead", "--priority", "high", "--payload", payload, "--data", node.data)
    )
    assert code == 0, err
    died, _ = await node.saw(TaskDied, task="dead")
    assert len(node.all(TaskFailed, task="dead")) == 1
    assert {body.delivery.split(".")[3] for _, body in node.all(TaskStarted, task="dead")} == {"qh_q"}
    code, _, err = await elf("dlq", "requeue", "dead", "--data", node.data)
    assert code == 0, err
    again, _ = await node.saw(TaskSubmitted, after=died, task="dead")
    assert node.events[again - 1].subject.endswith(".task.q.dead.submitted.high")
    later = ("--id", "later", "--priority", "low", "--delay", "1h", "--payload", json.dumps({"go": "/"}))
    code, _, err = await elf("submit", "q", *later, "--data", node.data)
    assert code == 0, err
    first, _ = await node.saw(TaskSubmitted, task="later")
    code, _, err = await elf("task", "retry", "later", "--data", node.data)
    assert code == 0, err
    again, _ = await node.saw(TaskSubmitted, after=first, task="later")
    assert node.events[again - 1].subject.endswith(".task.q.later.submitted.low")
    await node.saw(TaskFinished, task="later")
    await node.saw(TaskDied, after=died, task="dead")


async def _come_back(node: RealNode) -> None:
    """A class whose consumer vanished goes on; the others do not wait for it."""
    async with manager_of(node) as manager:
        for name in ("qh_q", "ql_q"):
            assert (await jetstream_api(manager, f"CONSUMER.DELETE.LOG.{name}", {}))["success"]
    await submit(node, "b", high=2, low=2, middle=2)
    assert sorted(await done(node, "b", 6)) == ["high", "high", "low", "low", "middle", "middle"]

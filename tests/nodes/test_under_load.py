"""A thousand tasks while the node, a worker and the server die: one effective end for each, replay equal."""

import os
import random
import signal
from collections import Counter
from pathlib import Path

from actors.audit import replay
from events.tasks import TaskDied, TaskFinished, TaskStarted
from tests.real_node import ROOT, RealNode, real_node

FOREST = f"""
[limits]
steady_s = 0.2
[[queue]]
name = "q"
max_attempts = 9
[[worker]]
name = "w"
queue = "q"
call = "plain:double_slowly"
cwd = "{ROOT}/tests/handlers"
min = 2
max = 2
"""


def one_end_each(node: RealNode, tasks: int) -> None:
    """Check that every task has exactly one effective end, and the right one."""
    ends = Counter(body.task for _, body in node.all(TaskFinished))
    assert len(ends) == tasks
    assert set(ends.values()) == {1}
    assert node.all(TaskDied) == []
    claims = {position for position, _ in node.all(TaskStarted)}
    for _, body in node.all(TaskFinished):
        assert body.result == 2 * int(body.task.removeprefix("t"))
        assert body.claim in claims


async def finished(node: RealNode, tasks: int, seconds: float = 60.0) -> None:
    """Wait until so many tasks have ended."""
    await node.wait(lambda _: len(node.all(TaskFinished)) >= tasks, seconds, f"{tasks} finished tasks")


async def test_workers_go_on_while_their_node_is_dead(tmp_path: Path) -> None:
    async with real_node(tmp_path, FOREST) as node:
        pids = [(await node.runs(unit)).pid for unit in ("w-1", "w-2")]
        await node.submit("q", [(f"t{number}", number) for number in range(1000)])
        await finished(node, 100)
        await node.kill9()
        await finished(node, 300)
        await node.start()
        await finished(node, 1000)
        one_end_each(node, 1000)
        assert [(await node.worker(unit))["pid"] for unit in ("w-1", "w-2")] == pids
        sql = "SELECT sum(tasks_processed)::INT AS n, sum(restarts)::INT AS r FROM workers"
        answer = await node.ask("sql", sql=sql)
        assert answer["rows"] == [[1000, 0]]
        report = replay(lambda: iter([node.events]))
        assert report.divergences == []
        assert report.equal == report.decisions


async def test_killed_workers_lose_no_task_and_the_next_one_comes_soon(tmp_path: Path) -> None:
    chance = random.Random(7)
    async with real_node(tmp_path, FOREST) as node:
        await node.runs("w-1")
        await node.submit("q", [(f"t{number}", number) for number in range(1000)])
        for done in (50, 150, 300):
            await finished(node, done)
            victim = chance.choice((await node.status())["workers"])
            if victim["pid"]:
                os.kill(victim["pid"], signal.SIGKILL)
        await finished(node, 1000)
        one_end_each(node, 1000)
        report = replay(lambda: iter([node.events]))
        assert report.divergences == []


async def test_a_killed_server_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    async with real_node(tmp_path, FOREST) as node:
        await node.runs("w-1")
        await node.submit("q", [(f"t{number}", number) for number in range(600)])
        for done in (50, 200):
            await finished(node, done)
            node.signal_server(signal.SIGKILL)
        await finished(node, 600)
        one_end_each(node, 600)
        report = replay(lambda: iter([node.events]))
        assert report.divergences == []

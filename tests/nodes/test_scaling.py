"""Pools of a real node grow with their backlog and shrink again, and what a queue cannot do another one does."""

from pathlib import Path

from actors.audit import replay
from events.decisions import Decided, MoveTasks, ScalePool
from events.observations import WorkerExited
from events.outcomes import WorkerStarted
from events.tasks import TaskFailed, TaskFinished, TaskMoved, TaskStarted
from tests.real_node import RealNode, real_node

NAPS = "import time\n\n\ndef nap(task):\n    time.sleep(task['payload'])\n    return task['queue']\n"
LIMITS = "[limits]\nscale_down_s = 1.0\nscale_step_s = 0.5\nscale_drain_s = 1.0\nqueue_backlog = 10\nsteady_s = 0.5\n"


def pool(name: str, queue: str, folder: Path, more: str = "") -> str:
    """Return a pool of napping workers."""
    head = f'[[worker]]\nname = "{name}"\nqueue = "{queue}"\ncall = "naps:nap"\n'
    return f'{head}cwd = "{folder}"\nstop_wait_s = 5\n{more}\n'


def scalings(node: RealNode) -> list[ScalePool]:
    """Return every change of a pool's size so far."""
    bodies = [event.body for event in node.events]
    return [
        body.action for body in bodies if isinstance(body, Decided) and isinstance(body.action, ScalePool)
    ]


async def equal(node: RealNode) -> None:
    """Replay everything so far."""
    events = list(await node.read())
    report = replay(lambda: iter([events]))
    assert not report.divergences


async def test_a_pool_grows_with_its_backlog_and_only_idle_processes_go(tmp_path: Path) -> None:
    (tmp_path / "naps.py").write_text(NAPS)
    toml = LIMITS + '[[queue]]\nname = "q"\n' + pool("w", "q", tmp_path, "min = 1\nmax = 4")
    async with real_node(tmp_path, toml) as node:
        await node.runs("w-1")
        await node.submit("q", [(f"t{n}", 0.1) for n in range(120)])
        await node.wait(lambda _: len(node.all(TaskFinished)) == 120, 60, "120 ends")
        grown = scalings(node)[0]
        assert len(grown.units) > 1
        assert len({event.unit for _, event in node.all(TaskFinished)}) > 1
        await node.wait(
            lambda _: (
                len(scalings(node)[-1].units) == 1
                and len(node.all(WorkerStarted)) - len(node.all(WorkerExited)) == 1
            ),
            60,
            "one unit",
        )
        # Nothing was broken off: each task was started once and failed never.
        assert len(node.all(TaskStarted)) == 120
        assert node.all(TaskFailed) == []
        await equal(node)


async def test_work_that_waits_goes_to_a_queue_that_can_do_it_sooner(tmp_path: Path) -> None:
    (tmp_path / "naps.py").write_text(NAPS)
    toml = (
        LIMITS
        + '[[queue]]\nname = "busy"\noverflow_to = ["calm"]\n[[queue]]\nname = "calm"\n'
        + pool("b", "busy", tmp_path)
        + pool("c", "calm", tmp_path)
    )
    async with real_node(tmp_path, toml) as node:
        await node.runs("b")
        await node.runs("c")
        await node.submit("busy", [(f"t{n}", 0.2) for n in range(100)])
        await node.wait(lambda _: len(node.all(TaskFinished)) == 100, 60, "100 ends")
        moves = [
            event.body.action
            for event in node.events
            if isinstance(event.body, Decided) and isinstance(event.body.action, MoveTasks)
        ]
        assert moves
        assert all((move.source, move.goal) == ("busy", "calm") for move in moves)
        moved = {event.task for _, event in node.all(TaskMoved)}
        done = {event.task: event.queue for _, event in node.all(TaskFinished)}
        assert len(done) == 100
        assert {task for task, queue in done.items() if queue == "calm"} == moved
        assert len(moved) > 10
        await equal(node)

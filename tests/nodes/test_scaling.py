"""Pools of a real node grow with their backlog and shrink again, and what a queue cannot do another one does."""

from collections import Counter
from pathlib import Path

import pytest

from actors.audit import replay
from events.decisions import Decided, MoveTasks, ProposeBatch, ScalePool
from events.observations import WorkerExited, WorkerReady
from events.outcomes import WorkerStarted
from events.settings import SettingsAdopted
from events.tasks import TaskFailed, TaskFinished, TaskMoved, TaskStarted
from tests.archive.folder import elf
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


async def test_equal_workers_do_equal_shares_and_a_full_pool_is_advised_a_larger_batch(
    tmp_path: Path,
) -> None:
    (tmp_path / "naps.py").write_text(
        NAPS + "\n\ndef naps(tasks):\n    time.sleep(0.2)\n    return [None for _ in tasks]\n"
    )
    batches = pool("b", "batches", tmp_path, "batch = 2").replace("naps:nap", "naps:naps")
    toml = (
        LIMITS
        + '[[queue]]\nname = "q"\n[[queue]]\nname = "batches"\n'
        + pool("w", "q", tmp_path, "min = 3\nmax = 3")
        + batches
    )
    async with real_node(tmp_path, toml) as node:
        for unit in ("w-1", "w-2", "w-3", "b"):
            await node.saw(WorkerReady, unit=unit)
        await node.submit("q", [(f"t{n}", 0.1) for n in range(90)])
        await node.submit("batches", [(f"b{n}", None) for n in range(60)])
        position, advice = await node.saw(Decided, rule="batch", target="b")
        assert (advice.mode, advice.action) == ("advise", ProposeBatch(pool="b", now=2, batch=3))
        await node.wait(lambda _: len(node.all(TaskFinished, queue="q")) == 90, 60, "90 ends")
        done = Counter(event.unit for _, event in node.all(TaskFinished, queue="q"))
        assert min(done[name] for name in ("w-1", "w-2", "w-3")) >= 15, done
        assert not node.all(Decided, rule="skew")
        code, out, err = await elf("plan", node.events[position - 1].id, "--data", node.data)
        assert code == 0, err
        assert "b could take 3 tasks of batches at once instead of 2" in out
        await equal(node)


# At first nobody counts as computing; then the machine has no memory, or no core, for one more.
ROOMY = "cpu_percent = 1000\n"
FULL = {
    "even_memory": ROOMY + "host_memory_percent = 0\n",
    "even_cpu": "host_cpu_percent = 0\ncpu_percent = 2\n",
}
TURNS = """


def turn(task):
    until = time.monotonic() + task["payload"]
    while time.monotonic() < until:
        pass
"""


@pytest.mark.parametrize("rule", FULL)
async def test_on_a_full_machine_a_pool_gives_a_process_to_one_whose_work_lasts(
    rule: str, tmp_path: Path
) -> None:
    (tmp_path / "naps.py").write_text(NAPS + TURNS)
    sized = "min = 1\nmax = 3"
    toml = (
        LIMITS.replace("scale_down_s = 1.0\n", f"scale_down_s = 600\n{ROOMY}")
        + '[[queue]]\nname = "long"\n[[queue]]\nname = "short"\n'
        + pool("l", "long", tmp_path, sized)
        + pool("s", "short", tmp_path, sized)
    )
    if rule == "even_cpu":
        toml = toml.replace("naps:nap", "naps:turn")
    async with real_node(tmp_path, toml) as node:
        for unit in ("l-1", "s-1"):
            await node.saw(WorkerReady, unit=unit)
        await node.submit("short", [(f"s{n}", 0.1) for n in range(60)])
        for unit in ("s-2", "s-3"):
            await node.saw(WorkerReady, unit=unit)
        node.configure(toml.replace(ROOMY, FULL[rule]))
        adopted = len(await node.read())
        node.hup()
        await node.saw(SettingsAdopted, adopted)
        await node.submit("long", [(f"l{n}", 1.0) for n in range(40)])
        # Three processes that do not compute give no CPU.
        await node.submit("short", [(f"more{n}", 0.1) for n in range(60)])
        position, gives = await node.saw(Decided, rule=rule, target="s")
        assert isinstance(gives.action, ScalePool)
        assert gives.inputs["to_lasts_s"] > 2 * gives.inputs["from_lasts_s"]
        _, gets = await node.saw(Decided, rule=rule, target="l")
        assert isinstance(gets.action, ScalePool)
        assert gets.action.units == ("l-1", "l-2")
        await node.saw(WorkerExited, position)
        await node.saw(WorkerReady, position, unit="l-2")
        await node.wait(lambda _: len(node.all(TaskFinished, queue="short")) == 120, 60, "120 short ends")
        assert node.all(TaskFailed) == []
        await equal(node)

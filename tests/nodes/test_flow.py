"""Flow watches real workers: a slow drain, a lost speed and its cause, shares, peers, a jam that Healing ends."""

from pathlib import Path
from typing import Any

import pytest

import projections.minutes
from actors.audit import replay
from actors.elves import flow_speed
from events.decisions import RestartUnit
from events.observations import WorkerReady
from events.tasks import TaskFinished
from tests.real_node import RealNode, python_with, real_node

# Minutes of two seconds: what is usual is known after ten busy ones and not after ten minutes.
MINUTE_US = 2_000_000
SHORT_MINUTES = f"""
import builtins
import sys
_real = builtins.__import__
def _patched(*given, **named):
    module = _real(*given, **named)
    minutes = sys.modules.get("projections.minutes")
    if minutes is not None and hasattr(minutes, "MINUTE"):
        minutes.MINUTE = {MINUTE_US}
        builtins.__import__ = _real
    return module
builtins.__import__ = _patched
"""
HANDLERS = """
import os
import re
import threading
import time


def nap(task):
    unit = re.split(r"\\W", os.environ["ELF_UNIT"].replace("-", "_"))
    time.sleep(next((s for name, s in task["payload"].items() if name in unit), task["payload"]["all"]))


def lock_once(task):
    if task["payload"] == "lock" and task["attempt"] == 1:
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
"""


def pool(name: str, folder: Path, count: int, call: str = "nap") -> str:
    """Return a queue and a pool of so many workers."""
    (folder / "flows.py").write_text(HANDLERS)
    return (
        f'[[queue]]\nname = "{name}"\ntimeout_s = 60\n[[worker]]\nname = "{name}"\nqueue = "{name}"\n'
        f'call = "flows:{call}"\ncwd = "{folder}"\nstop_wait_s = 1\nmin = {count}\nmax = {count}\n'
    )


async def ready(node: RealNode, *units: str) -> None:
    """Wait until these units take tasks."""
    for unit in units:
        await node.saw(WorkerReady, unit=unit, seconds=60)


async def submit(node: RealNode, queue: str, count: int, payload: Any) -> None:
    """Submit so many equal tasks."""
    await node.submit(queue, [(f"{queue}-{number}", payload) for number in range(count)])


async def equal(node: RealNode) -> None:
    """Replay everything so far."""
    events = list(await node.read())
    report = replay(lambda: iter([events]))
    assert report.divergences == []
    assert report.equal == report.decisions > 0


async def test_a_queue_at_half_its_usual_speed_is_said_with_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = "[limits]\nqueue_drain_s = 600\nsteady_s = 0.5\n"
    python = python_with(tmp_path, SHORT_MINUTES)
    async with real_node(tmp_path, pool("w", tmp_path, 4) + limits, python=python) as node:
        await ready(node, "w-1", "w-2", "w-3", "w-4")
        await submit(node, "w", 1500, {"all": 0.15})
        _, slow = await node.decided("drain", "w", seconds=60, reason="drains_slowly")
        assert slow.inputs["lasts_s"] > 600
        # Ten busy minutes tell what is usual.
        await node.wait(lambda _: len(node.all(TaskFinished)) > 550, 90, "a usual speed")
        for unit in ("w-2", "w-3", "w-4"):
            await node.intend(unit, "stop")
        _, fallen = await node.decided("speed", "w", seconds=60)
        assert fallen.reason == "fewer_workers"
        assert fallen.inputs["done_per_min"] < fallen.inputs["usual_per_min"] / 2
        assert fallen.inputs["causes"]["fewer_workers"]["living"] == 1
        assert [looked.name for looked in fallen.candidates][:2] == ["fewer_workers", "slow_peer"]
        monkeypatch.setattr(projections.minutes, "MINUTE", MINUTE_US)
        monkeypatch.setattr(flow_speed, "MINUTE", MINUTE_US)
        await equal(node)


async def test_a_worker_that_does_far_more_than_its_share_is_said(tmp_path: Path) -> None:
    async with real_node(tmp_path, pool("w", tmp_path, 3)) as node:
        await ready(node, "w-1", "w-2", "w-3")
        await submit(node, "w", 200, {"all": 0.4, "w_2": 0.02})
        _, said = await node.decided("skew", "w", seconds=60)
        assert (said.reason, said.inputs["unit"]) == ("one_does_most", "w-2")
        assert sum(said.inputs["ends"].values()) >= 50
        await equal(node)


async def test_one_of_three_peers_that_falls_behind_is_named(tmp_path: Path) -> None:
    async with real_node(tmp_path, pool("w", tmp_path, 3)) as node:
        await ready(node, "w-1", "w-2", "w-3")
        await submit(node, "w", 400, {"all": 0.05, "w_3": 1.0})
        _, said = await node.decided("slow_peer", "w-3", seconds=60)
        assert said.reason == "behind_its_peers"
        assert said.inputs["ends"] < said.inputs["median_of_others"] / 2
        assert {
            alert["target"] for alert in (await node.status())["alerts"] if alert["cause"] == "slow_peer"
        } == {"w-3"}
        await equal(node)


async def test_a_jam_is_handed_to_healing_and_its_tasks_are_done_by_the_next_process(tmp_path: Path) -> None:
    limits = "[limits]\nqueue_jam_s = 0.5\nstall_s = 2\nevidence_gap_s = 1.5\n"
    async with real_node(tmp_path, pool("w", tmp_path, 1, "lock_once") + limits) as node:
        await ready(node, "w")
        await node.submit("w", [(f"fine-{number}", "fine") for number in range(300)])
        await node.wait(lambda _: len(node.all(TaskFinished)) == 300, 60, "fine tasks")
        await node.submit("w", [("bad", "lock"), *((f"more-{number}", "fine") for number in range(1000))])
        jammed, jam = await node.decided("jam", "w", seconds=60)
        assert jam.inputs["living"] == ["w"]
        healed, why = await node.decided("deadlock", "w", jammed.position, seconds=60)
        assert why.action == RestartUnit(generation=1)
        await node.decided("jam", "w", healed.position, seconds=60, reason="moving")
        await node.wait(lambda _: len(node.all(TaskFinished)) == 1301, 60, "every task")
        assert {body.generation for _, body in node.all(TaskFinished, healed.position)} == {2}
        await equal(node)

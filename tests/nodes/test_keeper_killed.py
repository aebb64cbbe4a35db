"""The keeper is killed: another takes its place, nobody is restarted, every end is still noticed."""

import os
import signal
import time
from pathlib import Path

import pytest

from actors.keeper_client import Keeper, KeeperGone
from actors.process import marked, read_stat
from events.observations import KeeperReplaced, WorkerExited
from events.outcomes import EffectVerified, WorkerStarted, WorkerStartOrdered
from tests.nodes.test_node_life import SECOND, SLEEPER, STEADY, keeper_pid, ticks
from tests.real_node import RealNode, real_node


async def kill_keeper(node: RealNode, after: int = 0) -> int:
    """Kill the keeper and wait until the log says which one took its place; returns the position."""
    before = keeper_pid(node)
    os.kill(before, signal.SIGKILL)
    position, said = await node.saw(KeeperReplaced, after)
    assert said.pid == keeper_pid(node) != before
    return position


async def test_units_and_server_live_on_under_a_new_keeper(tmp_path: Path) -> None:
    async with real_node(tmp_path, STEADY + SLEEPER + SECOND) as node:
        first, second = await node.runs("a"), await node.runs("b")
        await node.saw(EffectVerified, target="b")
        (server,) = marked(f"{node.marker}:nats:")
        await kill_keeper(node)
        await ticks(node, 3)
        assert marked(f"{node.marker}:nats:") == [server]
        assert (marked(f"{node.marker}:a:"), marked(f"{node.marker}:b:")) == ([first.pid], [second.pid])
        assert node.all(WorkerExited) == []
        # An end without a parent of ours is noticed, and the next generation is the new keeper's child.
        os.kill(first.pid, signal.SIGKILL)
        _, ended = await node.saw(WorkerExited, unit="a")
        assert (ended.code, ended.signal) in [(None, 9), (None, None)]
        await node.decided("crash", "a")
        child = await node.runs("a", 2)
        assert parent(child.pid) == keeper_pid(node)
        # So it is at the next planned restart.
        await node.intend("b", "run", restart=True)
        assert parent((await node.runs("b", 2)).pid) == keeper_pid(node)


async def test_the_keeper_of_the_new_keepers_units_is_killed_too(tmp_path: Path) -> None:
    async with real_node(tmp_path, STEADY + SLEEPER) as node:
        await node.runs("a")
        await node.saw(EffectVerified, target="a")
        position = await kill_keeper(node)
        await node.intend("a", "run", restart=True)
        second = await node.runs("a", 2)
        await kill_keeper(node, position)
        await ticks(node, 2)
        assert marked(f"{node.marker}:a:") == [second.pid]
        os.kill(second.pid, signal.SIGTERM)
        await node.saw(WorkerExited, unit="a", generation=2)
        await node.runs("a", 3)


async def test_node_and_keeper_are_killed_together(tmp_path: Path) -> None:
    async with real_node(tmp_path, STEADY + SLEEPER + SECOND) as node:
        first, second = await node.runs("a"), await node.runs("b")
        await node.saw(EffectVerified, target="b")
        (server,) = marked(f"{node.marker}:nats:")
        os.kill(keeper_pid(node), signal.SIGKILL)
        await node.kill9()
        os.kill(second.pid, signal.SIGKILL)
        await node.start()
        _, ended = await node.saw(WorkerExited, unit="b")
        assert (ended.code, ended.signal, ended.generation) == (None, None, 1)
        _, why = await node.decided("crash", "b")
        assert "exit code unknown" in why.text
        await node.runs("b", 2)
        assert marked(f"{node.marker}:nats:") == [server]
        assert marked(f"{node.marker}:a:") == [first.pid]
        os.kill(first.pid, signal.SIGTERM)
        await node.runs("a", 2)
        assert len(node.all(WorkerExited, unit="a")) == 1


async def test_a_server_without_a_parent_comes_back_when_it_is_killed(tmp_path: Path) -> None:
    async with real_node(tmp_path, SLEEPER) as node:
        started = await node.runs("a")
        await node.saw(EffectVerified, target="a")
        await kill_keeper(node)
        (server,) = marked(f"{node.marker}:nats:")
        node.signal_server(signal.SIGKILL)
        await node.wait(lambda _: marked(f"{node.marker}:nats:") not in ([], [server]), what="a new server")
        await ticks(node, 2)
        assert marked(f"{node.marker}:a:") == [started.pid]


async def test_a_start_ordered_from_a_keeper_that_is_killed_gives_one_process(tmp_path: Path) -> None:
    async with real_node(tmp_path, STEADY + SLEEPER) as node:
        await node.runs("a")
        stop = await node.intend("a", "stop")
        await node.saw(EffectVerified, stop, target="a")
        keeper = keeper_pid(node)
        os.kill(keeper, signal.SIGSTOP)
        go = await node.intend("a", "run")
        await node.decided("start", "a", go)
        await node.saw(WorkerStartOrdered, unit="a", generation=2)
        os.kill(keeper, signal.SIGKILL)
        started = await node.runs("a", 2)
        await ticks(node, 2)
        assert marked(f"{node.marker}:a:") == [started.pid]
        assert len(node.all(WorkerStarted, unit="a")) == 2
        assert node.all(WorkerExited, unit="a", generation=2) == []


async def test_a_node_without_its_keeper_still_ends_in_order(tmp_path: Path) -> None:
    async with real_node(tmp_path, SLEEPER + SECOND) as node:
        await node.runs("b")
        await node.saw(EffectVerified, target="b")
        await kill_keeper(node)
        began = time.monotonic()
        assert await node.stop() == 0
        # It would be given up after thirty seconds.
        assert time.monotonic() - began < 25
        with pytest.raises(KeeperGone):
            Keeper.attach(node.data / "run")


def parent(pid: int) -> int:
    """Return whose child a living process is."""
    stat = read_stat(pid)
    assert stat
    return stat.ppid

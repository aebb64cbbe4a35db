"""After a reboot everything counts as gone, whatever has its pid now; a start is found by its nonce alone."""

import asyncio
import os
import signal
import subprocess
import uuid
from pathlib import Path

from actors.process import marked
from events.observations import NodeStarted, WorkerExited
from events.outcomes import EffectVerified, WorkerStarted, WorkerStartOrdered
from tests.nodes.test_node_life import SLEEPER, STEADY, keeper_pid, ticks
from tests.real_node import RealNode, real_node
from tests.real_server import until

# In a mount namespace of its own a node reads another boot id than everybody else.
OTHER_BOOT = ("unshare", "--mount", "--propagation", "private", "sh", "-c")
MOUNT = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'


def other_boot(folder: Path) -> tuple[str, ...]:
    """Return what starts a program on a boot of its own; fails by name where mounting is impossible."""
    given = folder / "boot_id"
    given.write_text(f"{uuid.uuid4()}\n")
    prefix = (*OTHER_BOOT, MOUNT, str(given))
    tried = subprocess.run(
        [*prefix, "cat", "/proc/sys/kernel/random/boot_id"], capture_output=True, text=True, check=False
    )
    assert tried.stdout == given.read_text(), f"mounting is impossible here: {tried.stderr}"
    return prefix


async def kill_all_but_units(node: RealNode, keeper: int) -> None:
    """Kill node, keeper and server at once."""
    (server,) = marked(f"{node.marker}:nats:")
    for pid in (keeper, server):
        os.kill(pid, signal.SIGKILL)
    await node.kill9()


async def test_on_another_boot_the_same_pid_and_start_time_is_somebody_else(tmp_path: Path) -> None:
    node = RealNode(tmp_path, STEADY + SLEEPER)
    node.prefix = other_boot(tmp_path)
    try:
        await node.start()
        first = await node.runs("a")
        await node.saw(EffectVerified, target="a")
        await kill_all_but_units(node, keeper_pid(node))
        node.prefix = ()
        await node.start()
        _, ended = await node.saw(WorkerExited, unit="a")
        assert (ended.generation, ended.pid, ended.code, ended.signal) == (1, first.pid, None, None)
        second = await node.runs("a", 2)
        await ticks(node, 2)
        assert marked(f"{node.marker}:a:") == [second.pid]
        boots = [started.boot for _, started in node.all(NodeStarted)]
        assert boots[0] == (tmp_path / "boot_id").read_text().strip() != boots[1]
        assert await node.stop() == 0
    except BaseException as problem:
        problem.add_note(node.story())
        raise
    finally:
        await node.clear()


async def test_a_start_not_completed_is_adopted_without_the_keeper_that_carried_it_out(
    tmp_path: Path,
) -> None:
    async with real_node(tmp_path, STEADY + SLEEPER) as node:
        await node.runs("a")
        stop = await node.intend("a", "stop")
        await node.saw(EffectVerified, stop, target="a")
        keeper = keeper_pid(node)
        os.kill(keeper, signal.SIGSTOP)
        await node.intend("a", "run")
        _, ordered = await node.saw(WorkerStartOrdered, unit="a", generation=2)
        node.signal_server(signal.SIGSTOP)  # what the node says from now on is not stored
        os.kill(keeper, signal.SIGCONT)
        (pid,) = await until(lambda: marked(f"{node.marker}:a:2:{ordered.nonce}"), what="the process")
        await kill_all_but_units(node, keeper)
        await node.start()
        started = await node.runs("a", 2)
        assert (started.pid, started.nonce, started.adopted) == (pid, ordered.nonce, True)
        await ticks(node, 2)
        assert marked(f"{node.marker}:a:") == [pid]
        assert len(node.all(WorkerStarted)) == 2
        os.kill(pid, signal.SIGKILL)
        await node.saw(WorkerExited, unit="a", generation=2)


async def test_a_second_node_changes_nothing_in_the_folder(tmp_path: Path) -> None:
    async with real_node(tmp_path, SLEEPER) as node:
        await node.runs("a")
        await node.saw(EffectVerified, target="a")
        ours = [node.data / "node.json", *sorted((node.data / "secrets").iterdir())]
        ours += [path for name in ("nats", "run") for path in sorted((node.data / name).glob("*.*"))]
        before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in ours}
        other = await node.spawn()
        assert await asyncio.wait_for(other.wait(), 60) == 2
        assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in ours} == before

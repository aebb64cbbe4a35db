"""A disk that fills up: the node stands by, workers go on, nothing acknowledged is lost, it comes back by itself."""

import asyncio
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from nats.errors import Error as NatsError

from actors.jetstream import JetStreamLog
from actors.process import marked
from events.decisions import Decided
from events.log import Expect, LogError, entry, envelope
from events.observations import Resumed, Sampled, StoodBy, WorkerExited
from events.outcomes import EffectVerified
from events.subjects import task_filter
from events.tasks import TaskFinished, TaskSubmitted
from tests.nodes.test_task_worker import worker
from tests.real_node import RealNode, real_node

DISK = 128 << 20
PLAIN = '[limits]\nsteady_s = 0.1\n[[worker]]\nname = "a"\ncommand = ["sleep", "1000"]\nstop_wait_s = 2\n'


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk where the data folder is to be; fails by name where mounting is impossible."""
    folder = tmp_path / "data"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "elf", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"mounting is impossible here: {done.stderr}"
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path, leave: int) -> None:
    """Fill the disk but for so many bytes."""
    with (disk / "hog").open("ab", buffering=0) as file:
        while (free := os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - leave) > 0:
            try:
                file.write(b"\1" * min(free, 1 << 20))
            except OSError:
                return


async def submit(node: RealNode, number: int) -> int:
    """Submit one task; returns its position, 0 when it was not acknowledged."""
    connection = await node.connection()
    body = TaskSubmitted(task=f"t{number}", queue="q", payload=number)
    said = envelope(secrets.token_hex(8), 1, connection.credentials.source, body)
    try:
        receipt = await JetStreamLog(connection, timeout=1.0).append(
            [entry(said, Expect(task_filter("q", f"t{number}"), 0))]
        )
    except LogError:
        return 0
    return receipt.positions[0]


async def acknowledged(node: RealNode, numbers: range) -> dict[int, int]:
    """Submit tasks one after the other; returns positions by number of those that were acknowledged."""
    found = {number: await submit(node, number) for number in numbers}
    return {number: position for number, position in found.items() if position}


async def check_all(node: RealNode, taken: dict[int, int]) -> None:
    """Every acknowledged task is in the log where its receipt said, and has one result."""

    def results() -> dict[str, list[object]]:
        found: dict[str, list[object]] = {}
        for _, body in node.all(TaskFinished):
            found.setdefault(body.task, []).append(body.result)
        return found

    await node.wait(lambda _: results().keys() >= {f"t{number}" for number in taken}, 60, "all results")
    for number, position in taken.items():
        body = node.events[position - 1].body
        assert isinstance(body, TaskSubmitted)
        assert body.payload == number
        assert results()[f"t{number}"] == [2 * number]


async def leads(node: RealNode, role: str = "leader") -> None:
    """Wait until the node says that it has this role."""
    async with asyncio.timeout(60):
        while True:
            # With room again the node starts a server anew that does not answer, and whoever asked that one asks again.
            with suppress(ConnectionError, NatsError):
                if (await node.status())["node"]["role"] == role:
                    return
            await asyncio.sleep(0.01)


async def test_a_disk_that_is_nearly_full(tmp_path: Path, disk: Path) -> None:
    async with real_node(tmp_path, worker("double") + PLAIN) as node:
        plain, runner = await node.runs("a"), await node.runs("w")
        await node.saw(EffectVerified, target="w")
        taken = await acknowledged(node, range(50))
        assert len(taken) == 50
        fill(disk, DISK // 8 - (2 << 20))
        stood, said = await node.saw(StoodBy)
        assert said.free < DISK // 8
        assert (await node.status())["node"]["role"] == "standing by: disk full"
        # Nothing is decided, whatever happens; what is running goes on.
        os.kill(plain.pid, signal.SIGKILL)
        exited, _ = await node.saw(WorkerExited, unit="a")
        taken |= await acknowledged(node, range(50, 100))
        await check_all(node, taken)
        assert runner.pid in marked(f"{node.marker}:w:")
        assert node.all(Decided, stood) == []
        assert [at for at, _ in node.all(Sampled, exited)] == []
        (disk / "hog").unlink()
        resumed, _ = await node.saw(Resumed)
        await node.decided("crash", "a", resumed)
        await node.runs("a", 2)
        await leads(node)
        answer = await node.ask("sql", sql="SELECT reason, ended IS NOT NULL FROM standbys")
        assert answer["rows"] == [["disk full", True]]


async def test_a_node_that_starts_on_a_nearly_full_disk_stands_by(tmp_path: Path, disk: Path) -> None:
    async with real_node(tmp_path, worker("double") + PLAIN) as node:
        plain = await node.runs("a")
        await node.saw(EffectVerified, target="w")
        taken = await acknowledged(node, range(20))
        await check_all(node, taken)
        await node.kill9()
        fill(disk, 0)
        await node.start()
        await leads(node, "standing by: disk full")
        assert plain.pid in marked(f"{node.marker}:a:")
        taken |= await acknowledged(node, range(20, 30))
        (disk / "hog").unlink()
        await node.saw(Resumed, seconds=60)
        await leads(node)
        more = await acknowledged(node, range(40, 60))
        assert len(more) == 20
        await check_all(node, taken | more)
        assert node.all(WorkerExited) == []


async def test_a_node_that_starts_on_a_full_disk_waits_for_room(tmp_path: Path, disk: Path) -> None:
    async with real_node(tmp_path, worker("double") + PLAIN) as node:
        await node.runs("a")
        await node.saw(EffectVerified, target="w")
        taken = await acknowledged(node, range(20))
        await check_all(node, taken)
        await node.kill9()
        node.signal_server(signal.SIGKILL)
        (disk / "ballast").unlink(missing_ok=True)
        fill(disk, 0)
        waiting = node.process = await node.spawn()
        async with asyncio.timeout(60):
            while "a start needs" not in node.words():
                await asyncio.sleep(0.02)
        second = await node.spawn()
        assert await asyncio.wait_for(second.wait(), 60) == 2
        assert "another node running" in node.words()
        assert waiting.returncode is None
        (disk / "hog").unlink()
        assert waiting.stdout
        assert (await asyncio.wait_for(waiting.stdout.readline(), 60)).startswith(b"READY")
        await leads(node)
        more = await acknowledged(node, range(20, 40))
        assert len(more) == 20
        await check_all(node, taken | more)


async def test_a_disk_that_is_full_to_the_last_byte(tmp_path: Path, disk: Path) -> None:
    async with real_node(tmp_path, worker("double") + PLAIN) as node:
        plain, runner = await node.runs("a"), await node.runs("w")
        await node.saw(EffectVerified, target="w")
        taken = await acknowledged(node, range(50))
        fill(disk, 0)
        # Whether this can still be written depends on what the server was writing just then.
        await leads(node, "standing by: disk full")
        fill(disk, 0)
        refused = 0
        for number in range(50, 20_000):
            position = await submit(node, number)
            if position:
                taken[number] = position
            else:
                refused += 1
            if refused == 3:
                break
            fill(disk, 0)
        assert refused == 3
        assert (await node.status())["node"]["role"] == "standing by: disk full"
        assert plain.pid in marked(f"{node.marker}:a:")
        assert runner.pid in marked(f"{node.marker}:w:")
        (disk / "hog").unlink()
        await node.saw(Resumed, seconds=60)
        await check_all(node, taken)
        more = await acknowledged(node, range(30_000, 30_020))
        assert len(more) == 20
        await check_all(node, more)
        await asyncio.wait_for(node.runs("a"), 60)
        assert node.all(WorkerExited) == []
        await leads(node)

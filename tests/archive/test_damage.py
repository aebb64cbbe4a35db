"""Six kinds of damage to real files, with and without the server's index: seen, named, refused, repaired, replayed."""

import json
import shutil
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from actors.blocks import folder_of, records
from projections import anchor
from projections.segments import MANIFEST, Segments
from tests.archive.folder import FOREST, elf, grow, until, verified
from tests.archive.test_archive import purges, seen
from tests.real_node import RealNode, real_node

HEADER = struct.Struct("<IQqH")


def blocks_in(store: Path) -> list[Path]:
    return sorted(folder_of(store).glob("*.blk"), key=lambda path: int(path.stem))


def blocks(data: Path) -> list[Path]:
    return blocks_in(data / "nats" / "store")


def places(raw: bytes | bytearray) -> list[tuple[int, int, int]]:
    """Return where each record of a block begins, its length and its position."""
    found, at = [], 0
    while at + HEADER.size <= len(raw):
        length, position, _, _ = HEADER.unpack_from(raw, at)
        found.append((at, length & 0x7FFFFFFF, position))
        at += length & 0x7FFFFFFF
    return found


def harm(data: Path, kind: str, index: bool) -> None:
    """Damage the stream's files as a bad disk does."""
    path = blocks(data)[-1]
    raw = bytearray(path.read_bytes())
    there = [place for place in places(raw) if place[2] < 1 << 62]
    if kind in ("payload", "sealed payload"):
        at, length, _ = there[-20 if kind == "payload" else len(there) // 2]
        raw[at + length - 20] ^= 1
    elif kind == "sequence":
        raw[there[-20][0] + 4] ^= 1
    elif kind == "last block":
        at, length, _ = there[-1]
        raw[at + length - 20] ^= 1
    elif kind == "truncation":
        del raw[there[-40][0] + 10 :]
    path.write_bytes(raw)
    if not index:
        for found in path.parent.glob("index.db"):
            found.unlink()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stopped(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealNode]:
    """A node that sealed, purged, left an open task and was stopped in order."""
    async with real_node(tmp_path_factory.mktemp("stopped"), FOREST) as node:
        await node.runs("idle")
        await grow(node, 1_500)
        await until(lambda log: purges(log, 1_000), node.data)
        await node.submit("held", [("waits", 1)])
        await grow(node, 1_000)
        await until(lambda log: len(log) > 2_500, node.data)
        assert await node.stop() == 0
        assert (await verified(node.data))["ok"]
        yield node


def copied(node: RealNode, folder: Path) -> RealNode:
    """Return a node of the same name on a copy of the data folder."""
    copy = RealNode(folder, FOREST)
    shutil.copytree(node.data, copy.data)
    copy.name = node.name
    copy.configure(FOREST)
    (copy.data / "nats" / "port").unlink()
    (copy.data / "run" / "instance").unlink()
    return copy


async def refused(node: RealNode) -> str:
    """Start the node, which must refuse; returns its one line."""
    code, _, err = await elf("node", "--config", node.config)
    lines = [
        line for line in err.splitlines() if line.startswith("the log is damaged") or "elf log repair" in line
    ]
    assert code == 3, err
    assert len(lines) == 1, err
    return lines[0]


async def repaired(node: RealNode) -> None:
    """Repair; then everything up to the anchor is what it was, and the node runs again."""
    known = anchor.read(anchor.path_in(node.data))
    assert known
    code, out, err = await elf("log", "repair", "--json", "--data", node.data)
    assert code == 0, err
    found = await verified(node.data)
    assert (found["ok"], found["damage"], found["last"], found["head"]) == (
        True,
        [],
        known.position,
        known.head,
    )
    code, out, err = await elf("replay", "--json", "--data", node.data)
    assert (code, json.loads(out)["divergences"]) == (0, []), err
    try:
        await node.start()
        await seen(node, "idle")
        assert await node.stop() == 0
    finally:
        await node.clear()
    assert (await verified(node.data))["ok"]


@pytest.mark.parametrize("index", [True, False], ids=["with index", "without index"])
@pytest.mark.parametrize("kind", ["payload", "sealed payload", "sequence", "last block", "truncation"])
@pytest.mark.asyncio(loop_scope="module")
async def test_damage_is_seen_named_and_repaired(
    stopped: RealNode, tmp_path: Path, kind: str, index: bool
) -> None:
    node = copied(stopped, tmp_path)
    before = [path.read_bytes() for path in blocks(node.data)]
    harm(node.data, kind, index)
    assert [path.read_bytes() for path in blocks(node.data)] != before
    harmed = [path.read_bytes() for path in blocks(node.data)]
    line = await refused(node)
    assert "position" in line
    assert [path.read_bytes() for path in blocks(node.data)] == harmed, "a refused start changes nothing"
    await repaired(node)
    (aside,) = (node.data / "nats").glob("store.damaged-*")
    assert [path.read_bytes() for path in blocks_in(aside)] == harmed, "evidence is kept"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_lost_segment_is_seen_named_and_made_again(stopped: RealNode, tmp_path: Path) -> None:
    node = copied(stopped, tmp_path)
    lost = Segments(node.data).all[1]
    (node.data / "segments" / lost.name).unlink()
    line = await refused(node)
    assert f"{lost.first} to {lost.last}" in line
    found = await verified(node.data)
    assert not found["ok"]
    assert (found["damage"][0]["from"], found["damage"][0]["to"]) == (lost.first, lost.last)
    await repaired(node)
    assert not list((node.data / "nats").glob("store.damaged-*")), "the stream was whole and stays"


@pytest.mark.parametrize("kind", ["lost", "text", "cut", "with a damaged file"])
@pytest.mark.asyncio(loop_scope="module")
async def test_a_lost_or_damaged_manifest_is_made_again(stopped: RealNode, tmp_path: Path, kind: str) -> None:
    node = copied(stopped, tmp_path)
    whole = Segments(node.data)
    path = node.data / "segments" / MANIFEST
    if kind == "text":
        path.write_text("nothing of that kind")
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        path.unlink()
    if kind == "with a damaged file":
        damaged = node.data / "segments" / whole.all[1].name
        damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    assert "manifest" in await refused(node)
    await repaired(node)
    made = Segments(node.data)
    heads = [(one.first, one.last, one.before, one.head, one.time) for one in whole.all]
    assert [(one.first, one.last, one.before, one.head, one.time) for one in made.all][: len(heads)] == heads
    assert not list((node.data / "nats").glob("store.damaged-*")), "the stream was whole and stays"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_lost_store_is_made_again(stopped: RealNode, tmp_path: Path) -> None:
    node = copied(stopped, tmp_path)
    shutil.rmtree(node.data / "nats" / "store")
    assert "lost" in await refused(node)
    await repaired(node)


@pytest.mark.asyncio(loop_scope="module")
async def test_what_no_copy_holds_whole_is_not_repaired_and_said_in_one_line(
    stopped: RealNode, tmp_path: Path
) -> None:
    node = copied(stopped, tmp_path)
    (node.data / "warehouse.duckdb").unlink()
    harm(node.data, "payload", True)
    assert "position" in await refused(node)
    code, _, err = await elf("log", "repair", "--data", node.data)
    assert code == 3, "neither tables nor stream have the tail"
    assert "try a backup" in err
    assert len(err.splitlines()) == 1


@pytest.mark.asyncio(loop_scope="module")
async def test_repair_of_a_whole_log_changes_nothing(stopped: RealNode, tmp_path: Path) -> None:
    node = copied(stopped, tmp_path)
    before = {
        path: path.stat().st_mtime_ns for path in (node.data / "nats" / "store").rglob("*") if path.is_file()
    }
    code, out, _ = await elf("log", "repair", "--json", "--data", node.data)
    assert (code, json.loads(out)["files"], json.loads(out)["last"]) == (0, [], 0)
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.asyncio(loop_scope="module")
async def test_the_reader_of_files_reads_what_the_server_wrote(stopped: RealNode) -> None:
    segments = Segments(stopped.data)
    tail = [(position, data) for position, _, data in records(folder_of(stopped.data / "nats" / "store"))]
    chain = segments.chain
    for position, data in tail:
        if position > segments.last:
            chain.push(position, data)
    known = anchor.read(anchor.path_in(stopped.data))
    assert known
    assert (chain.position, chain.head_hex) == (known.position, known.head)

"""A backup of a real node, running and stopped, comes back whole; what is not whole or not ours is refused."""

import asyncio
import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from actors.backup_form import MANIFEST, pack, unpack
from events.observations import HistorySealed
from tests.archive.folder import elf, grow, until, verified, whole
from tests.real_node import RealNode, real_node
from tests.releases.record import FOREST

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Made:
    """A node's folder after its end, a backup of the running node and one of the folder."""

    def __init__(self, node: RealNode, live: Path, stopped: Path) -> None:
        self.node, self.live, self.stopped = node, live, stopped


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Made]:
    folder = tmp_path_factory.mktemp("made")
    async with real_node(folder, FOREST) as node:
        await node.runs("idle")
        await grow(node, 1_000)
        await node.submit("held", [("waits", 1)])
        await until(lambda log: any(isinstance(event.body, HistorySealed) for event in log), node.data)
        code, _, err = await elf("backup", folder / "live.tar", "--data", node.data, "--config", node.config)
        assert code == 0, err
        assert await node.stop() == 0
        code, _, err = await elf("backup", folder / "stopped.tar", "--data", node.data)
        assert code == 0, err
        yield Made(node, folder / "live.tar", folder / "stopped.tar")


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        files = {member.name: archive.extractfile(member) for member in archive}
        return {name: file.read() for name, file in files.items() if file}


def written(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def manifest(files: dict[str, bytes]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files[MANIFEST])
    return found


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def refused(file: Path, code: int, *words: str) -> None:
    """Restore must fail with one line that has these words, and leave nothing behind."""
    place = file.parent / "place"
    place.mkdir(exist_ok=True)
    got, out, err = await elf("restore", file, place / "back")
    assert (got, out, len(err.splitlines())) == (code, "", 1), err
    assert [word for word in words if word not in err] == []
    assert list(place.iterdir()) == []


async def test_a_stopped_folder_comes_back_with_the_same_log(made: Made, tmp_path: Path) -> None:
    target = tmp_path / "back"
    code, out, err = await elf("restore", "--json", made.stopped, target)
    assert code == 0, err
    before, after = await verified(made.node.data), await verified(target)
    assert after["ok"]
    assert (after["last"], after["head"]) == (before["last"], before["head"])
    assert (json.loads(out)["last"], json.loads(out)["head"]) == (before["last"], before["head"])
    rows = [(event.position, event.subject, event.data) for event in await whole(target)]
    assert rows == [(event.position, event.subject, event.data) for event in await whole(made.node.data)]
    names = {path.name for path in (made.node.data / "segments").glob("*.parquet")}
    assert {path.name for path in (target / "segments").glob("*.parquet")} == names != set()
    code, out, err = await elf("replay", "--json", "--data", target)
    assert (code, json.loads(out)["divergences"]) == (0, []), err
    assert names_in(tmp_path) == ["back"]


async def test_a_running_node_is_backed_up_to_where_its_log_stood(made: Made, tmp_path: Path) -> None:
    files = members(made.live)
    found = manifest(files)
    rows = [
        row
        for part in found["files"]
        if part["name"].startswith("log/")
        for row in unpack(files[part["name"]])
    ]
    log = (await whole(made.node.data))[: found["last"]]
    assert rows == [(event.position, event.subject, event.data) for event in log]
    assert found["count"] == found["last"] > 1_000
    assert files["forest.toml"] == made.node.config.read_bytes()
    code, _, err = await elf("restore", made.live, tmp_path / "back")
    assert code == 0, err
    after = await verified(tmp_path / "back")
    assert (after["ok"], after["last"], after["head"]) == (True, found["last"], found["head"])
    assert (tmp_path / "back" / "forest.toml").read_bytes() == files["forest.toml"]


async def test_a_restored_node_goes_on_at_the_next_position(made: Made, tmp_path: Path) -> None:
    node = RealNode(tmp_path, FOREST)
    node.name = made.node.name
    node.configure(FOREST)
    code, _, err = await elf("restore", made.stopped, node.data)
    assert code == 0, err
    last = manifest(members(made.stopped))["last"]
    try:
        await node.start()
        code, _, err = await elf("submit", "sums", "--payload", "[2, 3]", "--wait", "--data", node.data)
        assert code == 0, err
        assert await node.stop() == 0
    finally:
        await node.clear()
    log = await whole(node.data)
    assert (log[last].position, log[last].type) == (last + 1, "lease_taken")
    assert (await verified(node.data))["ok"]
    old = {path.name: path.read_bytes() for path in (made.node.data / "secrets").iterdir()}
    new = {path.name: path.read_bytes() for path in (node.data / "secrets").iterdir()}
    assert not set(old.values()) & set(new.values()), "passwords are made anew"


async def test_a_backup_is_private_and_holds_no_password(made: Made) -> None:
    assert made.stopped.stat().st_mode & 0o777 == 0o600
    files = members(made.live)
    text = b"".join(row[2] for name in files if name.startswith("log/") for row in unpack(files[name]))
    for path in (made.node.data / "secrets").glob("*.json"):
        password = msgspec.json.decode(path.read_bytes())["password"].encode()
        assert password not in text + files["forest.toml"]


async def test_nothing_is_ever_written_over(made: Made, tmp_path: Path) -> None:
    before = made.stopped.read_bytes()
    code, _, err = await elf("backup", made.stopped, "--data", made.node.data)
    assert (code, len(err.splitlines())) == (2, 1)
    assert made.stopped.read_bytes() == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    code, _, err = await elf("restore", made.stopped, tmp_path / "full")
    assert (code, len(err.splitlines())) == (2, 1)
    assert (names_in(tmp_path), names_in(tmp_path / "full")) == (["full"], ["mine"])


async def test_a_damaged_log_is_not_backed_up(made: Made, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(made.node.data, data)
    (lost, *_) = sorted((data / "segments").glob("*.parquet"))
    lost.write_bytes(lost.read_bytes()[:-9])
    code, _, err = await elf("backup", tmp_path / "b.tar", "--data", data)
    assert (code, len(err.splitlines())) == (3, 1), err
    assert names_in(tmp_path) == ["data"]


async def test_a_damaged_part_is_named(made: Made, tmp_path: Path) -> None:
    files = members(made.stopped)
    name = next(name for name in files if name.startswith("log/"))
    changed = bytearray(files[name])
    changed[len(changed) // 2] ^= 1
    await refused(written(tmp_path / "b.tar", files | {name: bytes(changed)}), 3, name)
    await refused(written(tmp_path / "b.tar", files | {MANIFEST: b"{"}), 3, MANIFEST)
    del files[name]
    await refused(written(tmp_path / "b.tar", {"log/x": b""} | files), 3, name)


@pytest.mark.parametrize("share", [0.2, 0.7, 0.97], ids=str)
async def test_a_truncated_backup_is_refused(made: Made, tmp_path: Path, share: float) -> None:
    end = made.stopped.read_bytes().rstrip(b"\0")
    (tmp_path / "b.tar").write_bytes(end[: int(len(end) * share)])
    await refused(tmp_path / "b.tar", 3, "b.tar")


async def test_a_part_that_was_exchanged_with_its_hash_does_not_lead_to_the_head(
    made: Made, tmp_path: Path
) -> None:
    files = members(made.stopped)
    found = manifest(files)
    name = found["files"][0]["name"]
    rows = list(unpack(files[name]))
    rows[7] = (rows[7][0], rows[7][1], rows[7][2] + b" ")
    files[name] = pack(rows)
    found["files"][0] |= {"sha256": hashlib.sha256(files[name]).hexdigest(), "size": len(files[name])}
    await refused(
        written(tmp_path / "b.tar", files | {MANIFEST: json.dumps(found).encode()}), 3, found["head"]
    )


@pytest.mark.parametrize("change", [{"format": 2}, {"release": "99.0.0"}], ids=["format", "release"])
async def test_a_backup_of_a_newer_release_is_refused(
    made: Made, tmp_path: Path, change: dict[str, Any]
) -> None:
    files = members(made.stopped)
    files[MANIFEST] = json.dumps(manifest(files) | change | {"unheard": 1}).encode()
    await refused(written(tmp_path / "b.tar", files), 2, str(*change.values()))


async def test_what_is_no_backup_is_refused(tmp_path: Path) -> None:
    for data in (b"", b"no backup at all" * 100):
        (tmp_path / "b.tar").write_bytes(data)
        await refused(tmp_path / "b.tar", 2, "b.tar")
    await refused(written(tmp_path / "b.tar", {"a": b"b"}), 2, "another archive")


async def test_the_tail_that_only_the_stream_has_is_in_the_backup(made: Made, tmp_path: Path) -> None:
    data = tmp_path / "data"
    await asyncio.to_thread(shutil.copytree, made.node.data, data)
    (data / "warehouse.duckdb").unlink()
    code, _, err = await elf("backup", tmp_path / "b.tar", "--data", data)
    assert code == 0, err
    same = manifest(members(made.stopped))
    assert manifest(members(tmp_path / "b.tar"))["head"] == same["head"]

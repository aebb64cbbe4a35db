"""Folders and files that are not a node's own: refused in one line, nothing changed on disk."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.history import History
from projections import anchor
from projections.chain import Chain
from projections.segments import MANIFEST, Segments
from tests.archive.folder import FOREST, elf
from tests.real_node import RealNode


def pictured(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder but the lock, which is empty."""
    return {
        str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"
    }


def history(data: Path, salt: bytes = b"", count: int = 1_000) -> None:
    """Leave sealed files and an anchor as a node does that sealed its whole log."""
    events = [event for page in History(decide=False).pages(count) for event in page][:count]
    rows = [(one.position, one.subject, one.time, one.data + salt) for one in events]
    segments = Segments(data)
    for start in range(0, count, 500):
        segments.seal([rows[start:]], 500)
    anchor.write(anchor.path_in(data), anchor.of(segments.chain, 1))
    segments.mark(count + 1)
    (data / "lock").touch()


def foreign_segment(data: Path) -> None:
    other = data.with_name("other")
    history(other, b" ")
    mine = json.loads((data / "segments" / MANIFEST).read_text())
    theirs = json.loads((other / "segments" / MANIFEST).read_text())
    name = Segments(other).all[0].name
    shutil.copy(other / "segments" / name, data / "segments" / name)
    mine["segments"][0] = theirs["segments"][0]
    (data / "segments" / MANIFEST).write_text(json.dumps(mine))


def all_of_another(data: Path) -> None:
    other = data.with_name("other")
    history(other, b" ")
    shutil.rmtree(data / "segments")
    shutil.copytree(other / "segments", data / "segments")


def truncated_segment(data: Path) -> None:
    path = data / "segments" / Segments(data).all[0].name
    path.write_bytes(path.read_bytes()[:-100])


def no_manifest(data: Path) -> None:
    (data / "segments" / MANIFEST).unlink()


def no_segments(data: Path) -> None:
    shutil.rmtree(data / "segments")


def broken_anchor(data: Path) -> None:
    anchor.path_in(data).write_bytes(b'{"position":')


@pytest.mark.parametrize(
    "harm", [foreign_segment, all_of_another, truncated_segment, no_manifest, no_segments, broken_anchor]
)
async def test_a_damaged_or_foreign_history_is_refused(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    node = RealNode(tmp_path, FOREST)
    history(node.data)
    harm(node.data)
    before = pictured(node.data)
    code, out, err = await elf("node", "--config", node.config)
    assert (code, out) == (3, "")
    assert len(err.splitlines()) == 1, err
    assert before.items() <= pictured(node.data).items()
    again = pictured(node.data)
    code, _, err = await elf("log", "verify", "--json", "--data", node.data)
    assert code != 0
    assert {name: data for name, data in pictured(node.data).items() if "segments" in name} == {
        name: data for name, data in again.items() if "segments" in name
    }


async def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    node = RealNode(tmp_path, FOREST)
    node.data.mkdir()
    (node.data / "thesis.txt").write_text("years of work")
    code, _, err = await elf("node", "--config", node.config)
    assert code == 1
    assert "thesis.txt" in err
    assert len(err.splitlines()) == 1
    assert [path.name for path in node.data.iterdir()] == ["thesis.txt"]


async def test_repair_refuses_a_folder_that_is_none(tmp_path: Path) -> None:
    code, _, err = await elf("log", "repair", "--data", tmp_path / "nowhere")
    assert (code, len(err.splitlines())) == (2, 1)
    assert not (tmp_path / "nowhere").exists()


def test_the_chain_of_a_history_is_its_own(tmp_path: Path) -> None:
    history(tmp_path / "a")
    history(tmp_path / "b", b" ")
    assert Segments(tmp_path / "a").chain != Segments(tmp_path / "b").chain
    assert Segments(tmp_path / "a").chain != Chain()

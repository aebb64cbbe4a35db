"""Cutting logs while their writers write: no line lost, none doubled, and reading goes on across the parts."""

import gzip
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.log_parts import archived, can_punch, cut, forget, fresh, last_lines, parts_of, tidy
from tests.victims import until

LINES = 1_000_000
STEPS = 20
WRITER = f"""
import os
log = os.open("a.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
go = os.open("go", os.O_RDONLY)
step = {LINES // STEPS}
for base in range(0, {LINES}, step):
    os.read(go, 1)
    # Not at line ends on purpose: a cut sees half lines.
    data = b"".join(b"%d the quick brown elf\\n" % number for number in range(base, base + step))
    for at in range(0, len(data), 7001):
        os.write(log, data[at:at + 7001])
"""


def everything(log: Path) -> list[bytes]:
    """Return all lines, the parts' first."""
    data = b"".join(gzip.decompress(part.path.read_bytes()) for part in parts_of(log))
    return (data + log.read_bytes()[archived(log) :]).splitlines(keepends=True)


def test_of_a_million_lines_over_twenty_cuts_none_is_lost(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    os.mkfifo(tmp_path / "go")
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", WRITER], cwd=tmp_path) as writer:
        go = os.open(tmp_path / "go", os.O_WRONLY)
        os.write(go, b"x")
        until(log.exists)
        cuts = [until(lambda: cut(log, 99, 1 << 30))]
        for _ in range(STEPS - 1):
            os.write(go, b"x")
            cuts.append(until(lambda: cut(log, 99, 1 << 30)))
        os.close(go)
        assert writer.wait() == 0
    last = cut(log, 99, 1 << 30)
    cuts += [last] if last else []
    assert everything(log) == [b"%d the quick brown elf\n" % number for number in range(LINES)]
    assert len(cuts) >= STEPS
    done = [one for one in cuts if one]
    assert [one.start for one in done] == [0, *(one.stop for one in done[:-1])]
    # The blocks are given back while the file keeps its offsets.
    assert log.stat().st_size == done[-1].stop
    assert log.stat().st_blocks * 512 <= 4096


def write(log: Path, first: int, last: int, end: bytes = b"\n") -> None:
    with log.open("ab") as file:
        file.write(b"\n".join(b"%d" % number for number in range(first, last)) + end)


def test_the_last_lines_are_found_across_parts(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    for base in range(0, 9000, 3000):
        write(log, base, base + 3000)
        assert cut(log, 10, 1 << 20)
    write(log, 9000, 9010)
    for count in (0, 1, 10, 11, 3011, 9010, 99_999):
        found, position = last_lines(log, count)
        expected = [b"%d\n" % number for number in range(9010)]
        assert found == (expected[-count:] if count else [])
        assert position == log.stat().st_size


def test_half_a_line_stays_and_one_without_end_is_cut_within(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    write(log, 0, 1000, b"")
    done = cut(log, 10, 1 << 20)
    assert done
    assert log.read_bytes()[done.stop :] == b"999"
    assert cut(log, 10, 1 << 20) is None
    with log.open("ab") as file:
        file.write(b"x" * 10_000)
    done = cut(log, 10, 5000)
    assert done
    assert done.stop == log.stat().st_size
    write(log, 5, 6)
    assert last_lines(log, 1)[0] == [b"999" + b"x" * 10_000 + b"5\n"]


def test_only_the_newest_parts_are_kept(tmp_path: Path) -> None:
    log, other = tmp_path / "a.log", tmp_path / "a.log.b.log"
    for base in range(5):
        write(log, base * 100, base * 100 + 100)
        write(other, 0, 10)
        assert cut(log, 2, 1 << 20)
        assert cut(other, 9, 1 << 20)
    assert [part.number for part in parts_of(log)] == [4, 5]
    assert len(parts_of(other)) == 5
    assert last_lines(log, 999)[0] == [b"%d\n" % number for number in range(300, 500)]


@pytest.mark.parametrize("stop_at", ["half", "sealed"])
def test_a_crash_within_a_cut_loses_and_doubles_nothing(tmp_path: Path, stop_at: str) -> None:
    log = tmp_path / "a.log"
    write(log, 0, 5000)
    before = log.read_bytes()
    done = cut(log, 10, 1 << 20)
    assert done
    part = parts_of(log)[0].path
    # As the crash left it: the holes not yet made, and perhaps the part not yet whole.
    log.write_bytes(before)
    if stop_at == "half":
        part.rename(f"{part}.part")
    tidy(tmp_path)
    write(log, 5000, 6000)
    assert cut(log, 10, 1 << 20)
    assert everything(log) == [b"%d\n" % number for number in range(6000)]
    assert log.stat().st_blocks * 512 <= 8192
    assert not list(tmp_path.glob("*.part"))


def test_another_file_under_the_name_begins_at_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    write(log, 0, 5000)
    assert cut(log, 10, 1 << 20)
    log.unlink()
    write(log, 0, 10)
    assert archived(log) == 0
    assert last_lines(log, 10)[0] == [b"%d\n" % number for number in range(10)]


@pytest.fixture
def without_holes() -> Iterator[Path]:
    """A file system that cannot punch holes; fails by name where mounting is impossible."""
    folder = Path(tempfile.mkdtemp(prefix="elf-ramfs-"))
    done = subprocess.run(
        ["mount", "-t", "ramfs", "elf", folder], capture_output=True, text=True, check=False
    )
    try:
        assert done.returncode == 0, f"mounting is impossible here: {done.stderr}"
        yield folder
        subprocess.run(["umount", folder], check=True)
    finally:
        folder.rmdir()


def test_without_holes_a_restart_begins_a_new_file(without_holes: Path) -> None:
    log = without_holes / "a.log"
    assert not can_punch(without_holes)
    assert can_punch(Path(tempfile.gettempdir()))
    fresh(log, 3)
    for base in range(5):
        write(log, base * 10, base * 10 + 10)
        fresh(log, 3)
        assert not log.exists()
    write(log, 50, 60)
    assert [part.number for part in parts_of(log)] == [3, 4, 5]
    assert last_lines(log, 35)[0] == [b"%d\n" % number for number in range(25, 60)]
    # A crash after the rename: what lies aside is compressed later.
    log.rename(f"{log}.000006.0")
    tidy(without_holes)
    write(log, 60, 70)
    assert last_lines(log, 15)[0] == [b"%d\n" % number for number in range(55, 70)]
    forget(log, 1)
    assert len(parts_of(log)) == 1


def test_where_holes_are_possible_a_restart_goes_on_in_the_file(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    write(log, 0, 10)
    fresh(log, 3)
    assert log.exists()
    assert parts_of(log) == []

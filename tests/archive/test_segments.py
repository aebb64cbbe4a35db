"""Sealed files: whole or not at all, proven when written, refused when they are not what was sealed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.history import History
from events.envelope import Recorded
from projections.chain import Chain, Gap
from projections.segments import MANIFEST, Row, SegmentDamaged, Segments, sha256_of


@pytest.fixture(scope="module")
def log() -> list[Recorded]:
    return [event for page in History(decide=False).pages(3_000) for event in page][:3_000]


def rows(log: list[Recorded], after: int = 0, page: int = 700) -> Iterator[list[Row]]:
    for start in range(after, len(log), page):
        yield [(one.position, one.subject, one.time, one.data) for one in log[start : start + page]]


def sealed(data: Path, log: list[Recorded], size: int = 1_000, count: int = 3) -> Segments:
    segments = Segments(data)
    for number in range(count):
        segments.seal(rows(log, number * size), size)
    return segments


def test_what_was_sealed_comes_back_to_the_byte_from_any_position(
    tmp_path: Path, log: list[Recorded]
) -> None:
    sealed(tmp_path, log)
    segments = Segments(tmp_path)
    assert [(one.first, one.last, one.count) for one in segments.all] == [
        (1, 1000, 1000),
        (1001, 2000, 1000),
        (2001, 3000, 1000),
    ]
    assert [event for chunk in segments.events() for event in chunk] == log
    assert [event for chunk in segments.events(999, 1002) for event in chunk] == log[999:1002]
    chain = Chain()
    chain.extend(log)
    assert segments.chain == chain
    assert all(sha256_of(segments.folder / one.name) == one.sha256 for one in segments.all)


def test_rows_that_do_not_go_on_are_not_sealed(tmp_path: Path, log: list[Recorded]) -> None:
    segments = sealed(tmp_path, log, count=1)
    with pytest.raises(Gap):
        segments.seal(rows(log, 1_001), 1_000)
    assert Segments(tmp_path).last == 1_000
    segments.seal(rows(log, 1_000), 1_000)
    assert Segments(tmp_path).last == 2_000


def test_a_crash_between_file_and_manifest_leaves_the_old_manifest_and_sealing_goes_on(
    tmp_path: Path, log: list[Recorded]
) -> None:
    segments = sealed(tmp_path, log, count=1)
    before = (segments.folder / MANIFEST).read_bytes()
    segments.seal(rows(log, 1_000), 1_000)
    (segments.folder / MANIFEST).write_bytes(before)
    (segments.folder / "next.parquet").write_bytes(b"torn")
    again = Segments(tmp_path)
    assert again.last == 1_000
    again.seal(rows(log, 1_000), 1_000)
    assert [event for chunk in Segments(tmp_path).events() for event in chunk] == log[:2_000]


def test_the_first_file_without_a_manifest_is_what_a_crash_leaves(
    tmp_path: Path, log: list[Recorded]
) -> None:
    segments = sealed(tmp_path, log, count=1)
    (segments.folder / MANIFEST).unlink()
    again = Segments(tmp_path)
    assert again.last == 0
    again.seal(rows(log), 1_000)
    assert Segments(tmp_path).last == 1_000


@pytest.mark.parametrize("harm", ["lost", "shorter", "flipped"])
def test_a_file_that_is_not_what_was_sealed_is_named(tmp_path: Path, log: list[Recorded], harm: str) -> None:
    segments = sealed(tmp_path, log)
    path = segments.folder / segments.all[1].name
    data = bytearray(path.read_bytes())
    if harm == "lost":
        path.unlink()
    elif harm == "shorter":
        path.write_bytes(data[:-1])
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    again = Segments(tmp_path)
    with pytest.raises(SegmentDamaged, match=r"1001 to 2000.*elf log repair"):
        again.check(again.all[1], whole=True)
    again.check(again.all[2], whole=True)
    again.remake(again.all[1], rows(log, 1_000))
    assert [event for chunk in Segments(tmp_path).events() for event in chunk] == log


def test_a_lost_file_is_not_made_again_from_other_rows(tmp_path: Path, log: list[Recorded]) -> None:
    segments = sealed(tmp_path, log)
    other = [
        (position, subject, time, data + b" ")
        for position, subject, time, data in next(rows(log, 1_000, 1_000))
    ]
    with pytest.raises(SegmentDamaged, match="expected head"):
        segments.remake(segments.all[1], [other])


def test_a_segment_of_another_log_is_refused(tmp_path: Path, log: list[Recorded]) -> None:
    segments = sealed(tmp_path / "one", log)
    other = Segments(tmp_path / "two")
    other.seal([[(one.position, one.subject, one.time, one.data + b" ") for one in log[:1_000]]], 1_000)
    mine = json.loads((segments.folder / MANIFEST).read_text())
    foreign = json.loads((other.folder / MANIFEST).read_text())
    mine["segments"][0] = foreign["segments"][0]
    (segments.folder / MANIFEST).write_text(json.dumps(mine))
    with pytest.raises(SegmentDamaged, match="another log"):
        Segments(tmp_path / "one")


@pytest.mark.parametrize("text", ["", "{", '{"version":1}', "[]"])
def test_a_manifest_that_is_none_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "segments").mkdir()
    (tmp_path / "segments" / MANIFEST).write_text(text)
    with pytest.raises(SegmentDamaged) as refused:
        Segments(tmp_path)
    assert "\n" not in str(refused.value)

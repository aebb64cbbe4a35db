"""Marks, times of the command line and the fold of what waits: the small parts of tasks that misbehave."""

import os
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from actors.faces.console.failure import Failure
from actors.faces.console.moments import delay_s, due_of
from actors.runner_marks import Marks, executing, is_over
from projections.custody import Custody
from tests.projections.scenes import Scene


def test_marks_outlive_their_writer_and_the_lock_tells_whether_it_lives(tmp_path: Path) -> None:
    marks = Marks(tmp_path, "w-1", 3, 2, 200)
    many = [f"{number:064}" for number in range(200)]
    marks.write(0, many)
    marks.write(1, ["t1"])
    assert executing(tmp_path, "w-1", 3) == {*many, "t1"}
    assert is_over(tmp_path, "w-1", 3) is False
    marks.write(0, ())
    os.close(marks.descriptor)
    assert executing(tmp_path, "w-1", 3) == {"t1"}
    assert is_over(tmp_path, "w-1", 3) is True
    assert (tmp_path / "w-1.3.mark").stat().st_mode & 0o777 == 0o600


def test_what_nobody_knows_is_said(tmp_path: Path) -> None:
    assert executing(tmp_path, "w", 1) is None
    assert is_over(tmp_path, "w", 1) is None
    for damage in (b"", b"\0" * 4096, b"\0\0\x10\0\0\0\0\x09" + b"\xff" * 4096):
        (tmp_path / "w.1.mark").write_bytes(damage)
        assert executing(tmp_path, "w", 1) is None


def test_an_orderly_end_leaves_no_marks_and_old_ones_go(tmp_path: Path) -> None:
    (tmp_path / "w.1.mark").write_bytes(b"old")
    (tmp_path / "w.60.mark").write_bytes(b"recent")
    (tmp_path / "w.x.1.mark").write_bytes(b"another's")
    Marks(tmp_path, "w", 61, 1, 1).close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w.60.mark", "w.x.1.mark"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("10", 10), ("10s", 10), ("250ms", 0.25), ("1.5m", 90), ("2h", 7200), ("1d", 86400)]
)
def test_delays_as_people_write_them(text: str, seconds: float) -> None:
    assert delay_s(text) == seconds


def test_moments_as_people_write_them() -> None:
    now = datetime.now().astimezone()
    soon = now + timedelta(minutes=5)
    assert due_of("", soon.isoformat()) == int(soon.timestamp() * 1e6)
    past = (now - timedelta(minutes=5)).strftime("%H:%M")
    assert 0 < due_of("", past) / 1e6 - time.time() <= 86400
    assert due_of("", "") == 0
    assert abs(due_of("10s", "") / 1e6 - time.time() - 10) < 2


@pytest.mark.parametrize(
    ("delay", "at", "words"),
    [
        ("soon", "", "expected a delay like 10s, 5m, 2h or 1d, got 'soon'"),
        ("-5s", "", "expected a delay like"),
        ("", "25:00", "expected a time like 18:30 or"),
        ("", "tomorrow", "expected a time like 18:30 or"),
        ("", "2001-01-01T00:00", "expected a time to come, got 2001-01-01T00:00"),
        ("1s", "18:30", "expected one of --delay and --at, got both"),
    ],
)
def test_other_times_are_refused_in_one_line(delay: str, at: str, words: str) -> None:
    with pytest.raises(Failure, match=words):
        due_of(delay, at)


def test_what_waits_is_known_by_its_position_until_it_is_claimed_or_ends() -> None:
    scene = Scene()
    first, second = scene.submit("a"), scene.submit("b")
    scene.submit("c", due=1)
    scene.start("a")
    custody = Custody({}, {})
    for event in scene.events:
        custody.apply(event)
    assert custody.waiting == {"q": {"b": second}}
    assert custody.claims["a"].position > first

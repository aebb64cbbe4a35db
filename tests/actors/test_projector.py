"""The projector beside a clock that waits to be wound: when it lets the file take what memory holds."""

import queue
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pykka
import pytest

from actors.feed import Chunk
from actors.projector import Projector
from actors.runtime import Down, Knock
from tests.projections.test_warehouse import busy


class Wound:
    """A clock that stands; what is to come within a second comes when somebody says so, the rest never."""

    def __init__(self) -> None:
        self.timers: queue.Queue[Callable[[], None]] = queue.Queue()

    def now(self) -> int:
        return 0

    def wall(self) -> int:
        return 0

    def monotonic(self) -> float:
        return 0.0

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        if seconds < 1:
            self.timers.put(what)


class Line:
    """A projector and a log that it is given piece by piece."""

    def __init__(self, folder: Path) -> None:
        self.clock = Wound()
        self.failed: list[Down] = []
        self._events = busy(4500)
        self._given = 0
        self._journal = folder / "warehouse.duckdb.wal"
        self.ref: pykka.ActorRef[Any] = Projector.start(
            self.failed.append, folder, self.clock, lambda _: None, lambda _: None, lambda _: None
        )

    def give(self, until: int) -> None:
        """Give it the log up to this event, as much at a time as it takes in at once."""
        while self._given < until:
            self.ref.tell(Chunk(self._events[self._given : self._given + 500]))
            self._given += 500
        self._answered()

    def fire(self) -> None:
        """Let the next timer go off."""
        self.clock.timers.get(timeout=10)()
        self._answered()

    def _answered(self) -> None:
        self.ref.ask(Knock(lambda: None, lambda *_: None), timeout=30)

    @property
    def journal(self) -> int:
        """Bytes that are not in the file yet."""
        return self._journal.stat().st_size if self._journal.exists() else 0


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    line = Line(tmp_path)
    yield line
    line.ref.stop()
    assert line.failed == []


def test_a_quiet_moment_is_used_to_write_the_file(line: Line) -> None:
    line.give(1500)
    assert line.clock.timers.empty(), "so little may wait for the automatic checkpoint"
    line.give(2500)
    line.fire()
    assert line.journal, "500 events came meanwhile: there is something else to do"
    line.fire()
    assert not line.journal
    assert line.clock.timers.empty()


def test_much_is_written_though_there_is_no_quiet_moment(line: Line) -> None:
    line.give(3500)
    assert line.journal
    line.give(4000)
    assert not line.journal

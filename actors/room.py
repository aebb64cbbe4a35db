"""Room for the log: watches the free space, stands by before it runs out, comes back by itself."""

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from events.observations import Resumed, StoodBy

_log = logging.getLogger("elf.room")

LOOK_S = 0.5
BALLAST = "ballast"
_RESERVE = 256 << 20
_FIRST_WORDS = 1 << 20
_LIMIT_EVERY_S = 30.0
_STUCK_S = 5.0

Said = Callable[[bool], None]


def reserve_of(data: Path) -> int:
    """Return below how many free bytes of its disk a node decides nothing."""
    return min(_RESERVE, shutil.disk_usage(data).total // 8)


def await_room(data: Path) -> None:
    """Wait until a start cannot fail for want of room; the ballast is given up for it.

    The node that starts then stands by until there is more, like one whose disk fills up while it runs.
    """
    wanted, said = reserve_of(data) // 8, False
    while (free := shutil.disk_usage(data).free) < wanted:
        if (data / BALLAST).exists():
            (data / BALLAST).unlink(missing_ok=True)
        elif not said:
            said = True
            _log.error(
                "standing by: %d MB are left of the disk of %s, a start needs %d MB; it goes on by itself with room",
                *(free >> 20, data, (wanted >> 20) + 1),
            )
        else:
            time.sleep(LOOK_S)


def spare_of(data: Path) -> int:
    """Return by how many bytes the log may grow as the disk is now; a start's own words always fit."""
    return max(shutil.disk_usage(data).free - reserve_of(data) // 2, _FIRST_WORDS)


class Hands(Protocol):
    """What the watch needs of its node; called in the watch's thread."""

    def write(self, body: StoodBy | Resumed, said: Said) -> None:
        """Append an event once; `said` hears whether it is stored, at once or much later."""

    def restart_server(self, by_force: bool) -> None:
        """End the server, which is then started again."""

    def limit(self, spare: int) -> None:
        """Let the log grow by so many bytes and no more."""

    def resumed(self) -> None:
        """Go on: ticks and decisions."""


class Room:
    """One thread. Below the reserve the node stands by; the log itself is refused growth below half of it.

    The reserve is 256 MiB or an eighth of a smaller disk. A quarter of it lies there as ballast, a file without
    use that is given up when the disk is full all the same, so that the last word can be written.
    """

    def __init__(self, data: Path, node: str, hands: Hands) -> None:
        self._data = data
        self._node = node
        self._hands = hands
        self._ballast = data / BALLAST
        self.reserve = reserve_of(data)
        self.standing_by = False
        self._over = False
        self._news = threading.Event()
        self._waits_since = 0.0
        self._kicks = 0
        self._limited = -_LIMIT_EVERY_S
        self._stored: bool | None = None
        self._answered = self._asked = False
        self._thread = threading.Thread(target=self._run, name="elf-room", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._over = True
        self._news.set()
        self._thread.join(10.0)

    def _run(self) -> None:
        while True:
            try:
                self._look(shutil.disk_usage(self._data).free)
            except OSError as problem:
                _log.warning("cannot look after the room for the log: %s", problem)
            self._news.wait(LOOK_S)
            self._news.clear()
            if self._over:
                return

    def _look(self, free: int) -> None:
        if self.standing_by:
            self._wait_for_room(free)
        elif free < self.reserve:
            self._stand_by(free)
        else:
            self._lay_ballast(free)
            if time.monotonic() - self._limited >= _LIMIT_EVERY_S:
                self._limited = time.monotonic()
                self._hands.limit(free - self.reserve // 2)

    def _stand_by(self, free: int) -> None:
        self.standing_by = True
        self._waits_since, self._kicks, self._stored = 0.0, 0, None
        self._answered = self._asked = False
        _log.error(
            "standing by: %d MB are left of the disk of %s, %d MB are wanted; workers go on, nothing is decided",
            *(free >> 20, self._data, (self.reserve * 5 // 4) >> 20),
        )
        self._hands.write(StoodBy(node=self._node, reason="disk full", free=free), self._heard)

    def _wait_for_room(self, free: int) -> None:
        if free < self.reserve // 8:
            self._ballast.unlink(missing_ok=True)
        missing = 0 if self._ballast.exists() else self.reserve // 4
        if self._stored:
            self.standing_by = False
            self._limited = -_LIMIT_EVERY_S
            _log.warning("there is room again: the node goes on")
            self._hands.resumed()
        elif free < self.reserve * 5 // 4 + missing:
            return
        elif self._answered and (self._stored is False or not self._asked):
            # Not before the first word has its answer: the two must not change places.
            self._asked, self._stored, self._waits_since = True, None, time.monotonic()
            self._hands.write(Resumed(node=self._node, free=free), self._said)
        elif not self._waits_since:
            self._waits_since = time.monotonic()
        elif time.monotonic() - self._waits_since > _STUCK_S:
            # A server whose disk was full stays silent until it starts anew; what waits is then written.
            self._kicks += 1
            self._waits_since = time.monotonic()
            _log.warning("the log does not answer although there is room: its server is started again")
            self._hands.restart_server(self._kicks > 1)

    def _heard(self, _: bool) -> None:
        self._answered = True

    def _said(self, stored: bool) -> None:
        self._stored = stored
        if stored:
            self._news.set()

    def _lay_ballast(self, free: int) -> None:
        wanted = self.reserve // 4
        if self._ballast.exists() or free < self.reserve * 5 // 4 + wanted:
            return
        descriptor = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, wanted)
        finally:
            os.close(descriptor)

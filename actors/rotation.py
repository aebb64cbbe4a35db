"""Keeps worker logs small while their workers write: a thread that cuts them by size and at the end of a day."""

import datetime as dt
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

from actors.config import Forest
from actors.log_parts import Rotated, archived, can_punch, cut, parts_of, tidy

_log = logging.getLogger("elf.rotation")


class Rotation:
    """Looks at `<data>/logs` every few seconds; copying is its own thread's work and blocks nobody."""

    def __init__(
        self, folder: Path, forest: Callable[[], Forest], rotated: Callable[[str, Rotated], None]
    ) -> None:
        """`rotated` is told the log's unit and the new part, in this thread."""
        self._folder = folder
        self._forest = forest
        self._rotated = rotated
        self._over = threading.Event()
        self._began = time.time()
        self._refused: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run, name="elf-rotation", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the part under way and end."""
        self._over.set()
        self._thread.join(30.0)

    def _run(self) -> None:
        try:
            tidy(self._folder)
            works = can_punch(self._folder)
        except OSError as problem:
            _log.error("logs are not rotated: %s", problem)
            return
        if not works:
            _log.warning("%s cannot have holes: logs are rotated when their worker restarts", self._folder)
            return
        while not self._over.wait(self._forest().node.sample_s):
            for log in sorted(self._folder.glob("*.log")):
                self._look(log)

    def _look(self, log: Path) -> None:
        node = self._forest().node
        try:
            fresh = log.stat().st_size - archived(log)
            if fresh > 0 and (fresh >= node.log_size or self._is_of_yesterday(log, ZoneInfo(node.timezone))):
                done = cut(log, node.log_keep, node.log_size)
                if done:
                    self._rotated(log.stem, done)
            self._refused.pop(log.name, None)
        except FileNotFoundError:
            return
        except OSError as problem:
            if self._refused.get(log.name) != problem.errno:
                self._refused[log.name] = problem.errno or 0
                _log.warning("%s is not rotated: %s", log, problem)

    def _is_of_yesterday(self, log: Path, zone: ZoneInfo) -> bool:
        """Tell whether what the log holds was begun on an earlier day, as far as can be known."""
        parts = parts_of(log)
        written = log.stat().st_mtime
        since = min(written, max(self._began, parts[-1].path.stat().st_mtime if parts else 0.0))
        return _day(since, zone) < _day(time.time(), zone)


def _day(moment: float, zone: ZoneInfo) -> dt.date:
    return dt.datetime.fromtimestamp(moment, zone).date()

"""When the tables are published for other programs: whenever somebody asks, by itself at most 1 % of the time."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from actors.clock import Clock
from projections.published import Published, publish
from projections.segments import SegmentDamaged, Segments
from projections.warehouse import Warehouse
from projections.warehouse_file import WarehouseError

_log = logging.getLogger("elf.tables")

_SHARE = 0.01
_LOOK_EVERY_S = 5.0

Reply = Callable[[dict[str, Any]], None]


class TablesOut:
    """Belongs to the projector's thread; the copying has a thread of its own, one at a time."""

    def __init__(
        self, data: Path, clock: Clock, every_s: Callable[[], float], again: Callable[[object], None]
    ) -> None:
        self._data = data
        self._clock = clock
        self._every_s = every_s
        self._again = again
        self._last: Published | None = None
        self._due = 0.0
        self._waiting: list[Reply] = []
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Look from time to time whether it is time."""
        self._clock.later(_LOOK_EVERY_S, lambda: self._again("publish"))
        self._due = self._clock.monotonic() + self._every_s()

    def look(self, warehouse: Warehouse) -> None:
        """Publish when it is time and something is new."""
        self._clock.later(_LOOK_EVERY_S, lambda: self._again("publish"))
        every = self._every_s()
        if every and self._clock.monotonic() >= self._due and not self._is_current(warehouse):
            self._start(warehouse)

    def ask(self, warehouse: Warehouse, reply: Reply) -> None:
        """Publish now, unless what stands there is as new as the tables; `reply` gets path and position."""
        if self._last is not None and self._is_current(warehouse) and self._last.path.exists():
            reply(_told(self._last))
            return
        self._waiting.append(reply)
        if self._thread is None:
            self._start(warehouse)

    def done(self, result: Published | Exception) -> None:
        """Take what came of it, back in the projector's thread."""
        self._thread = None
        waiting, self._waiting = self._waiting, []
        if isinstance(result, Published):
            self._last = result
            rest = max(self._every_s(), result.seconds / _SHARE)
            answer = _told(result)
        else:
            _log.error("the tables were not published: %s", result)
            rest = max(self._every_s(), 60.0)
            answer = {"ok": False, "error": f"the tables were not published: {result}", "code": 1}
        self._due = self._clock.monotonic() + rest
        for reply in waiting:
            reply(answer)

    def end(self) -> None:
        """Wait for what runs; the warehouse must have been told to close."""
        if self._thread is not None:
            self._thread.join()

    def _is_current(self, warehouse: Warehouse) -> bool:
        return self._last is not None and self._last.position == warehouse.checkpoint

    def _start(self, warehouse: Warehouse) -> None:
        if self._thread is not None:
            return

        def work() -> None:
            try:
                self._again(publish(warehouse, Segments(self._data)))
            except (duckdb.Error, OSError, WarehouseError, SegmentDamaged) as problem:
                self._again(problem)

        self._thread = threading.Thread(target=work, name="elf-tables")
        self._thread.start()


def _told(last: Published) -> dict[str, Any]:
    return {"ok": True, "path": str(last.path), "position": last.position, "seconds": last.seconds}

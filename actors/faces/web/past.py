"""The forest as it stood at a position: the page of status folded from the log, kept for the next question."""

import time
from collections import OrderedDict
from typing import Any

import msgspec

from actors.faces.console.source import LogSource
from actors.place import ClientError, Place
from projections.status import Status

_KEPT = 8
_TIME_S = 20.0


class Past:
    """Folds in a thread of its own, one question at a time; a later position goes on from an earlier one."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._kept: OrderedDict[int, bytes] = OrderedDict()

    def page(self, position: int) -> dict[str, Any]:
        """Return the page as of a position. Blocking. Raises ClientError."""
        fold = self._nearest(position)
        if fold.position < position:
            self._follow(fold, position)
            self._kept[fold.position] = msgspec.json.encode(fold)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        if not fold.position:
            raise ClientError(f"expected events up to position {position}, got none; try a later one", 1)
        return {"position": fold.position, "time": fold.timeline.now / 1e6, **fold.page(fold.timeline.now)}

    def _nearest(self, position: int) -> Status:
        known = max((at for at in self._kept if at <= position), default=None)
        if known is None:
            return Status()
        self._kept.move_to_end(known)
        return msgspec.json.decode(self._kept[known], type=Status)

    def _follow(self, fold: Status, position: int) -> None:
        give_up = time.monotonic() + _TIME_S
        with LogSource(self._place) as source:
            for chunk in source.chunks(fold.position, position):
                for event in chunk:
                    fold.apply(event)
                # The node itself has work to do beside this.
                time.sleep(0.001)
                if time.monotonic() > give_up:
                    text = f"expected to fold {position} events within {_TIME_S:g} s, got {fold.position}"
                    raise ClientError(f"{text}; try elf replay --until {position}", 5)

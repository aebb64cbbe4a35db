"""What the log says now, for pages that follow it: server-sent events that resume by log position."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from actors.faces.link import Link
from actors.feed import Chunk

_KEPT = 2000
_SHOWN = 100
_PAUSE_S = 0.5
_QUIET_S = 15.0
_MOST = 32
_QUIET_TYPES = ("sampled", "checkpoint")
_OLDER = (
    "SELECT position, time, type, subject FROM log WHERE position > ? AND position <= ?"
    " AND type NOT IN ('sampled', 'checkpoint') ORDER BY position DESC LIMIT 100"
)
_COUNTS = "SELECT type, count(*) AS n FROM log WHERE position > ? AND position <= ? GROUP BY type"


class TooMany(Exception):
    """More pages follow the log than a node serves."""


class News:
    """Keeps the newest events. `take` is called on the bus, everything else on the loop of the dashboard."""

    def __init__(self, hello: Callable[[], dict[str, Any]]) -> None:
        self.position = 0
        self._hello = hello
        self._ring: deque[tuple[int, int, str, str]] = deque(maxlen=_KEPT)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wakes: set[asyncio.Event] = set()
        self._ended = False

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say on which loop the listeners live."""
        self._loop = loop

    def take(self, chunk: Chunk) -> bool:
        """Take events of the log; False when nobody will ever listen again."""
        self._ring.extend((event.position, event.time, event.type, event.subject) for event in chunk.events)
        self.position = chunk.events[-1].position
        if self._wakes and self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)
        return not self._ended

    def end(self) -> None:
        """Let every listener go."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        for wake in self._wakes:
            wake.set()

    async def stream(self, link: Link, after: int | None) -> AsyncIterator[bytes]:
        """Yield what stands behind a position, then what comes. Raises TooMany before the first one."""
        if len(self._wakes) >= _MOST:
            raise TooMany(f"expected at most {_MOST} pages that follow the log, got one more; close one")
        wake = asyncio.Event()
        self._wakes.add(wake)
        try:
            yield b"retry: 1000\n" + _message("hello", self.position, self._hello())
            if after is None or after > self.position:
                after = self.position
            while not self._ended:
                wake.clear()
                until = self.position
                if until > after:
                    yield _message("log", until, await self._between(link, after, until))
                    after = until
                    await asyncio.sleep(_PAUSE_S)
                    continue
                try:
                    await asyncio.wait_for(wake.wait(), _QUIET_S)
                except TimeoutError:
                    yield b": quiet\n\n"
        finally:
            self._wakes.discard(wake)

    async def _between(self, link: Link, after: int, until: int) -> dict[str, Any]:
        ring = list(self._ring)
        if ring and ring[0][0] <= after + 1:
            behind = [item for item in ring if after < item[0] <= until]
            types = Counter(item[2] for item in behind)
            told = [item for item in behind if item[2] not in _QUIET_TYPES][-_SHOWN:]
            return {"after": after, "until": until, "types": types, "events": told}
        rows = await link.rows(_OLDER, [after, until])
        counts = await link.rows(_COUNTS, [after, until])
        return {
            "after": after,
            "until": until,
            "types": {row["type"]: row["n"] for row in counts},
            "events": [list(row.values()) for row in reversed(rows)],
        }


def _message(kind: str, position: int, body: object) -> bytes:
    return f"event: {kind}\nid: {position}\ndata: ".encode() + msgspec.json.encode(body) + b"\n\n"

"""What a runner tells the node besides events: its beat, and what it is told in return."""

import asyncio
from collections.abc import Callable

import msgspec
from msgspec import Struct

from actors.connection import Connection
from actors.runner_jobs import Lasting
from actors.runner_post import Post

BEAT_S = 5.0
# At most so often when something changes.
_CHANGE_S = 0.2
_SHOWN = 20


class Beat(Struct, kw_only=True):
    """One beat: state, what is held, how much is done, how long it takes, which processes do it."""

    unit: str
    generation: int
    pid: int
    in_flight: list[str]
    n: int
    done: int
    failed: int
    state: str
    service_ms_p50: float
    host_pids: list[int]
    lasting: list[Lasting] = []


class Beats:
    """Publishes a beat every five seconds and soon after each change. One asyncio loop."""

    def __init__(self, connection: Connection, post: Post, subject: str, look: Callable[[], Beat]) -> None:
        """`look` makes the beat; it is asked only when one is due."""
        self._connection = connection
        self._post = post
        self._subject = subject
        self._look = look
        self._loop = asyncio.get_running_loop()
        self._due: asyncio.TimerHandle | None = None
        self._soon = False
        self._last = 0.0

    def start(self) -> None:
        """Beat now and from now on."""
        self._beat()

    def changed(self) -> None:
        """Beat soon."""
        if self._soon or self._due is None:
            return
        self._soon = True
        self._due.cancel()
        rest = max(0.0, self._last + _CHANGE_S - self._loop.time())
        self._due = self._loop.call_later(rest, self._beat)

    def stop(self) -> None:
        """Beat once more, the last time."""
        if self._due:
            self._beat()
            self._due.cancel()
            self._due = None

    def _beat(self) -> None:
        self._soon = False
        self._last = self._loop.time()
        self._due = self._loop.call_later(BEAT_S, self._beat)
        # Beats are worth nothing later, so none is kept for a server that is away.
        if self._connection.client.is_connected:
            self._post.say(self._subject, msgspec.json.encode(self._look()))


def shown(names: list[str]) -> list[str]:
    """Return as many task ids as a beat carries."""
    return names[:_SHOWN]

"""One NATS connection with a role's credentials, and what went wrong on it."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

_log = logging.getLogger("elf.nats")


class Credentials(Struct, frozen=True, kw_only=True):
    """What one user of the server may say who it is. `source` is the `<role>.<writer>` of its events."""

    url: str
    user: str
    password: str
    source: str

    @property
    def inbox(self) -> str:
        """The prefix of this user's inboxes; nobody else may listen there. A token of its own, so that `*` fits it."""
        return f"_INBOX.{self.user}"


def read_credentials(path: Path) -> Credentials:
    """Read a credentials file. Raises FileNotFoundError or msgspec.ValidationError."""
    return msgspec.json.decode(path.read_bytes(), type=Credentials)


class Connection:
    """A NATS client that reconnects for ever, keeps the last refusals and tells who asked about reconnects."""

    def __init__(self, client: Client, credentials: Credentials) -> None:
        self.client = client
        self.credentials = credentials
        self.refusals: deque[str] = deque(maxlen=16)
        self.reconnects = 0
        self._again: list[Callable[[], None]] = []

    def on_reconnect(self, call: Callable[[], None]) -> Callable[[], None]:
        """Call `call` on the loop after each reconnect; returns what withdraws it."""
        self._again.append(call)
        return lambda: self._again.remove(call) if call in self._again else None

    async def failed(self, problem: Exception) -> None:
        """Note an asynchronous error of the server, a permission violation above all."""
        text = str(problem)
        if "ermissions" in text or "uthoriz" in text:
            self.refusals.append(text)
            _log.warning("nats: %s", text)
        else:
            _log.debug("nats: %r", problem)

    async def reconnected(self) -> None:
        """Tell everybody who holds state in the server, and those who wait for an answer of the old one."""
        self.reconnects += 1
        # The client has no public way to end its requests; without this each would wait for its time-out.
        waiting: dict[str, asyncio.Future[Any]] = getattr(self.client, "_resp_map", None) or {}
        for future in list(waiting.values()):
            if not future.done():
                future.set_exception(ConnectionResetError("the server that was asked is gone"))
        for call in list(self._again):
            call()

    async def let_go(self, subscription: Subscription, orderly: bool) -> None:
        """End a subscription; what is on its way is still delivered if `orderly`. The server forgets the rest."""
        with contextlib.suppress(Exception):
            if orderly and self.client.is_connected:
                await asyncio.wait_for(subscription.drain(), 2.0)  # type: ignore[no-untyped-call]
            else:
                await subscription.unsubscribe()

    async def close(self) -> None:
        """Flush what can be flushed within a second and close; also when the server is gone."""
        with contextlib.suppress(NatsError, OSError):
            await self.client.close()


async def connect(
    credentials: Credentials, name: str, *, attempts: int = -1, timeout: float = 2.0
) -> Connection:
    """Connect as one user. `attempts` -1 reconnects for ever. Raises `nats.errors.Error` or OSError."""
    client = Client()
    connection = Connection(client, credentials)

    async def quiet(*_: object) -> None:
        return None

    options: dict[str, Any] = {
        "reconnect_time_wait": 0.1,
        "connect_timeout": timeout,
        "error_cb": connection.failed,
        "reconnected_cb": connection.reconnected,
        "disconnected_cb": quiet,
        "closed_cb": quiet,
    }
    await client.connect(
        servers=[credentials.url],
        user=credentials.user,
        password=credentials.password,
        name=name,
        inbox_prefix=credentials.inbox.encode(),
        allow_reconnect=attempts != 0,
        max_reconnect_attempts=attempts,
        ping_interval=10,
        max_outstanding_pings=2,
        pending_size=64 * 1024 * 1024,
        drain_timeout=2,
        **options,
    )
    return connection

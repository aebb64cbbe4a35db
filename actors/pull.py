"""Pulling from a consumer by credit: a standing order of so many messages, renewed before it runs dry."""

import asyncio
import contextlib
import json
from collections.abc import Callable

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from actors.connection import Connection

_EXPIRES_S = 20.0


class Puller:
    """Orders messages of one consumer and hands each over on the loop thread.

    `credit()` says how many more the owner can take at once; the puller never has more than that on order, and of
    one order no more than `bytes_limit` comes, unless that is 0. `lost` is called when the server says that the
    consumer is gone or when it stays silent.
    """

    def __init__(
        self,
        connection: Connection,
        consumer: str,
        deliver: Callable[[Msg], None],
        credit: Callable[[], int],
        lost: Callable[[str], None],
        stream: str = "LOG",
        bytes_limit: int = 0,
    ) -> None:
        self._connection = connection
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._deliver = deliver
        self._credit = credit
        self._lost = lost
        self._bytes_limit = bytes_limit
        self._too_long = False
        self._on_order = 0
        self._subscription: Subscription | None = None
        self._inbox = ""
        self._watch: asyncio.TimerHandle | None = None
        self._forget: Callable[[], None] = lambda: None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Subscribe and place the first order."""
        self._inbox = self._connection.client.new_inbox()
        self._subscription = await self._connection.client.subscribe(
            self._inbox, cb=self._received, pending_msgs_limit=1_000_000, pending_bytes_limit=1 << 30
        )
        self._forget = self._connection.on_reconnect(self._start_over)
        self.order()

    async def stop(self, orderly: bool = False) -> None:
        """Stop ordering. What is on its way is still delivered if `orderly`, else dropped and redelivered."""
        self._forget()
        if self._watch:
            self._watch.cancel()
        subscription, self._subscription = self._subscription, None
        self._on_order = 0
        if subscription:
            await self._connection.let_go(subscription, orderly)

    def order(self) -> None:
        """Top up the order to the owner's credit, once half of it is used."""
        if self._subscription is None:
            return
        credit = self._credit()
        missing = credit - self._on_order
        if missing <= 0 or (self._on_order > 0 and missing < max(1, credit // 2)):
            return
        if self._too_long:
            missing = 1
        self._on_order += missing
        order = {"batch": missing, "expires": int(_EXPIRES_S * 1e9)}
        if self._bytes_limit and not self._too_long:
            order["max_bytes"] = self._bytes_limit
        self._too_long = False
        body = json.dumps(order).encode()
        task = asyncio.get_running_loop().create_task(self._publish(body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._rewatch()

    async def _publish(self, body: bytes) -> None:
        with contextlib.suppress(Exception):
            await self._connection.client.publish(self._subject, body, reply=self._inbox)

    def _rewatch(self) -> None:
        if self._watch:
            self._watch.cancel()
        self._watch = asyncio.get_running_loop().call_later(_EXPIRES_S + 2.0, self._silent)

    def _silent(self) -> None:
        self._start_over()

    def _start_over(self) -> None:
        self._on_order = 0
        self.order()

    async def _received(self, message: Msg) -> None:
        headers = message.headers
        if headers and "Status" in headers and not message.reply:
            self._status(headers)
            return
        self._on_order -= 1
        self._deliver(message)
        self.order()

    def _status(self, headers: dict[str, str]) -> None:
        status = headers.get("Status", "")
        text = headers.get("Description", "")
        if status == "100" or text == "Batch Completed":
            return
        left = int(headers.get("Nats-Pending-Messages", "0") or 0)
        self._on_order = max(0, self._on_order - left)
        if "Exceeds MaxBytes" in text:
            # The order is at its end, not the consumer: the rest is ordered anew. Where nothing came of it the next
            # message alone is longer, as foreign servers may allow: that one is ordered without the bound.
            self._too_long = int(headers.get("Nats-Pending-Bytes", "0") or 0) >= self._bytes_limit
            self.order()
            return
        if status in ("404", "408") or "Exceeded" in text or status == "400":
            if status != "408":
                self._on_order = 0
            asyncio.get_running_loop().call_later(0.0 if status == "408" else 0.2, self.order)
            return
        self._on_order = 0
        self._lost(f"{status} {text}".strip())

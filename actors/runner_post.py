"""Short messages that nobody answers: acknowledgements, beats."""

import asyncio
import contextlib
import os
import time

from actors.connection import Connection

ACK = b"+ACK"
WORKING = b"+WPI"
GONE = b"+TERM"


def again(delay_s: float) -> bytes:
    """Return the acknowledgement that asks for redelivery after a delay."""
    return b'-NAK {"delay": %d}' % int(delay_s * 1e9) if delay_s > 0 else b"-NAK"


class Post:
    """Sends in order from one task, so that callbacks may speak too. One asyncio loop."""

    def __init__(self, connection: Connection) -> None:
        self._client = connection.client
        self._waiting: list[tuple[str, bytes]] = []
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to send."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def say(self, subject: str, data: bytes) -> None:
        """Send soon; while the server is away the client keeps it."""
        self._waiting.append((subject, data))
        self._news.set()

    async def stop(self) -> None:
        """Send what is waiting and see that the server has it, within two seconds."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(Exception):
            async with asyncio.timeout(2):
                await self._send()
                await self._client.flush(2)

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            await self._send()

    async def _send(self) -> None:
        self._news.clear()
        waiting, self._waiting = self._waiting, []
        for subject, data in waiting:
            # A message that the client cannot keep is a lost acknowledgement: the task is delivered again.
            with contextlib.suppress(Exception):
                await self._client.publish(subject, data)


def tell(text: str, who: str = "runner") -> None:
    """Write one line to the unit's log; a full disk must not end the runner."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    with contextlib.suppress(OSError):
        os.write(2, f"{stamp} {who}: {text}\n".encode(errors="replace"))

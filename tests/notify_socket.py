"""A service manager's ear: what a node says on NOTIFY_SOCKET."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class NotifySocket:
    """Hears datagrams; `said` keeps all of them, in order."""

    def __init__(self, listener: socket.socket, address: str) -> None:
        self.address = address
        self.said: list[str] = []
        self._listener = listener

    def take(self) -> list[str]:
        """Take what lies there and return everything."""
        while True:
            try:
                self.said.append(self._listener.recv(4096).decode())
            except BlockingIOError:
                return self.said

    async def hears(self, look: Callable[[list[str]], bool], what: str, seconds: float = 60.0) -> None:
        """Wait until what was said is enough."""
        deadline = time.monotonic() + seconds
        while not look(self.take()):
            assert time.monotonic() < deadline, f"expected {what}, got {self.said[-20:]}"
            await asyncio.sleep(0.02)


@contextmanager
def notify_socket(address: str) -> Iterator[NotifySocket]:
    """Listen on a path or, where it begins with @, on an abstract address."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.setblocking(False)
        listener.bind("\0" + address[1:] if address.startswith("@") else address)
        yield NotifySocket(listener, address)

"""One handler host: its process, its socket, and the calls it was given and may have begun.

The runner keeps the process's end of the socket open as well and may read from it: a call that is read back
has not begun and never will, a call that is gone from the socket has. So a crash fails exactly one call.
"""

import asyncio
import json
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from msgspec import Struct

from actors.runner_children import Child
from actors.runner_jobs import Job

PIECE = 64 * 1024
_HEADER = struct.Struct("!IB")
_BUFFER = 1 << 20
# Answers that are taken at a time: one long burst must not hold up the loop.
_BURST = 512
# The longest answer, with all its subtasks.
_LONGEST = 64 * 1024 * 1024
FOUL = -1
# The number of what is no call but a message, as in handler_host.
NOTICE = 0xFFFFFFFF
# So long may a handler be busy with one.
NOTICE_S = 60.0

Told = dict[str, Any]


class Parcel(Struct, eq=False):
    """One call on its way: its tasks, into how many datagrams it was cut, when it came to the front."""

    number: int
    jobs: list[Job]
    pieces: int
    begun: float
    answered: int = 0


class Doom(Struct, frozen=True):
    """Why the runner itself ends a host."""

    kind: Literal["timeout", "exit", "garbage", ""]
    text: str = ""


class Host:
    """One process with its socket and the calls it has been given."""

    def __init__(
        self,
        argv: list[str],
        cwd: str,
        ended: Callable[["Host", int], None],
        slot: int = 0,
        keep: Sequence[int] = (),
    ) -> None:
        """`slot` is its number among its like, `keep` the descriptors that it inherits."""
        self.slot = slot
        self.channel, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self.channel, self.far):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        self.channel.setblocking(False)
        self.parcels: deque[Parcel] = deque()
        self.unsent: deque[bytes] = deque()
        self.heard: list[bytes] = []
        self.notices: deque[tuple[bytes, asyncio.Future[Told]]] = deque()
        self._noticed: asyncio.TimerHandle | None = None
        self.ready = False
        self.full = False
        self.doom: Doom | None = None
        self.timer: asyncio.TimerHandle | None = None
        # Standard output is the runner's standard error: the unit's log, and never a protocol.
        self.child = Child(
            argv,
            cwd,
            lambda code: ended(self, code),
            stdin=self.far.fileno(),
            stdout=2,
            stderr=2,
            keep=keep,
        )

    def notice(self, message: Told) -> "asyncio.Future[Told]":
        """Send a message at the next task edge; no call is sent while one is on its way."""
        answer: asyncio.Future[Told] = asyncio.get_running_loop().create_future()
        self.notices.append((json.dumps(message).encode(), answer))
        self.turn()
        return answer

    def turn(self) -> None:
        """Send the first message if nothing is being executed; a host that never answers it is ended."""
        if self.notices and not self.parcels and self.ready and not self._noticed:
            self.send(NOTICE, self.notices[0][0])
            self._noticed = asyncio.get_running_loop().call_later(NOTICE_S, self._overdue)

    def answered(self, text: bytes) -> bool:
        """Take the answer to the message on its way; False when there is none or it is no answer."""
        try:
            answer = json.loads(text)
        except ValueError:
            return False
        if not self._noticed or not isinstance(answer, dict):
            return False
        self._noticed.cancel()
        self._noticed = None
        _, future = self.notices.popleft()
        if not future.done():
            future.set_result(answer)
        self.turn()
        return True

    def _overdue(self) -> None:
        self.doom = self.doom or Doom(
            "exit", f"expected an answer to a message within {NOTICE_S:g} s, got none"
        )
        self.child.kill()

    def close(self) -> None:
        """Let go of both ends of the socket."""
        if self.timer:
            self.timer.cancel()
        if self._noticed:
            self._noticed.cancel()
        while self.notices:
            future = self.notices.popleft()[1]
            if not future.done():
                future.set_result({"ok": False, "error": "the handler's process ended"})
        asyncio.get_running_loop().remove_reader(self.channel)
        asyncio.get_running_loop().remove_writer(self.channel)
        self.channel.close()
        self.far.close()

    def unread(self) -> dict[int, int]:
        """Take back what the process has not taken: datagrams by number of the call."""
        found: dict[int, int] = {}
        while True:
            try:
                data = self.far.recv(PIECE + _HEADER.size, socket.MSG_DONTWAIT)
            except (BlockingIOError, ConnectionError):
                return found
            if not data:
                return found
            number = _HEADER.unpack_from(data)[0]
            found[number] = found.get(number, 0) + 1

    def send(self, number: int, text: bytes) -> int:
        """Send a call, in pieces when it is long; returns their number, 0 when there is no room now."""
        pieces = [
            _HEADER.pack(number, start + PIECE < len(text)) + text[start : start + PIECE]
            for start in range(0, len(text), PIECE)
        ]
        if len(pieces) > 1 and self.parcels:
            return 0  # Long calls go alone, so that none is ever taken back in part.
        try:
            self.channel.send(pieces[0])
        except (BlockingIOError, ConnectionError):
            return 0
        if len(pieces) > 1:
            self.unsent.extend(pieces[1:])
            asyncio.get_running_loop().add_writer(self.channel, self._send_rest)
        return len(pieces)

    def _send_rest(self) -> None:
        try:
            while self.unsent:
                self.channel.send(self.unsent[0])
                self.unsent.popleft()
        except BlockingIOError:
            return
        except ConnectionError:
            self.unsent.clear()
        asyncio.get_running_loop().remove_writer(self.channel)

    def answers(self) -> Iterator[tuple[int, bytes]]:
        """Take what has been answered: the number of the call and the text; FOUL for what is no answer."""
        for _ in range(_BURST):
            try:
                data = self.channel.recv(PIECE + _HEADER.size)
            except BlockingIOError:
                return
            except ConnectionError:
                data = b""
            if not data:
                asyncio.get_running_loop().remove_reader(self.channel)
                return
            if len(data) < _HEADER.size or sum(map(len, self.heard)) > _LONGEST:
                self.heard.clear()
                yield FOUL, data
                return
            number, more = _HEADER.unpack_from(data)
            text = data[_HEADER.size :]
            if more > 1:
                yield FOUL, data
                return
            if more or self.heard:
                self.heard.append(text)
                if more:
                    continue
                text = b"".join(self.heard)
                self.heard.clear()
            yield number, text

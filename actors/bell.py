"""Wakes the main thread: from any thread and from signals, without ever losing a ring."""

import contextlib
import select
import signal
import socket


class Bell:
    """A socket pair to wait on.

    Waiting for a `threading.Event` loses a signal that comes just before the wait: its handler runs in Python only
    once the wait is over. The interpreter writes each signal to this socket as it comes.
    """

    def __init__(self) -> None:
        self._ear, self._hammer = socket.socketpair()
        self._ear.setblocking(False)
        self._hammer.setblocking(False)

    def hear_signals(self) -> None:
        """Ring for every signal that has a handler. Main thread only."""
        signal.set_wakeup_fd(self._hammer.fileno(), warn_on_full_buffer=False)

    def ring(self) -> None:
        """Wake the one who waits, now or at the next wait."""
        # A full socket rings already.
        with contextlib.suppress(BlockingIOError):
            self._hammer.send(b"\0")

    def wait(self) -> None:
        """Wait for a ring; rings before count, many as one."""
        select.select([self._ear], [], [])
        with contextlib.suppress(BlockingIOError):
            while self._ear.recv(4096):
                pass

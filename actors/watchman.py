"""Notices the end of processes that are nobody's children any more: those whose keeper was killed."""

import fcntl
import os
import selectors
import struct
import threading
import time
from collections.abc import Callable

from msgspec import Struct

from actors.keeper_client import Exit
from actors.process import Identity, Process

# struct pidfd_info of linux/pidfd.h, first version: mask, cgroup, eleven ids, exit code.
_INFO = struct.Struct("=QQ11Ii")
_GET_INFO = 3 << 30 | _INFO.size << 16 | 0xFF << 8 | 11
_INFO_EXIT = 1 << 3  # Linux 6.15 and later, once the process is reaped
_REAPED_WITHIN_S = 0.02
_EXIT_CODE_FIELD = 52  # of /proc/PID/stat

Ended = Callable[[Exit], None]


class Stray(Struct, frozen=True):
    """A living unit without a keeper."""

    unit: str
    generation: int
    nonce: str
    identity: Identity


class Watchman:
    """One thread that waits on pidfds. `ended` is called in it, within about a millisecond of an end.

    How a process ended is told where the kernel tells it; otherwise neither code nor signal is set.
    """

    def __init__(self, ended: Ended) -> None:
        self._ended = ended
        self._held: dict[Identity, Process] = {}
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._bell, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="elf-watchman", daemon=True)
        self._thread.start()

    def watch(self, stray: Stray) -> bool:
        """Wait for the end of this very process; False when it is gone already. Twice is once."""
        with self._lock:
            if stray.identity in self._held:
                return True
            process = Process.open(stray.identity)
            if process is None:
                return False
            self._held[stray.identity] = process
            self._selector.register(process.wait_fd(), selectors.EVENT_READ, stray)
        return True

    def close(self) -> None:
        """End the thread; the processes go on."""
        os.write(self._wake, b"x")
        self._thread.join()
        for process in self._held.values():
            process.close()
        self._selector.close()
        os.close(self._bell)
        os.close(self._wake)

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                self._tell(key.data)

    def _tell(self, stray: Stray) -> None:
        with self._lock:
            process = self._held.pop(stray.identity)
            self._selector.unregister(process.wait_fd())
        with process:
            status = how_it_ended(process)
        code, number = read_status(status)
        self._ended(
            Exit(
                offset=0,
                next=0,
                unit=stray.unit,
                generation=stray.generation,
                nonce=stray.nonce,
                pid=stray.identity.pid,
                start=stray.identity.start,
                code=code,
                signal=number,
                time_us=time.time_ns() // 1000,
                orphan=False,
            )
        )


def how_it_ended(process: Process) -> int | None:
    """Return the wait status of an ended process that is not our child, None if nobody can know it.

    A zombie shows it to its own user and to root, the kernel (6.15 and later) to everybody who holds the pidfd
    of a reaped one. Between the two lies a moment in which neither does.
    """
    deadline = time.monotonic() + _REAPED_WITHIN_S
    while True:
        status = _of_zombie(process.identity)
        if status is None:
            status = _of_reaped(process.wait_fd())
        if status is not None or time.monotonic() > deadline:
            return status
        time.sleep(0.0005)


def read_status(status: int | None) -> tuple[int | None, int | None]:
    """Return code and signal of a wait status; one of them is set unless it is unknown."""
    if status is None:
        return None, None
    if os.WIFSIGNALED(status):
        return None, os.WTERMSIG(status)
    return os.WEXITSTATUS(status), None


def _of_zombie(identity: Identity) -> int | None:
    path = f"/proc/{identity.pid}"
    try:
        if os.geteuid() not in (0, os.stat(path).st_uid):
            return None  # the kernel would show 0 instead of the status
        with open(f"{path}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    if fields[0] != b"Z" or int(fields[19]) != identity.start:
        return None
    return int(fields[_EXIT_CODE_FIELD - 3])


def _of_reaped(descriptor: int) -> int | None:
    info = bytearray(_INFO.pack(_INFO_EXIT, *[0] * 13))
    try:
        fcntl.ioctl(descriptor, _GET_INFO, info)
    except OSError:
        return None  # not reaped yet, or a kernel that does not know the question
    mask, *_, status = _INFO.unpack(info)
    return status if mask & _INFO_EXIT else None

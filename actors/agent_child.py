"""The command an agent runs for one task: a session of its own, watched for progress, ended with its whole tree."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from actors.agent_words import RESULT_LIMIT
from actors.process import Identity, boot_id, start_ticks, sweep

_CHUNK = 64 * 1024
_TAIL = 4000
# What does not fit into a result is kept on the agent's machine, up to here.
KEPT_LIMIT = 64 * 1024 * 1024


class AgentChild:
    """One process at its task. `ended(code)` is called once on the loop; a negative code is a signal's."""

    def __init__(
        self,
        argv: Sequence[str],
        cwd: Path,
        marker: str,
        text: bytes,
        overflow: Path,
        trace: str,
        ended: Callable[[int], None],
    ) -> None:
        """Start it with `text` as its standard input, as part of a `trace`. Raises OSError when it cannot."""
        self._loop = asyncio.get_running_loop()
        self._ended = ended
        self.marker = marker
        self.answer = bytearray()
        self.complaint = b""
        self.output = self.said = 0
        self.overflow = overflow
        self._more: IO[bytes] | None = None
        # A file in memory as standard input: nothing to write later, and no deadlock with what it writes.
        task = os.memfd_create("task")
        os.write(task, text)
        os.lseek(task, 0, os.SEEK_SET)
        try:
            self.popen = subprocess.Popen(
                argv,
                cwd=cwd,
                stdin=task,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=os.environ | {"ELF_UNIT": marker} | ({"TRACEPARENT": trace} if trace else {}),
                start_new_session=True,
                bufsize=0,
            )
        finally:
            os.close(task)
        self.pid = self.popen.pid
        self.identity = Identity(boot_id(), self.pid, start_ticks(self.pid) or 0)
        self._pidfd = os.pidfd_open(self.pid)
        self._loop.add_reader(self._pidfd, self._exited)
        assert self.popen.stdout is not None
        assert self.popen.stderr is not None
        self._out, self._err = self.popen.stdout, self.popen.stderr
        for stream, take in ((self._out, self._read_answer), (self._err, self._read_complaint)):
            os.set_blocking(stream.fileno(), False)
            self._loop.add_reader(stream, take)

    @property
    def lives(self) -> bool:
        """Whether it has not been reaped yet."""
        return self.popen.returncode is None

    def kill(self) -> None:
        """End it and everything below it, what left its session included."""
        sweep(self.marker, signal.SIGKILL, self.pid if self.lives else 0, self.identity.start)

    def _read_answer(self) -> bool:
        data = _read(self._out.fileno())
        if not data:
            if data is not None:
                self._loop.remove_reader(self._out)
            return False
        self.output += len(data)
        if self.output <= RESULT_LIMIT:
            self.answer += data
        else:
            self._keep(data)
        return True

    def _keep(self, data: bytes) -> None:
        """Beyond the limit of a result its bytes go to a file, the first ones included."""
        with contextlib.suppress(OSError):
            if self._more is None:
                self.overflow.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._more = self.overflow.open("wb", buffering=0)
                self._more.write(self.answer)
            if self._more.tell() + len(data) <= KEPT_LIMIT:
                self._more.write(data)

    def _read_complaint(self) -> bool:
        data = _read(self._err.fileno())
        if not data:
            if data is not None:
                self._loop.remove_reader(self._err)
            return False
        self.said += len(data)
        with contextlib.suppress(OSError):  # a full disk must not end the agent
            os.write(2, data)
        self.complaint = (self.complaint + data)[-_TAIL:]
        return True

    def _exited(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        _, status, _ = os.wait4(self.pid, 0)
        self.popen.returncode = os.waitstatus_to_exitcode(status)
        # What it left behind ends with it, wherever that has gone.
        sweep(self.marker, signal.SIGKILL)
        for _ in range(KEPT_LIMIT // _CHUNK):
            if not self._read_answer():
                break
        for _ in range(16):
            if not self._read_complaint():
                break
        for stream in (self._out, self._err):
            self._loop.remove_reader(stream)
            stream.close()
        if self._more is not None:
            self._more.close()
        self._ended(self.popen.returncode)


def _read(descriptor: int) -> bytes | None:
    """Return what is there, nothing at the end, None when nothing is there yet."""
    try:
        return os.read(descriptor, _CHUNK)
    except BlockingIOError:
        return None

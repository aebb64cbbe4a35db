"""One run of a job: a command in a session of its own, its output read as it comes, ended when its time is over."""

import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from actors.process import Identity, boot_id, start_ticks
from actors.processes import Processes

OUTPUT_LIMIT = 256 * 1024
_TAIL = 4000
_CHUNK = 64 * 1024
_TERM_S = 5.0
# Output that descendants still hold back after the command's own end is not waited for longer.
_DRAIN_S = 0.5
_MAIN = Path(__file__).resolve().parents[1] / "__main__.py"


class Order(Struct, frozen=True, kw_only=True):
    """What to run. `marker` becomes ELF_UNIT of everything it starts."""

    argv: Sequence[str]
    cwd: str
    env: Mapping[str, str]
    marker: str
    timeout_s: float


class Ending(Struct, frozen=True, kw_only=True):
    """How it ended. `output` is its standard output up to a limit, `tail` the end of all it said."""

    code: int | None = None
    signal: int | None = None
    timed_out: bool = False
    stopped: bool = False
    refused: str = ""
    took_ms: int = 0
    output: str = ""
    tail: str = ""


class Run:
    """A command under way; `wait` blocks in a thread of its own, `stop` may be called from any."""

    def __init__(self, order: Order, processes: Processes) -> None:
        self._order = order
        self._processes = processes
        self._stop = threading.Event()
        self._output = bytearray()
        self._tail = b""

    def stop(self) -> None:
        """Let it be ended now."""
        self._stop.set()

    def wait(self) -> Ending:
        """Run it to its end; nothing that it started is left."""
        began = time.monotonic()
        try:
            process = subprocess.Popen(
                program_of(self._order.argv),
                cwd=self._order.cwd or None,
                env={**self._order.env, "ELF_UNIT": self._order.marker},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as problem:
            text = f"expected to start {self._order.argv[0]}, got: {problem.strerror or problem}"
            return Ending(refused=text, tail=text)
        session = Identity(boot_id(), process.pid, start_ticks(process.pid) or 0)
        timed_out = self._read(process, began + self._order.timeout_s)
        self._processes.sweep(self._order.marker, signal.SIGKILL, session)
        code = process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()
        return Ending(
            code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            timed_out=timed_out,
            stopped=self._stop.is_set() and not timed_out,
            took_ms=int((time.monotonic() - began) * 1000),
            output=self._output.decode("utf-8", "replace"),
            tail=self._tail.decode("utf-8", "replace"),
        )

    def _read(self, process: "subprocess.Popen[bytes]", deadline: float) -> bool:
        """Read until the command has ended; tells whether its time was over before that."""
        timed_out = False
        ended_at = asked_at = 0.0
        with selectors.DefaultSelector() as selector:
            for stream in (process.stdout, process.stderr):
                assert stream
                os.set_blocking(stream.fileno(), False)
                selector.register(stream, selectors.EVENT_READ, stream is process.stdout)
            while True:
                for key, _ in selector.select(0.1) if selector.get_map() else []:
                    if not self._take(key.fd, keep=key.data):
                        selector.unregister(key.fileobj)
                now = time.monotonic()
                if process.poll() is not None:
                    ended_at = ended_at or now
                    if not selector.get_map() or now - ended_at > _DRAIN_S:
                        return timed_out
                    continue
                if not selector.get_map():
                    time.sleep(0.02)
                if not asked_at and (now >= deadline or self._stop.is_set()):
                    timed_out = now >= deadline
                    asked_at = now
                    # It is not waited for yet, so the number of its group is still its own.
                    os.killpg(process.pid, signal.SIGTERM)
                elif asked_at and now - asked_at > (_TERM_S if timed_out else 1.0):
                    os.killpg(process.pid, signal.SIGKILL)

    def _take(self, descriptor: int, keep: bool) -> bool:
        """Take what is there; False at the end."""
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return True
        if keep and len(self._output) < OUTPUT_LIMIT:
            self._output += data[: OUTPUT_LIMIT - len(self._output)]
        self._tail = (self._tail + data)[-_TAIL:]
        return bool(data)


def program_of(argv: Sequence[str]) -> list[str]:
    """Return the command with `elf` as this very installation."""
    if argv[0] == "elf":
        return [sys.executable, str(_MAIN), *argv[1:]]
    return list(argv)

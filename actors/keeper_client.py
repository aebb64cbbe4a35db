"""Talk to the keeper from any thread: start units, list them, read and watch their exits."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from actors.process import Identity

PROGRAM = Path(__file__).with_name("keeper.py")
ANSWER_WITHIN = 10.0  # seconds; the keeper answers in milliseconds unless its disk hangs or it is stopped
START_WITHIN = 20.0  # seconds; it takes milliseconds unless the machine is overloaded

T = TypeVar("T")


class KeeperGone(ConnectionError):
    """No keeper answers in this folder."""


class KeeperRefused(OSError):
    """The keeper understood a request and said no."""


class StartRefused(KeeperRefused):
    """A unit could not be started and nothing of it was left behind; `errno` and `strerror` say why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StartRequest:
    """Everything the keeper needs to start a unit; `env` is its complete environment, ELF_UNIT included.

    A relative `log` lies in the keeper's folder. The secret travels through a pipe whose descriptor number
    the unit finds in ELF_SECRET_FD; what may be secret is kept out of the representation. `notify` is the pipe by
    which the unit says more, kept open as long as it lives.
    """

    unit: str
    generation: int
    nonce: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(repr=False)
    cwd: str
    log: str
    secret: str | None = field(default=None, repr=False)
    notify: str = ""


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """The pid of a new unit and its start time (clock ticks since boot)."""

    pid: int
    start: int


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """One living unit, as the keeper knows it."""

    unit: str
    generation: int
    nonce: str
    pid: int
    start: int
    log: str


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """One ended child of the keeper: `code` or `signal` is set, `next` is the offset after this record.

    An orphan is a grandchild that lost its parent: only its pid and its end are known.
    """

    offset: int
    next: int
    unit: str
    generation: int
    nonce: str
    pid: int
    start: int
    code: int | None
    signal: int | None
    time_us: int
    orphan: bool


class _Listing(msgspec.Struct):
    units: list[Unit]
    keeper: Identity


class _Exits(msgspec.Struct):
    exits: list[Exit]
    next: int


class _Done(msgspec.Struct):
    ok: bool


class _Refusal(msgspec.Struct):
    ok: bool
    error: str = ""
    errno: int = 0


class _Pushed(msgspec.Struct):
    exit: Exit


def _connect(run_dir: Path) -> socket.socket:
    """Connect through the folder's descriptor, because an address holds only 108 bytes of path."""
    sock = socket.socket(socket.AF_UNIX)
    try:
        folder = os.open(run_dir, os.O_PATH | os.O_DIRECTORY)
        try:
            sock.settimeout(ANSWER_WITHIN)
            sock.connect(f"/proc/self/fd/{folder}/keeper.sock")
        finally:
            os.close(folder)
    except OSError as error:
        sock.close()
        raise KeeperGone(
            f"expected a keeper in {run_dir}, got {error.strerror or error}; try starting one"
        ) from error
    return sock


def _lines(sock: socket.socket) -> Iterator[bytes]:
    """Lines as they come; ends with KeeperGone, never quietly."""
    buffer = bytearray()
    while True:
        try:
            data = sock.recv(1 << 18)
        except OSError as error:
            raise KeeperGone(
                f"expected an answer from the keeper, got {error}; try attaching again"
            ) from error
        if not data:
            raise KeeperGone("expected an answer from the keeper, got the end; try attaching again")
        *complete, buffer = (buffer + data).split(b"\n")
        yield from map(bytes, complete)


class _Line:
    """One connection, one request at a time."""

    def __init__(self, run_dir: Path) -> None:
        self.sock = _connect(run_dir)
        self.answers = _lines(self.sock)
        self.numbers = itertools.count(1)

    def call(self, do: str, kind: type[T], **fields: object) -> T:
        request = {"n": next(self.numbers), "do": do, **fields}
        try:
            self.sock.sendall(msgspec.json.encode(request) + b"\n")
        except OSError as error:
            raise KeeperGone(f"expected a keeper that listens, got {error}; try attaching again") from error
        line = next(self.answers, None)
        if line is None:
            raise KeeperGone("expected an answer from the keeper, got none before; try attaching again")
        verdict = msgspec.json.decode(line, type=_Refusal)
        if not verdict.ok:
            raise KeeperRefused(verdict.errno, verdict.error)
        return msgspec.json.decode(line, type=kind)


class Keeper:
    """A connection to the living keeper of one folder; every method may be called from any thread.

    A call blocks until the keeper answers (milliseconds) and raises KeeperGone when there is none any more or
    it hangs; the next call connects again, watches that were lost stay lost.
    """

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._lock = threading.Lock()
        self._line = _Line(run_dir)
        self._watches: list[tuple[socket.socket, threading.Thread]] = []
        self._closed = self._broken = False
        try:
            self.identity = self._line.call("list", _Listing).keeper
        except BaseException:
            self._line.sock.close()
            raise

    @classmethod
    def attach(cls, run_dir: Path) -> Keeper:
        return cls(run_dir)

    @classmethod
    def ensure(cls, run_dir: Path, python: str = sys.executable) -> tuple[Keeper, bool]:
        """Attach to this folder's keeper, starting one that outlives us if none lives (then True)."""
        deadline = time.monotonic() + START_WITHIN
        started = False
        while True:
            try:
                return cls(run_dir), started
            except KeeperGone:
                if time.monotonic() > deadline:
                    raise
            # Fails while another one holds the lock: one that is about to serve, or about to quit.
            started = _launch(run_dir, python)
            if not started:
                time.sleep(0.02)

    def start(self, request: StartRequest) -> Started:
        fields = {name: getattr(request, name) for name in StartRequest.__slots__}
        try:
            return self._call("start", Started, **fields)
        except KeeperRefused as error:
            raise StartRefused(error.errno, error.strerror) from None

    def units(self) -> list[Unit]:
        return self._call("list", _Listing).units

    def exits(self, after: int) -> list[Exit]:
        """All exits on disk from this offset on (0 or the `next` of a record)."""
        found: list[Exit] = []
        while True:
            page = self._call("exits", _Exits, after=after)
            found += page.exits
            if page.next == after:
                return found
            after = page.next

    def watch(self, after: int, callback: Callable[[Exit], None], lost: Callable[[], None]) -> None:
        """Call back for every exit from this offset on, past and future, without a gap.

        Both functions run in a daemon thread of this watch. `lost` is called once when the keeper is gone or
        the callback raised, not after `close`.
        """
        line = _Line(self._run_dir)
        line.call("watch", _Done, after=after)
        line.sock.settimeout(None)

        def listen() -> None:
            with closing(line.sock), suppress(KeeperGone):
                try:
                    for pushed in line.answers:
                        callback(msgspec.json.decode(pushed, type=_Pushed).exit)
                finally:
                    if not self._closed:
                        lost()

        thread = threading.Thread(target=listen, name="keeper-watch", daemon=True)
        self._watches.append((line.sock, thread))
        thread.start()

    def quit(self, force: bool = False) -> None:
        """End the keeper and wait until it has; refused while units live, unless forced to leave them."""
        self._call("quit", _Done, force=force)
        with self._lock, suppress(KeeperGone):
            next(self._line.answers, None)

    def close(self) -> None:
        """Drop all connections; the keeper and its units go on."""
        self._closed = True
        for sock in (self._line.sock, *(sock for sock, _ in self._watches)):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits in it, which close would not
        self._line.sock.close()
        for _, thread in self._watches:
            if thread is not threading.current_thread():
                thread.join()

    def _call(self, do: str, kind: type[T], **fields: object) -> T:
        with self._lock:
            if self._broken:
                line, self._line = self._line, _Line(self._run_dir)
                line.sock.close()
                self._broken = False
            try:
                return self._line.call(do, kind, **fields)
            except KeeperGone:
                self._broken = True
                raise


def _launch(run_dir: Path, python: str) -> bool:
    """Start a keeper in a session of its own; True once it serves, False if another one holds the folder."""
    run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    command = [python, "-I", "-S", "-X", "utf8", str(PROGRAM), "--dir", str(run_dir), "--detach"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("ELF_")}
    log = os.open(run_dir / "keeper.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=env,
            timeout=START_WITHIN,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KeeperGone(
            f"expected a new keeper in {run_dir}, got {error}; try reading keeper.log"
        ) from error
    finally:
        os.close(log)
    return done.returncode == 0

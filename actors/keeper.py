"""Parent of every unit: starts them, reaps them and keeps their exits on disk, so that all outlive the node.

Runs as `python -I -S keeper.py --dir RUN_DIR [--detach]`: standard library alone, one thread, no policy.
RUN_DIR/keeper.sock speaks one JSON object a line: {"n": 1, "do": "start|list|exits|watch|quit", …}.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import selectors
import signal
import socket
import sys
import termios
import time
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:  # the import would cost memory
    from typing import Any

LINE_LIMIT = 4 << 20
CHUNK = 256 << 10  # bytes read at a time, also what a client may leave unread; an exit record is far smaller
FULL = 32 << 10  # bytes unread in a unit's pipe, half of what it holds
KINDS = {"unit": str, "generation": int, "nonce": str, "argv": list, "env": dict, "cwd": str, "log": str}
DEFAULTS = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}


def say(text: str) -> None:
    """Write one line to the keeper's own log; a full disk must not end the parent of all units."""
    with suppress(OSError):
        os.write(2, f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} keeper {os.getpid()}: {text}\n".encode())


def start_ticks(pid: int) -> int:
    """Field 22 of /proc/PID/stat: start time in clock ticks since boot."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[19])


class ExitFile:
    """The append-only file of exits; clients see records below `durable`, the offset known to be on disk."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self.end = size = os.fstat(self.fd).st_size
        while self.end and os.pread(self.fd, 1, self.end - 1) != b"\n":  # torn by a crash
            base = max(0, self.end - CHUNK)
            self.end = base + os.pread(self.fd, self.end - base, base).rfind(b"\n") + 1
        if size > self.end:
            say(f"cut a torn line of {size - self.end} bytes from {path}")
            os.ftruncate(self.fd, self.end)
        os.fsync(self.fd)
        self.durable = self.end

    def append(self, record: dict[str, Any]) -> None:
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        if os.pwrite(self.fd, line, self.end) != len(line):
            raise OSError(errno.ENOSPC, "the disk took a part of an exit record")
        self.end += len(line)

    def sync(self) -> None:
        if self.durable < self.end:
            os.fdatasync(self.fd)
            self.durable = self.end

    def read(self, after: int) -> tuple[list[dict[str, Any]], int]:
        """Records from offset `after` on, at most one chunk of them, and the offset to ask from next."""
        if not 0 <= after <= self.durable or (after and os.pread(self.fd, 1, after - 1) != b"\n"):
            raise ValueError(f"expected after to be an offset handed out earlier, got {after}; try 0")
        data = os.pread(self.fd, min(CHUNK, self.durable - after), after)
        records = []
        for line in data[: data.rfind(b"\n") + 1].splitlines(keepends=True):
            at, after = after, after + len(line)
            with suppress(ValueError, TypeError):  # a damaged record is passed over
                records.append({"offset": at, "next": after, **json.loads(line)})
        return records, after


def spawn(request: dict[str, Any], home: int) -> int:
    """Start the requested program in a session of its own; leaves nothing behind on failure."""
    path, argv, env, pid = request["log"], request["argv"], dict(request["env"]), 0
    made = not os.path.lexists(path)
    log = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)  # read-write: a FIFO cannot block us
    held = [log]
    try:
        if (secret := request.get("secret")) is not None:
            held += os.pipe()
            os.set_blocking(held[2], False)
            if os.write(held[2], secret.encode()) != len(secret.encode()):
                raise OSError(errno.E2BIG, "expected a secret that fits into a pipe; try a file")
            os.set_inheritable(held[1], True)
            env["ELF_SECRET_FD"] = str(held[1])
        os.chdir(request["cwd"])
        os.environ["PATH"] = env.get("PATH", os.defpath)  # where posix_spawnp looks
        files = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), (dup := os.POSIX_SPAWN_DUP2, log, 1)]
        if request.get("notify"):  # the unit itself holds its pipe, too, whatever becomes of us
            files.append((os.POSIX_SPAWN_OPEN, 3, request["notify"], os.O_RDWR, 0))
        clean: dict[str, Any] = {"setsid": True, "setsigmask": (), "setsigdef": DEFAULTS}
        pid = os.posix_spawnp(argv[0], argv, env, file_actions=[*files, (dup, log, 2)], **clean)
        return pid
    finally:
        os.fchdir(home)
        for fd in held:
            os.close(fd)
        if made and not pid:
            os.unlink(path)


class Client:
    """One connection: bytes not yet understood, bytes not yet sent, the offset watched from (-1: none)."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self.closed, self.watch = sock, False, -1
        self.inbox, self.outbox = bytearray(), bytearray()


class Keeper:
    """The loop: signals and requests in, units and exit records out; asleep while nothing happens."""

    def __init__(self, home: int) -> None:
        self.units: dict[int, dict[str, Any]] = {}
        self.pipes: dict[int, int] = {}
        self.clients: set[Client] = set()
        self.stuck = self.done = False
        self.home, self.exits = home, ExitFile("exits.jsonl")
        with open("/proc/sys/kernel/random/boot_id") as file:
            boot = file.read().strip()
        self.me = {"pid": os.getpid(), "start": start_ticks(os.getpid()), "boot": boot, "version": 1}
        self.wake, self.bell = socket.socketpair()
        self.bell.setblocking(False)
        signal.set_wakeup_fd(self.bell.fileno(), warn_on_full_buffer=False)
        for name in "CHLD HUP INT TERM QUIT USR1 USR2 ALRM".split():  # SIG_IGN would be inherited
            signal.signal(getattr(signal, f"SIG{name}"), lambda *_: None)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        with suppress(FileNotFoundError):
            os.unlink("keeper.sock")
        self.door, mask = socket.socket(socket.AF_UNIX), os.umask(0o177)
        self.door.bind("keeper.sock")
        with open("keeper.json.new", "w") as file:
            json.dump(self.me, file)
        os.rename("keeper.json.new", "keeper.json")
        os.umask(mask)
        os.fsync(home)
        self.door.listen(100)
        self.selector = selectors.DefaultSelector()
        for sock in (self.wake, self.door):
            sock.setblocking(False)
            self.selector.register(sock, selectors.EVENT_READ)

    def run(self) -> None:
        while not self.done:
            alone = self.pipes and all(client.watch < 0 for client in self.clients)
            ready = self.selector.select(1.0 if self.stuck or alone else None)  # asleep without a reason
            self.reap()
            if alone:
                self.drain()
            for key, mask in ready:
                if key.fileobj is self.door:
                    self.accept()
                elif key.data is not None and mask & selectors.EVENT_READ:
                    self.receive(key.data)
            for client in [c for c in self.clients if c.outbox or c.closed or c.watch >= 0]:
                self.send(client)

    def reap(self) -> None:
        """Record all that ended and fsync once; what the disk refuses is tried again in a second."""
        with suppress(BlockingIOError):
            for sig in set(self.wake.recv(4096)) - {signal.SIGCHLD}:
                say(f"stays in spite of {signal.Signals(sig).name}; try quit")
        self.stuck = False
        for step in (self.collect, self.exits.sync):
            try:
                step()
            except OSError as error:
                self.stuck = True
                say(f"cannot keep exit records, tries again in a second: {error}")

    def collect(self) -> None:
        """Free each ended child, but only after its record is written."""
        with suppress(ChildProcessError):
            while info := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                unit = self.units.get(info.si_pid, {"unit": "", "generation": 0, "nonce": "", "start": 0})
                record = {key: unit[key] for key in ("unit", "generation", "nonce", "start")}
                ended = ("code", "signal") if info.si_code == os.CLD_EXITED else ("signal", "code")
                record |= {"pid": info.si_pid, ended[0]: info.si_status, ended[1]: None}
                record |= {"time_us": time.time_ns() // 1000, "orphan": info.si_pid not in self.units}
                self.exits.append(record)
                os.waitid(os.P_PID, info.si_pid, os.WEXITED)
                self.units.pop(info.si_pid, None)
                if info.si_pid in self.pipes:
                    os.close(self.pipes.pop(info.si_pid))

    def drain(self) -> None:
        """Forget what nobody reads while the node is away: a unit must not hang on a full pipe."""
        for pipe in self.pipes.values():
            if int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder) > FULL:
                with suppress(BlockingIOError):  # a node that has just come was quicker
                    os.read(pipe, CHUNK)

    def accept(self) -> None:
        with suppress(OSError):
            client = Client(self.door.accept()[0])
            client.sock.setblocking(False)
            client.closed = len(self.clients) >= 100  # far below the limit of descriptors
            self.clients.add(client)
            self.selector.register(client.sock, selectors.EVENT_READ, client)

    def receive(self, client: Client) -> None:
        data = b""
        with suppress(OSError):
            data = client.sock.recv(CHUNK)
        client.closed = not data
        *lines, client.inbox = (client.inbox + data).split(b"\n")
        del client.inbox[LINE_LIMIT + 1 :]  # enough to see that it is too long
        for line in lines:
            answer: dict[str, Any] = {"n": None}
            try:
                if len(line) > LINE_LIMIT or not isinstance(request := json.loads(line), dict):
                    raise ValueError(f"expected a JSON object of at most {LINE_LIMIT} bytes")
                answer["n"] = request.get("n")
                answer |= {"ok": True, **self.answer(client, request)}
            except Exception as error:
                answer |= {"ok": False, "error": str(error), "errno": getattr(error, "errno", errno.EINVAL)}
            client.outbox += json.dumps(answer).encode() + b"\n"

    def send(self, client: Client) -> None:
        """Send what is due, watched exits too, as far as the client reads; drop a client that is gone."""
        try:
            with suppress(BlockingIOError):
                while not client.closed:
                    if client.watch >= 0 and len(client.outbox) < CHUNK:
                        records, client.watch = self.exits.read(client.watch)
                        client.outbox += b"".join(json.dumps({"exit": r}).encode() + b"\n" for r in records)
                    if not client.outbox:
                        break
                    del client.outbox[: client.sock.send(client.outbox[:CHUNK])]
        except OSError:
            client.closed = True
        if client.closed:
            self.clients.discard(client)
            self.selector.unregister(client.sock)
            client.sock.close()
        else:
            mask = selectors.EVENT_READ if len(client.outbox) < CHUNK else 0
            self.selector.modify(client.sock, mask | (selectors.EVENT_WRITE if client.outbox else 0), client)

    def answer(self, client: Client, request: dict[str, Any]) -> dict[str, Any]:
        match request:
            case {"do": "start"}:
                return self.start(request)
            case {"do": "list"}:
                return {"units": list(self.units.values()), "keeper": self.me}
            case {"do": "exits", "after": int(after)}:
                return dict(zip(("exits", "next"), self.exits.read(after), strict=True))
            case {"do": "watch", "after": int(after)}:
                self.exits.read(after)
                client.watch = after
            case {"do": "quit"}:
                names = sorted(unit["unit"] for unit in self.units.values())
                if names and request.get("force") is not True:
                    raise OSError(errno.EBUSY, f"expected no living units, got {names}; try stopping them")
                self.done = True
            case _:
                raise ValueError("expected do: start, list, exits or watch (with after) or quit; try list")
        return {}

    def start(self, request: dict[str, Any]) -> dict[str, Any]:
        for key, kind in KINDS.items():
            if not isinstance(request.get(key), kind):
                raise ValueError(f"expected {key} to be {kind.__name__}; try the fields {', '.join(KINDS)}")
        unit = {key: request[key] for key in ("unit", "generation", "nonce")}
        if len(unit["unit"] + unit["nonce"]) > 2000:
            raise ValueError("expected unit and nonce of at most 2000 characters; try shorter ones")
        if any(unit.items() <= other.items() for other in self.units.values()):
            raise FileExistsError(errno.EEXIST, "this very start lives already", unit["unit"])
        pid = spawn(request, self.home)
        if request.get("notify"):
            with suppress(OSError):
                self.pipes[pid] = os.open(request["notify"], os.O_RDWR | os.O_NONBLOCK)
        start = start_ticks(pid)  # still there even if it ended: nobody has reaped it
        self.units[pid] = unit | {"pid": pid, "start": start, "log": request["log"]}
        return {"pid": pid, "start": start}


def main(argv: list[str]) -> int:
    if len(argv) < 2 or argv[0] != "--dir" or argv[2:] not in ([], ["--detach"]):
        say(f"expected --dir RUN_DIR [--detach], got {argv}; try --dir run")
        return 2
    while os.open("/dev/null", os.O_RDWR) < 2:
        pass  # a closed standard descriptor would be given to a file
    home = os.open(argv[1], os.O_RDONLY | os.O_DIRECTORY)
    os.chdir(home)  # the socket's path may be longer than an address may be
    reader, ready = os.pipe()
    if argv[2:]:  # the parent leaves when one byte tells that the child serves
        if os.fork():
            os.close(ready)
            return 0 if os.read(reader, 1) else 1
        os.setsid()
    lock = os.open("keeper.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(f"expected to be the only keeper, got a living one in {argv[1]}; try attaching to it")
        return 1
    if ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0):  # PR_SET_CHILD_SUBREAPER
        raise OSError(ctypes.get_errno(), "cannot become a subreaper")
    keeper = Keeper(home)
    os.write(ready, b"1")
    keeper.run()
    os.unlink("keeper.sock")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

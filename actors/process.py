"""Identity of processes and action on them: what we hold is a pidfd, so a reused pid is never touched."""

from __future__ import annotations

import functools
import os
import resource
import select
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = resource.getpagesize()
PIDFD_SIGNAL_PROCESS_GROUP = 1 << 2  # Linux 6.9 and later
EXEC_YIELDS = 1000  # about 10 ms
ROUNDS = 100  # sweeps before giving up on a family that forks faster than we kill


class Identity(msgspec.Struct, frozen=True):
    """One process for ever: boot id, pid, start time in clock ticks since boot (field 22 of its stat)."""

    boot: str
    pid: int
    start: int


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a unit: `status` of its main process, the rest summed over its tree.

    `cpu_s` counts user and system seconds, waited-for children included, so that it does not fall when one
    ends. `rss` (bytes) is the kernel's quick count: shared pages count once for each process. `fds` is -1 if
    the main process's are unreadable. `zombies` have ended and were not waited for.
    """

    status: str
    cpu_s: float
    rss: int
    threads: int
    processes: int
    fds: int
    zombies: int = 0


class Stat(msgspec.Struct, frozen=True):
    """What we read of /proc/PID/stat; times in clock ticks, rss in pages."""

    pid: int
    state: str
    ppid: int
    session: int
    cpu: int
    threads: int
    start: int
    rss: int


@functools.cache
def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _read(path: str, size: int) -> bytes:
    """At most `size` bytes of a file of /proc in one read; nothing if the process is gone or hidden."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, size)
    except OSError:
        return b""
    finally:
        os.close(fd)


def read_stat(pid: int) -> Stat | None:
    """The process as it is now, None if there is none."""
    field = (
        _read(f"/proc/{pid}/stat", 4096).rpartition(b")")[2].split()
    )  # its name may hold blanks and brackets
    if len(field) < 22:
        return None
    return Stat(
        pid=pid,
        state=field[0].decode("ascii"),
        ppid=int(field[1]),
        session=int(field[3]),
        cpu=int(field[11]) + int(field[12]) + int(field[13]) + int(field[14]),
        threads=int(field[17]),
        start=int(field[19]),
        rss=int(field[21]),
    )


def start_ticks(pid: int) -> int | None:
    stat = read_stat(pid)
    return stat.start if stat else None


def scan() -> dict[int, Stat]:
    """Every process that could be read in one walk over /proc."""
    stats = (read_stat(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return {stat.pid: stat for stat in stats if stat}


class Process:
    """A living process held by its pidfd; every action says whether it reached anything."""

    def __init__(self, identity: Identity, fd: int) -> None:
        self.identity = identity
        self._fd = fd

    @classmethod
    def open(cls, identity: Identity) -> Process | None:
        """Hold this very process; None if it ended (as a zombie has) or the pid is another's now."""
        try:
            fd = os.pidfd_open(identity.pid)
        except OSError:
            return None
        process = cls(identity, fd)
        # Only now: from here on the descriptor cannot come to mean another process.
        if identity.boot == boot_id() and start_ticks(identity.pid) == identity.start and process.alive():
            return process
        process.close()
        return None

    def signal(self, sig: int) -> bool:
        try:
            signal.pidfd_send_signal(self._fd, sig)
        except ProcessLookupError:
            return False
        return True

    def signal_group(self, sig: int, marker: str = "") -> bool:
        """Signal the group this session leader leads, even after its death; if it is empty, by marker.

        Kernels before 6.9 cannot address a group by pidfd: there the group is signalled only while the leader
        lives (its pid cannot be reused then), else everybody with the marker.
        """
        try:
            signal.pidfd_send_signal(self._fd, sig, None, PIDFD_SIGNAL_PROCESS_GROUP)
            return True
        except ProcessLookupError:
            reached = False
        except OSError:
            reached = self._signal_group_by_number(sig)
        return reached or bool(marker and sweep(marker, sig))

    def _signal_group_by_number(self, sig: int) -> bool:
        if not self.alive():
            return False
        with suppress(ProcessLookupError):
            os.killpg(self.identity.pid, sig)
            return True
        return False

    def alive(self) -> bool:
        """Whether any of its threads still runs; a pidfd turns readable when the last one ended."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return not poll.poll(0)

    def wait_fd(self) -> int:
        """The pidfd itself, to be watched for reading: readable means ended."""
        return self._fd

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _environment(pid: int) -> bytes:
    """The environment, nothing if it has none, ended or is hidden.

    In the middle of exec the kernel shows an empty one for microseconds: a fresh unit would be overlooked.
    """
    try:
        fd = os.open(f"/proc/{pid}/environ", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        for _ in range(EXEC_YIELDS):
            data = _all_of(fd)
            if data or not _in_exec(pid):
                return data
            os.sched_yield()
    except OSError:
        pass
    finally:
        os.close(fd)
    return b""


def _all_of(fd: int) -> bytes:
    """Read in pieces: room for the longest environment that may be (2 MiB) is rarely needed."""
    data = b""
    while len(piece := os.pread(fd, 1 << 16, len(data))) == 1 << 16:
        data += piece
    return data + piece


def _in_exec(pid: int) -> bool:
    """Whether it has memory (field 23) that holds no environment yet (field 51, its end)."""
    field = _read(f"/proc/{pid}/stat", 4096).rpartition(b")")[2].split()
    return len(field) > 48 and field[0] not in {b"Z", b"X"} and field[20] != b"0" and field[48] == b"0"


def _carries(pid: int, marker: str) -> bool:
    """Whether its environment holds ELF_UNIT with this marker or a longer one that goes on after a colon."""
    _, found, rest = (b"\0" + _environment(pid)).partition(b"\0ELF_UNIT=")
    return bool(found) and (rest.partition(b"\0")[0] + b":").startswith(marker.rstrip(":").encode() + b":")


def marker_of(pid: int) -> str:
    """The process's ELF_UNIT; empty if it has none, overwrote it or ended."""
    rest = (b"\0" + _environment(pid)).partition(b"\0ELF_UNIT=")[2]
    return rest.partition(b"\0")[0].decode("ascii", "replace")


def marked(marker: str) -> list[int]:
    """Pids that carry the marker "node:unit:generation:nonce" or a prefix of it, cut at a colon.

    Zombies have no environment any more and are left out; a program may overwrite its own (see `members`).
    """
    _expect(marker)
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and _carries(int(name), marker)]


def leader(marker: str) -> Identity | None:
    """The process with this marker that leads its session, as every unit's main process does."""
    for pid in marked(marker):
        stat = read_stat(pid)
        if stat and stat.session == pid and stat.state not in "ZX":
            return Identity(boot_id(), pid, stat.start)
    return None


def descendants(pid: int) -> list[int]:
    """Living children, their children and so on, without the process itself."""
    table = scan()
    return sorted(_below({pid}, table) - {pid})


def members(marker: str, session_pid: int, start: int | None = None) -> list[int]:
    """Every living process of a unit: it carries the marker, is in its session, or descends from such a one.

    `session_pid` is the unit's main process, alive or not; with its `start` ticks a reused pid is told apart.
    """
    return sorted(_family(marker, session_pid, start))


def sweep(marker: str, sig: int, session_pid: int = 0, start: int | None = None) -> list[int]:
    """Signal every member once, again and again until no new one is found; returns the pids reached.

    Each is opened by pidfd and must still be the process that was found; one we may not signal is left out.
    """
    tried: set[tuple[int, int]] = set()
    reached: list[int] = []
    for _ in range(ROUNDS):
        family = _family(marker, session_pid, start)
        fresh = [stat for stat in family.values() if (stat.pid, stat.start) not in tried]
        for stat in fresh:
            tried.add((stat.pid, stat.start))
            if _signal_one(stat, sig):
                reached.append(stat.pid)
        if not fresh:
            break
    return reached


def _signal_one(stat: Stat, sig: int) -> bool:
    process = Process.open(Identity(boot_id(), stat.pid, stat.start))
    if process is None:
        return False
    with process, suppress(PermissionError):
        return process.signal(sig)
    return False


def _expect(marker: str) -> None:
    if not marker.strip(":"):
        raise ValueError("expected a marker like node:unit:3:, got an empty one; try the unit's name")


def _below(roots: set[int], table: Mapping[int, Stat]) -> set[int]:
    """The roots and everything under them; zombies are passed through but left out, unless they are roots."""
    children: dict[int, list[int]] = {}
    for stat in table.values():
        children.setdefault(stat.ppid, []).append(stat.pid)
    found, waiting = set(roots), list(roots)
    while waiting:
        for pid in children.get(waiting.pop(), ()):
            if pid not in found:
                found.add(pid)
                waiting.append(pid)
    return {pid for pid in found if pid in roots or table[pid].state not in "ZX"}


def _family(marker: str, session_pid: int, start: int | None) -> dict[int, Stat]:
    _expect(marker)
    table = scan()
    roots = {pid for pid, stat in table.items() if stat.state not in "ZX" and _carries(pid, marker)}
    main = table.get(session_pid)
    if session_pid and (main is None or start is None or main.start == start):
        roots |= {pid for pid, stat in table.items() if stat.session == session_pid}
        roots |= {session_pid} & table.keys()
    roots.discard(os.getpid())
    return {
        pid: table[pid] for pid in _below(roots, table) if table[pid].state not in "ZX" and pid != os.getpid()
    }


def sample_tree(identities: Mapping[str, Identity]) -> dict[str, Sample]:
    """Sample all units in one walk over /proc; a unit whose main process is gone is left out.

    A process belongs to its nearest ancestor among the main processes, else to the one whose session it is
    in.
    """
    table = scan()
    mains = {one.pid: name for name, one in identities.items() if _is(one, table.get(one.pid))}
    owners: dict[int, str | None] = {0: None}
    trees: dict[str, list[Stat]] = {name: [] for name in mains.values()}
    for stat in table.values():
        path, pid = [], stat.pid
        while pid not in owners and pid in table:
            path.append(table[pid])
            pid = table[pid].ppid
        owner = owners.get(pid)
        for member in reversed(path):
            owner = mains.get(member.pid) or owner or mains.get(member.session)
            owners[member.pid] = owner
            if owner is not None:
                trees[owner].append(member)
    return {name: _sum(table[pid], trees[name]) for pid, name in mains.items()}


def _is(identity: Identity, stat: Stat | None) -> bool:
    return stat is not None and stat.start == identity.start and identity.boot == boot_id()


def _sum(main: Stat, tree: list[Stat]) -> Sample:
    return Sample(
        status=main.state,
        cpu_s=sum(stat.cpu for stat in tree) / TICKS,
        rss=sum(stat.rss for stat in tree) * PAGE,
        threads=sum(stat.threads for stat in tree),
        processes=len(tree),
        fds=_descriptors(main, tree),
        zombies=sum(stat.state == "Z" for stat in tree if stat.pid != main.pid),
    )


def _descriptors(main: Stat, tree: list[Stat]) -> int:
    own = _open_of(main.pid)
    return own if own < 0 else own + sum(max(0, _open_of(stat.pid)) for stat in tree if stat.pid != main.pid)


def _open_of(pid: int) -> int:
    try:
        # Linux 6.2 and later give the count as the folder's size; before, the size is 0 and we count.
        return os.stat(f"/proc/{pid}/fd").st_size or len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return -1

"""Python stacks of another process: by py-spy where it is installed and allowed, else by its own fault handler."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from hashlib import blake2b
from pathlib import Path

from msgspec import Struct

from actors.handler_host import BEAT_NAME

_DUMP_S = 0.2
_LONGEST = 256 * 1024
_BLOCK = re.compile(
    r"^((?:Current )?[Tt]hread) 0x[^\n]*\n((?:  File [^\n]*\n|  \.\.\.\n|  <[^\n]*\n)*)", re.MULTILINE
)
_FRAME = re.compile(r'  File "([^"\n]+)", line (\d+) in ([^\n]+)')
_BEAT_FILE = "handler_host.py"


class Thread(Struct, frozen=True):
    """One thread: frames as `function (file:line)`, the innermost first."""

    main: bool
    frames: tuple[str, ...]


class Dump(Struct, frozen=True):
    """All threads of one process at one moment; `gil` when one of them held the interpreter without running it."""

    source: str
    threads: tuple[Thread, ...]
    gil: bool = False

    @property
    def main(self) -> tuple[str, ...]:
        """The frames of the main thread."""
        return next((thread.frames for thread in self.threads if thread.main), ())

    @property
    def digest(self) -> str:
        """The same for the same stacks."""
        text = "\n\n".join(sorted("\n".join(thread.frames) for thread in self.threads))
        return blake2b(text.encode(), digest_size=8).hexdigest()


def function_of(frames: tuple[str, ...]) -> str:
    """Return the innermost function without its line: what a loop stays in."""
    return re.sub(r":\d+\)$", ")", frames[0]) if frames else ""


def spy_program() -> str:
    """Return where py-spy is installed, empty without it."""
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy") or ""


def by_spy(program: str, pid: int, seconds: float) -> Dump | None:
    """Read the stacks from outside; None where that is not possible or not allowed."""
    try:
        found = subprocess.run(
            [program, "dump", "--nonblocking", "--json", "--pid", str(pid)],
            capture_output=True,
            timeout=seconds,
            check=True,
            stdin=subprocess.DEVNULL,
        )
        return _spied(json.loads(found.stdout), pid)
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return None


def _spied(found: list[dict[str, object]], pid: int) -> Dump | None:
    threads, gil = [], False
    for one in found:
        listed = one["frames"]
        frames = tuple(
            f"{frame['name']} ({frame['filename']}:{frame['line']})"
            for frame in (listed if isinstance(listed, list) else [])
        )
        gil = gil or bool(one["owns_gil"] and not one["active"])
        if not _is_beat(frames):
            threads.append(Thread(one["os_thread_id"] == pid, frames))
    return Dump("py-spy", tuple(threads), gil) if threads else None


def catches(pid: int, number: int = signal.SIGUSR1) -> bool:
    """Tell whether a signal has a handler there: without one it would end the process."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
        caught = next(line for line in text.splitlines() if line.startswith("SigCgt:"))
        return bool(int(caught.split()[1], 16) >> (number - 1) & 1)
    except (OSError, StopIteration, ValueError, IndexError):
        return False


def by_fault_handler(pid: int, log: Path) -> Dump | None:
    """Ask the process for its stacks and read them at the end of the unit's log; None when it says nothing."""
    if not catches(pid):
        return None
    try:
        start = log.stat().st_size
        os.kill(pid, signal.SIGUSR1)
    except OSError:
        return None
    text, deadline = "", time.monotonic() + _DUMP_S
    while time.monotonic() < deadline:
        time.sleep(0.02)
        more = _read(log, start)
        if more and more == text:
            break
        text = more
    return dumped(text)


def dumped(text: str) -> Dump | None:
    """Read what a fault handler wrote."""
    threads = []
    for block in _BLOCK.finditer(text):
        frames = tuple(f"{name} ({file}:{line})" for file, line, name in _FRAME.findall(block[2]))
        if not _is_beat(frames):
            threads.append(Thread(block[1].startswith("Current"), frames))
    return Dump("faulthandler", tuple(threads)) if threads else None


def _is_beat(frames: tuple[str, ...]) -> bool:
    return len(frames) == 1 and frames[0].startswith("beat (") and _BEAT_FILE in frames[0]


def _read(log: Path, start: int) -> str:
    try:
        with log.open("rb") as file:
            file.seek(start)
            return file.read(_LONGEST).decode("utf-8", "replace")
    except OSError:
        return ""


def waits(pid: int) -> str:
    """Say what the threads of a process wait for, as `events.observations.ProcessLook.wait` has it."""
    found: dict[int, str] = {}
    try:
        threads = [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return "other"
    for thread in threads:
        if _text(f"/proc/{pid}/task/{thread}/comm") != BEAT_NAME:
            found[thread] = _wait(f"/proc/{pid}/task/{thread}")
    if found and set(found.values()) == {"lock"}:
        return "lock"
    main = found.get(pid, "other")
    return "other" if main == "lock" else main


_IO = (
    "poll",
    "select",
    "wait_woken",
    "recv",
    "accept",
    "connect",
    "pipe",
    "unix_",
    "sock",
    "inet",
    "tcp",
    "read",
)


def _wait(path: str) -> str:
    state = _text(f"{path}/stat").rpartition(")")[2].split()[:1]
    if state == ["R"]:
        return "run"
    place = _text(f"{path}/wchan")
    if "futex" in place:
        call = _text(f"{path}/syscall").split()
        # Its fourth argument is the time limit; where the kernel does not tell, there is none.
        return "lock_timed" if len(call) > 4 and call[4] != "0x0" else "lock"
    if "nanosleep" in place:
        return "sleep"
    return "io" if any(name in place for name in _IO) else "other"


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""

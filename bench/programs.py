"""Real programs under measurement: started, waited for, ended by pid, looked at through /proc."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import psutil

ROOT = Path(__file__).resolve().parents[1]
T = TypeVar("T")


def wait_for(look: Callable[[], T], seconds: float, what: str, every: float = 0.002) -> T:
    """Look again and again until the answer is true. Raises TimeoutError with `what`."""
    deadline = time.monotonic() + seconds
    while not (answer := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"expected {what} within {seconds} s, got nothing")
        time.sleep(every)
    return answer


def alive(pid: int) -> bool:
    """Tell whether the process runs; a zombie does not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def rss(pid: int) -> float:
    """Return the resident memory of one process in MiB."""
    return float(psutil.Process(pid).memory_info().rss) / 2**20


def smaps(pid: int) -> dict[str, float]:
    """Return the kernel's exact account of one process in MiB: Rss, Pss, Private_Dirty and so on."""
    account: dict[str, float] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        account[name] = int(rest.split()[0]) / 1024
    return account


def marked(node: str, unit: str = "") -> list[int]:
    """Return the pids whose marker is of this node, and of this unit if one is named."""
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if name.isdigit():
                _, _, rest = Path(f"/proc/{name}/environ").read_bytes().partition(b"ELF_UNIT=")
                parts = rest.partition(b"\0")[0].decode().split(":")
                if parts[0].partition(".")[0] == node and (not unit or parts[1:2] == [unit]):
                    found.append(int(name))
    return found


@contextlib.contextmanager
def started(
    command: Sequence[str | Path], output: Path, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program; at the end it gets SIGTERM, then it and all below it are killed by pid."""
    with output.open("ab") as sink:
        process = subprocess.Popen(
            [str(part) for part in command], stdout=sink, stderr=sink, stdin=subprocess.DEVNULL, cwd=cwd
        )
    family: list[psutil.Process] = []
    try:
        yield process
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(40)
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        process.kill()
        process.wait()


def python(*arguments: object) -> list[str]:
    """Return a command of this interpreter."""
    return [sys.executable, *map(str, arguments)]

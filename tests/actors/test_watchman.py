"""The watchman: ends of processes that are not ours are noticed at once, with their code where it can be known."""

import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from queue import SimpleQueue

import pytest

from actors.keeper_client import Exit
from actors.process import Identity, Process, boot_id, start_ticks
from actors.watchman import Stray, Watchman, how_it_ended, read_status

WAITS = "import sys; sys.exit(int(sys.stdin.readline()))"


def identity(pid: int) -> Identity:
    start = start_ticks(pid)
    assert start
    return Identity(boot_id(), pid, start)


def waiting() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-I", "-S", "-c", WAITS], stdin=subprocess.PIPE)


def end(child: subprocess.Popen[bytes], code: int) -> None:
    assert child.stdin
    child.stdin.write(b"%d\n" % code)
    child.stdin.close()


@pytest.fixture
def heard() -> Iterator[tuple[Watchman, "SimpleQueue[Exit]"]]:
    said: SimpleQueue[Exit] = SimpleQueue()
    with closing(Watchman(said.put)) as watchman:
        yield watchman, said


def test_a_zombie_tells_its_code_and_its_signal(heard: tuple[Watchman, "SimpleQueue[Exit]"]) -> None:
    watchman, said = heard
    for act, expected in CASES:
        with waiting() as child:
            stray = Stray("a", 3, "n", identity(child.pid))
            assert watchman.watch(stray)
            assert watchman.watch(stray)
            act(child)
            ended = said.get(timeout=10)
            assert (ended.code, ended.signal) == expected
            assert (ended.unit, ended.generation, ended.nonce, ended.pid) == ("a", 3, "n", child.pid)
            assert child.stdin
            child.stdin.close()
    assert said.empty()


CASES: list[tuple[Callable[[subprocess.Popen[bytes]], None], tuple[int | None, int | None]]] = [
    (lambda child: end(child, 7), (7, None)),
    (lambda child: end(child, 0), (0, None)),
    (lambda child: child.send_signal(signal.SIGKILL), (None, 9)),
]


def test_of_a_reaped_process_the_kernel_tells_or_nobody_knows() -> None:
    with waiting() as child:
        process = Process.open(identity(child.pid))
        assert process
        end(child, 7)
        child.wait()
        with process:
            status = how_it_ended(process)
    release = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    assert read_status(status) == ((7, None) if release >= (6, 15) else (None, None))


def test_a_process_that_is_gone_is_not_watched(heard: tuple[Watchman, "SimpleQueue[Exit]"]) -> None:
    watchman, said = heard
    with waiting() as child:
        gone = identity(child.pid)
        end(child, 0)
        child.wait()
    assert not watchman.watch(Stray("a", 1, "n", gone))
    with waiting() as child:
        other = Identity(boot_id(), child.pid, identity(child.pid).start - 1)
        assert not watchman.watch(Stray("a", 1, "n", other))
        assert not watchman.watch(Stray("a", 1, "n", Identity("another-boot", child.pid, other.start + 1)))
        end(child, 0)
    assert said.empty()


def test_an_end_is_noticed_within_a_millisecond() -> None:
    noticed: list[float] = []
    told = threading.Event()

    def ended(_: Exit) -> None:
        noticed.append(time.perf_counter())
        told.set()

    took = []
    with closing(Watchman(ended)) as watchman:
        for _ in range(30):
            with waiting() as child:
                assert watchman.watch(Stray("a", 1, "n", identity(child.pid)))
                process = Process.open(identity(child.pid))
                assert process
                told.clear()
                with process:
                    process.signal(signal.SIGKILL)
                    os.waitid(os.P_PIDFD, process.wait_fd(), os.WEXITED | os.WNOWAIT)
                    dead = time.perf_counter()
                assert told.wait(60)
                took.append(noticed[-1] - dead)
    # Whoever looks every now and then would be half a look late.
    assert statistics.median(took) < 0.1

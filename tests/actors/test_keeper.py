"""The keeper: parent of all units, whose exits it keeps whatever happens to its clients."""

import dataclasses
import errno
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.keeper_client import Exit, Keeper, KeeperRefused, StartRefused
from actors.process import Process, marked
from tests.victims import Bench, Gate, bench, ended, hold, until, victim

GLIBC_OWN = 0b11 << 31  # signals 32 and 33, which its posix_spawn sets to ignored until threads need them


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path / "run") as made:
        yield made


def dial(keeper_folder: Path) -> socket.socket:
    """A client without manners."""
    sock = socket.socket(socket.AF_UNIX)
    folder = os.open(keeper_folder, os.O_PATH)
    sock.settimeout(20)
    sock.connect(f"/proc/self/fd/{folder}/keeper.sock")
    os.close(folder)
    return sock


def kill_keeper(keeper: Keeper) -> None:
    process = Process.open(keeper.identity)
    assert process is not None
    with process:
        process.signal(signal.SIGKILL)
        assert ended(process)


def rss_kib(pid: int) -> int:
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


@pytest.mark.smoke
def test_exit_code_and_signal_wait_for_a_client_that_comes_later(run: Bench) -> None:
    keeper, gate = run.keeper(), Gate(run.run_dir / "gate")
    coded = run.start(keeper, "coded", victim("gated", gate.path, 7))
    signalled = run.start(keeper, "signalled", victim("gated", gate.path, -signal.SIGUSR2))
    run.said("coded", "READY")
    run.said("signalled", "READY")
    keeper.close()
    with hold(coded) as one, hold(signalled) as other:
        gate.open()
        assert ended(one)
        assert ended(other)
    later, started = Keeper.ensure(run.run_dir)
    run.keepers.append(later)
    assert not started
    first, second = run.exit_of(later, "coded"), run.exit_of(later, "signalled")
    assert (first.code, first.signal, first.pid, first.start) == (7, None, coded.pid, coded.start)
    assert (second.code, second.signal, second.pid) == (None, signal.SIGUSR2, signalled.pid)
    assert (first.generation, first.nonce, first.orphan) == (1, "n", False)
    assert abs(first.time_us / 1e6 - time.time()) < 60
    assert later.units() == []


def test_a_unit_outlives_the_client_that_started_it_by_kill_9(run: Bench) -> None:
    keeper, gate = run.keeper(), Gate(run.run_dir / "gate")
    request = run.request("kept", victim("gated", gate.path, 3))
    fields = {name: getattr(request, name) for name in request.__slots__}
    command = [sys.executable, *victim("lone_client", run.run_dir, json.dumps(fields))[3:]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as client:
        assert client.stdout is not None
        pid = int(client.stdout.readline())
        client.kill()
    assert [unit.pid for unit in keeper.units()] == [pid]
    gate.open()
    assert run.exit_of(keeper, "kept").code == 3


def test_a_grandchild_in_its_own_session_comes_to_the_keeper_and_is_reaped_there(run: Bench) -> None:
    keeper, gate = run.keeper(), Gate(run.run_dir / "gate")
    run.start(keeper, "parent", victim("escaping", gate.path))
    assert run.exit_of(keeper, "parent").code == 0
    child = int(run.said("parent", "CHILD").split()[1])
    assert marked(f"{run.marker}:parent:1") == [child]
    gate.open()
    orphan = until(lambda: next((one for one in keeper.exits(0) if one.orphan), None))
    assert orphan is not None
    assert (orphan.pid, orphan.code, orphan.unit) == (child, 5, "")
    assert not Path(f"/proc/{child}").exists()


def test_a_unit_that_ignores_term_ends_by_kill(run: Bench) -> None:
    keeper = run.keeper()
    with hold(run.start(keeper, "stubborn", victim("stubborn"))) as process:
        run.said("stubborn", "READY")
        assert process.signal(signal.SIGTERM)
        assert process.signal(signal.SIGUSR1)
        run.said("stubborn", "STILL HERE")
        assert process.signal_group(signal.SIGKILL)
        assert ended(process)
    assert run.exit_of(keeper, "stubborn").signal == signal.SIGKILL


def test_thirty_units_that_end_at_once_leave_thirty_records(run: Bench) -> None:
    keeper, gate, seen = run.keeper(), Gate(run.run_dir / "gate"), list[Exit]()
    full = threading.Event()
    started = {
        name: run.start(keeper, name, victim("gated", gate.path, number))
        for number, name in enumerate(f"unit{n:02}" for n in range(30))
    }

    def note(one: Exit) -> None:
        seen.append(one)
        if len(seen) == 30:
            full.set()

    keeper.watch(0, note, lambda: None)
    assert len(keeper.units()) == 30
    gate.open()
    assert full.wait(60)
    assert {(one.unit, one.pid, one.code) for one in seen} == {
        (name, unit.pid, number) for number, (name, unit) in enumerate(started.items())
    }
    assert keeper.exits(0) == seen
    assert [one.offset for one in seen[1:]] == [one.next for one in seen[:-1]]
    assert keeper.units() == []


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ({"argv": ["/no/such/command"]}, errno.ENOENT),
        ({"argv": ["no-such-command-on-the-path"]}, errno.ENOENT),
        ({"argv": ["/etc/passwd"]}, errno.EACCES),
        ({"cwd": "/no/such/folder"}, errno.ENOENT),
        ({"log": "no/such/folder/unit.log"}, errno.ENOENT),
        ({"log": "."}, errno.EISDIR),
        ({"argv": []}, errno.EINVAL),
        ({"argv": ["true", "nul\0inside"]}, errno.EINVAL),
        ({"env": {"A=B": "c"}}, errno.EINVAL),
        ({"secret": "s" * 100_000}, errno.E2BIG),
        ({"unit": "u" * 3000}, errno.EINVAL),
    ],
    ids=[
        "command",
        "path",
        "not-executable",
        "cwd",
        "log",
        "log-is-folder",
        "no-argv",
        "nul",
        "env",
        "secret",
        "name",
    ],
)
def test_a_refused_start_says_why_and_leaves_nothing(
    run: Bench, change: dict[str, object], number: int
) -> None:
    keeper = run.keeper()
    before = sorted(os.listdir(run.run_dir)), len(os.listdir(f"/proc/{keeper.identity.pid}/fd"))
    with pytest.raises(StartRefused) as refused:
        keeper.start(dataclasses.replace(run.request("bad", ["true"]), **change))  # type: ignore[arg-type]
    assert refused.value.errno == number
    assert refused.value.strerror
    after = sorted(os.listdir(run.run_dir)), len(os.listdir(f"/proc/{keeper.identity.pid}/fd"))
    assert after == before
    children = Path(f"/proc/{keeper.identity.pid}/task/{keeper.identity.pid}/children").read_text()
    assert (children, keeper.units(), keeper.exits(0)) == ("", [], [])


def test_the_same_start_is_refused_while_it_lives(run: Bench) -> None:
    keeper = run.keeper()
    run.start(keeper, "once", ["sleep", "1000"])
    with pytest.raises(StartRefused) as refused:
        run.start(keeper, "once", ["sleep", "1000"])
    assert refused.value.errno == errno.EEXIST
    run.start(keeper, "once", ["sleep", "1000"], generation=2)
    assert [unit.generation for unit in keeper.units()] == [1, 2]


def test_a_secret_reaches_the_unit_and_nothing_else(run: Bench) -> None:
    keeper, secret = run.keeper(), "秘密-7f3a9c"
    request = run.request("secretive", victim("secretive"), secret=secret)
    assert secret not in repr(request)
    started = keeper.start(request)
    assert run.said("secretive", "DIGEST").split()[1] == hashlib.sha256(secret.encode()).hexdigest()
    assert run.exit_of(keeper, "secretive").pid == started.pid
    needle = secret.encode()
    for path in [Path(f"/proc/{keeper.identity.pid}/cmdline"), Path(f"/proc/{keeper.identity.pid}/environ")]:
        assert needle not in path.read_bytes()
    for path in run.run_dir.iterdir():
        if path.is_file():
            assert needle not in path.read_bytes(), path
            assert b"7f3a9c" not in path.read_bytes(), path
    with dial(run.run_dir) as sock:
        sock.sendall(b'{"n":1,"do":"list"}\n{"n":2,"do":"exits","after":0}\n')
        assert b"7f3a9c" not in sock.recv(1 << 16)


def test_a_unit_starts_clean(run: Bench) -> None:
    keeper = run.keeper()
    started = run.start(keeper, "mirror", victim("mirror"), secret="x", cwd="/tmp")
    about = json.loads(run.said("mirror", "{"))
    assert about["session"] == about["group"] == about["pid"] == started.pid
    assert about["stdin"] == "/dev/null"
    assert about["cwd"] == "/tmp"
    given = int(about["environment"].pop("ELF_SECRET_FD"))
    assert about["environment"].keys() - {"LC_CTYPE"} == {"ELF_UNIT", "PATH"}
    assert len(set(about["descriptors"]) - {0, 1, 2, given}) == 1  # the listing's own
    assert (run.run_dir / "mirror.log").stat().st_mode & 0o777 == 0o640
    run.start(keeper, "plain", ["cat", "/proc/self/status"])  # Python itself ignores some signals
    assert run.said("plain", "SigBlk").split()[1] == "0" * 16
    assert int(run.said("plain", "SigIgn").split()[1], 16) & ~GLIBC_OWN == 0


def test_nonsense_is_answered_and_harms_nobody(run: Bench) -> None:
    keeper = run.keeper()
    lines = [
        b"nonsense",
        b"[1]",
        b"\xff\xfe",
        b'{"n":4,"do":"dance"}',
        b'{"n":5,"do":"exits","after":"x"}',
        b'{"n":6,"do":"exits","after":99999}',
        b'{"n":7,"do":"watch"}',
        b'{"n":8,"do":"start","unit":5}',
        b"[" * 100_000,
        b" " * (5 << 20),
    ]
    with dial(run.run_dir) as sock, sock.makefile("rb") as answers:
        for line in lines:
            sock.sendall(line + b"\n")
            answer = json.loads(answers.readline())
            assert answer["ok"] is False
            assert answer["error"]
            assert answer["n"] in {None, 4, 5, 6, 7, 8}
        sock.sendall(b'{"n":"mine","do":"list"}\n')
        assert json.loads(answers.readline())["n"] == "mine"
        sock.sendall(b'{"n":1,"do":"li')  # and gone in the middle of a line
    assert keeper.units() == []
    assert rss_kib(keeper.identity.pid) < 40 << 10


def test_a_client_that_never_reads_holds_up_nobody(run: Bench) -> None:
    record = {"unit": "old", "generation": 1, "nonce": "", "pid": 1, "start": 1, "code": 0, "signal": None}
    line = json.dumps(record | {"time_us": 1, "orphan": False}) + "\n"
    run.run_dir.mkdir()
    (run.run_dir / "exits.jsonl").write_text(line * 20_000)
    keeper = run.keeper()
    with dial(run.run_dir) as sock, sock.makefile("rb") as pushed:
        sock.sendall(b'{"n":1,"do":"watch","after":0}\n')
        assert len(keeper.exits(0)) == 20_000
        run.start(keeper, "new", ["true"])
        assert run.exit_of(keeper, "new").code == 0
        assert json.loads(pushed.readline()) == {"n": 1, "ok": True}
        units = [json.loads(pushed.readline())["exit"]["unit"] for _ in range(20_001)]
    assert units == ["old"] * 20_000 + ["new"]


def test_a_torn_line_is_cut_and_damaged_ones_are_passed_over(run: Bench) -> None:
    keeper = run.keeper()
    run.start(keeper, "one", ["true"])
    first = run.exit_of(keeper, "one")
    kill_keeper(keeper)
    file = run.run_dir / "exits.jsonl"
    sound = file.read_bytes()
    file.write_bytes(sound + b"\x00\x00 damaged\n" + b'{"unit":"torn","generat')
    later = run.keeper()
    assert later.identity != keeper.identity
    run.start(later, "two", ["false"])
    second = run.exit_of(later, "two")
    assert later.exits(0) == [first, second]
    assert second.offset == len(sound) + len(b"\x00\x00 damaged\n")
    assert later.exits(first.next) == [second]
    assert b"torn" not in file.read_bytes()
    with pytest.raises(KeeperRefused):
        later.exits(first.next - 1)

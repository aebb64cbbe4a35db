"""The ground under a node: however often and by whomever it is started, one server works on a store."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from actors.config_reader import read_forest
from actors.ground import Ground
from actors.process import marked
from actors.single_entry import TAKEN

ENTRY = Path(__file__).parents[2] / "actors" / "single_entry.py"


def test_many_who_start_the_server_at_once_start_one(tmp_path: Path) -> None:
    config = tmp_path / "forest.toml"
    config.write_text('[node]\nname = "ground"\n')
    data = tmp_path / "data"
    data.mkdir()
    ground = Ground(read_forest(config), data)
    ground.take()
    try:
        words = data / "logs" / "nats.log"
        door = threading.Barrier(8)
        for number in (2, 3, 4):
            (pid,) = marked(f"{ground.marker}:nats:")
            os.kill(pid, signal.SIGKILL)
            gone(ground, pid)
            threads = [threading.Thread(target=start, args=(ground, door)) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            ground._await_server()
            assert len(marked(f"{ground.marker}:nats:")) == 1
            assert words.read_text().count("Starting nats-server") == number
    finally:
        ground.leave()
    assert marked(f"{ground.marker}:") == []


def start(ground: Ground, door: threading.Barrier) -> None:
    """Start the server in the same instant as the others."""
    door.wait()
    ground.start_server()


def gone(ground: Ground, pid: int) -> None:
    """Wait until the keeper has reaped the server."""
    deadline = time.monotonic() + 60
    while any(unit.pid == pid for unit in ground.keeper.units()):
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_second_program_on_the_same_lock_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", str(ENTRY), str(tmp_path / "lock"), "cat"]
    first = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert first.stdin
    assert first.stdout
    first.stdin.write(b"here\n")
    first.stdin.flush()
    assert first.stdout.readline() == b"here\n"
    second = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert second.returncode == TAKEN
    assert second.stderr.count("\n") == 1
    first.kill()
    first.wait()
    first.stdin.close()
    first.stdout.close()
    third = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert third.returncode == 0

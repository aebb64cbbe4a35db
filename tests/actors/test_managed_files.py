"""A managed file is replaced whole or not at all, with as much of the broken one as its check accepts."""

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from actors.managed_files import merged, replaced

GOOD = b'# ours\nport = 80\nname = "a"\n[log]\nlevel = "info"\n'


def reads(data: bytes) -> bool:
    """Accept TOML whose port is a number below 70,000."""
    try:
        found = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return False
    return isinstance(found.get("port"), int) and found["port"] < 70_000


def test_what_is_still_valid_stays_and_what_is_not_comes_back() -> None:
    broken = b'port = 99999\nname = "b"\n[log]\nlevel = "debug"\nthis is no line\n'
    data, restored = merged(Path("x.toml"), GOOD, broken, reads)
    assert data is not None
    assert tomllib.loads(data.decode()) == {"port": 80, "name": "b", "log": {"level": "debug"}}
    assert restored == ["port"]
    assert data.startswith(b"# ours\n")


def test_json_is_merged_by_its_outermost_keys_and_what_cannot_be_read_is_not() -> None:
    def accepts(data: bytes) -> bool:
        try:
            return bool(json.loads(data)["port"] == 80)
        except ValueError:
            return False

    good = b'{"port": 80, "name": "a"}'
    data, restored = merged(Path("x.json"), good, b'{"port": 1, "name": "b", "new": 1}', accepts)
    assert data is not None
    assert (json.loads(data), restored) == ({"port": 80, "name": "b"}, ["port"])
    assert merged(Path("x.json"), good, b'{"port": ', accepts) == (good, [])
    assert merged(Path("x.yaml"), good, b"port: 1", accepts) == (good, [])


def test_nothing_is_written_when_the_good_copy_is_refused_as_well() -> None:
    assert merged(Path("x.toml"), b"port = 'x'", b"port = ", reads) == (None, [])


def test_the_mode_stays_and_a_refused_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"old")
    path.chmod(0o640)
    assert not replaced(path, b"new", lambda _: False)
    assert path.read_bytes() == b"old"
    assert replaced(path, b"new", lambda fresh: fresh.read_bytes() == b"new")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o640)
    assert os.listdir(tmp_path) == ["a.toml"]


_ENDLESS = """
import sys
from pathlib import Path
from actors.managed_files import replaced
path = Path(sys.argv[1])
print("READY", flush=True)
while True:
    for letter in b"ab":
        replaced(path, bytes([letter]) * 200_000, lambda _: True)
"""


@pytest.mark.parametrize("kill_after", [1, 2, 3, 5, 8])
def test_killed_at_any_moment_it_leaves_the_old_or_the_new_file(tmp_path: Path, kill_after: int) -> None:
    path = tmp_path / "a.conf"
    path.write_bytes(b"a" * 200_000)
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", _ENDLESS, str(path)], cwd=root, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "READY\n"
    # Let it come to another place each time: so many looks at a file that changes all the while.
    for _ in range(kill_after * 40):
        data = path.read_bytes()
        assert len(data) == 200_000
        assert len(set(data)) == 1
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    data = path.read_bytes()
    assert len(data) == 200_000
    assert len(set(data)) == 1
    # What lay half written beside it is in nobody's way.
    assert replaced(path, b"c", lambda _: True)
    assert path.read_bytes() == b"c"
    assert os.listdir(tmp_path) == ["a.conf"]

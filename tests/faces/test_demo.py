"""The demo does what it says and leaves nothing behind."""

import subprocess
from pathlib import Path

import pytest

from tests.faces.console import PROGRAM


@pytest.mark.slow
def test_demo_works_kills_heals_tells_and_leaves_nothing(tmp_path: Path) -> None:
    told = subprocess.run(
        [*PROGRAM, "demo", "--lang", "en"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert "kill -9" in told.stdout
    assert "healed after" in told.stdout
    assert "$ elf why simple_task" in told.stdout
    assert "signal 9" in told.stdout.partition("$ elf why")[2]
    assert list(tmp_path.iterdir()) == []
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path).encode() in _read(path)]
    assert left == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""

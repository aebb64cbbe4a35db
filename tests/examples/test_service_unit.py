"""The systemd unit of the examples: what its promises rest on, checked by systemd itself where it is installed."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from actors.config import Node

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "examples" / "elf-forest.service"


def directives() -> dict[str, str]:
    """Return what the unit says, by key."""
    lines = UNIT.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"^\w+=", line))


def test_workers_outlive_a_crash_and_a_node_that_hangs_is_ended() -> None:
    said = directives()
    assert (said["Type"], said["NotifyAccess"]) == ("notify", "main")
    assert said["KillMode"] == "process"
    assert (said["Restart"], said["OOMPolicy"]) == ("always", "continue")
    assert said["RestartPreventExitStatus"] == "2 3"
    # /healthz is red before the watchdog bites.
    assert Node().hung_s < float(said["WatchdogSec"])
    assert "PrivateTmp" not in said


def test_systemd_itself_understands_every_line(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed")
    text = UNIT.read_text(encoding="utf-8").replace("/opt/elf-forest/bin/elf", "/bin/true")
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace("User=elf\n", ""))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    about_us = [line for line in checked.stderr.splitlines() if UNIT.name in line]
    assert about_us == []

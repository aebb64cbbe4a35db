"""Which packages of an interpreter have newer releases, as its own pip knows."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import msgspec

_WAIT_S = 120.0
_NUMBERS = re.compile(r"\d+")


def newer(
    say: Callable[[str, str], str], patches: bool, python: str = ""
) -> list[tuple[str, list[dict[str, Any]] | str]]:
    """Return the part of a report; what pip cannot say is said instead."""
    python = python or os.environ.get("ELF_PYTHON", "") or sys.executable
    heading = say(f"Packages of {python}", f"{python} のパッケージ")
    command = [python, "-m", "pip", "list", "--outdated", "--format=json", "--disable-pip-version-check"]
    try:
        found = subprocess.run(
            command, capture_output=True, timeout=_WAIT_S, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        return [(heading, _unknown(say, f"{type(problem).__name__}"))]
    if found.returncode:
        last = found.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        return [(heading, _unknown(say, last[0] if last else str(found.returncode)))]
    rows = msgspec.json.decode(found.stdout or b"[]", type=list[dict[str, Any]])
    wanted = [
        {"package": row["name"], "now": row["version"], "newest": row["latest_version"]}
        for row in rows
        if not patches or is_patch(str(row["version"]), str(row["latest_version"]))
    ]
    return [(heading, wanted)]


def is_patch(now: str, newest: str) -> bool:
    """Tell whether only what stands behind the second number differs."""
    before, after = _NUMBERS.findall(now), _NUMBERS.findall(newest)
    return len(before) >= 2 and before[:2] == after[:2]


def _unknown(say: Callable[[str, str], str], why: str) -> str:
    return say(f"pip could not say: {why}", f"pip が答えられなかった:{why}")

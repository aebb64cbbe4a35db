"""What keeps a process small: another user, resource limits, a share of the processors; all by argument lists."""

import os
import pwd
import resource
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

RLIMITS = tuple(sorted(name[7:].lower() for name in dir(resource) if name.startswith("RLIMIT_")))
_ALIASES = {"ofile": "nofile"}
_ENTRY = Path(__file__).with_name("group_entry.py")
_PERIOD_US = 100_000  # the kernel's default
_MOUNTS, _MEMBERSHIP = Path("/proc/self/mountinfo"), Path("/proc/self/cgroup")


def prefix_of(rlimits: Mapping[str, int], user: str, group: Path | None = None) -> tuple[str, ...]:
    """Return what stands before a command so that it runs confined; each word of it becomes the next by exec.

    `group` is the cgroup to enter. Limits are set before the user is changed: root may raise them. Raises
    FileNotFoundError for a missing tool, KeyError for a user that is not there.
    """
    words: list[str] = []
    if group:
        words += [sys.executable, "-I", "-S", str(_ENTRY), str(group / "cgroup.procs")]
    if rlimits:
        words.append(tool("prlimit"))
        words += [f"--{_ALIASES.get(name, name)}={_limit(value)}" for name, value in sorted(rlimits.items())]
        words.append("--")
    entry = pwd.getpwnam(user) if user else None
    if entry and entry.pw_uid != os.geteuid():
        words += [
            tool("setpriv"),
            f"--reuid={entry.pw_uid}",
            f"--regid={entry.pw_gid}",
            "--init-groups",
            "--inh-caps=-all",
            "--",
        ]
    return tuple(words)


def home_of(user: str) -> dict[str, str]:
    """Return the variables that tell a program who it is."""
    entry = pwd.getpwnam(user)
    return {"HOME": entry.pw_dir, "USER": user, "LOGNAME": user}


def tool(name: str) -> str:
    """Return the path of a tool of util-linux. Raises FileNotFoundError."""
    found = shutil.which(name)
    if not found:
        raise FileNotFoundError(f"expected {name} of util-linux on PATH, got none; try installing util-linux")
    return found


def _limit(value: int) -> str:
    return "unlimited" if value < 0 else str(value)


def too_high(name: str, value: int) -> int | None:
    """Return the hard limit that this process may not raise, None where nothing stands in the way."""
    hard = resource.getrlimit(getattr(resource, f"RLIMIT_{name.upper()}"))[1]
    free = os.geteuid() == 0 or hard == resource.RLIM_INFINITY
    return None if free or 0 <= value <= hard else hard


# --- processors: cgroup v2 ---------------------------------------------------------------------------------


def cpu_base(mounts: Path = _MOUNTS, membership: Path = _MEMBERSHIP) -> Path | None:
    """Return a cgroup of version 2 in which this process may make groups with a limit of their own, or None.

    That is its own group or the one above it: a service with `Delegate=cpu` and `DelegateSubgroup=` stands in a
    leaf, and groups that hold processes cannot hand controllers on.
    """
    mount = next((line.split()[4] for line in _lines(mounts) if " - cgroup2 " in line), "")
    path = next((line[3:].lstrip("/") for line in _lines(membership) if line.startswith("0::")), None)
    if not mount or path is None:
        return None
    own = Path(mount) / path
    for group in (own, own.parent):
        if group.is_relative_to(mount) and os.access(group, os.W_OK) and _hands_on(group):
            return group
    return None


def _hands_on(group: Path) -> bool:
    if "cpu" in _words(group / "cgroup.subtree_control"):
        return True
    empty = not _words(group / "cgroup.procs")
    return empty and "cpu" in _words(group / "cgroup.controllers")


def cpu_group(base: Path, name: str, cores: float) -> Path:
    """Make the group of a unit, or set it anew, and return it. Raises OSError."""
    if "cpu" not in _words(base / "cgroup.subtree_control"):
        (base / "cgroup.subtree_control").write_text("+cpu")
    group = base / f"elf.{name}"
    group.mkdir(exist_ok=True)
    (group / "cpu.max").write_text(f"{max(1000, round(cores * _PERIOD_US))} {_PERIOD_US}\n")
    return group


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []

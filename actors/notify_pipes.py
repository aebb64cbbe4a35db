"""The pipe by which a plain program says more than that it lives: one FIFO for each unit in the data folder.

Whoever writes there finds it open and with room: the keeper and the program itself hold it while no node does.
"""

import os
import pwd
import shutil
import stat
from pathlib import Path


def pipe_of(data: Path, unit: str) -> Path:
    """Return where a unit's pipe lies in a data folder."""
    return data / "run" / "notify" / unit


def make_pipe(path: Path, user: str = "") -> None:
    """Make a unit's pipe anew, for its user alone: what an older generation left unread is gone. Raises OSError."""
    path.parent.mkdir(mode=0o711, exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    if user and (entry := pwd.getpwnam(user)).pw_uid != os.geteuid():
        os.chown(path, entry.pw_uid, -1)


def remove_pipes(data: Path) -> None:
    """Remove every pipe: a folder whose node has ended is plain files, which any program may copy."""
    shutil.rmtree(data / "run" / "notify", ignore_errors=True)


def open_pipe(path: Path) -> int | None:
    """Open a pipe so that neither side ever finds the other end closed; None where there is none."""
    try:
        # A pipe of a program's own making is no better than none: nothing but a FIFO is read.
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None

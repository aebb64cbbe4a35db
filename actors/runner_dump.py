"""Where a handler hangs: its fault handler writes every stack to the unit's log; the innermost frame is read there."""

import os
import re
import stat

# A stack is written by the signal itself, also while C code runs.
DUMP_S = 0.15
_LONGEST = 256 * 1024
_FRAME = re.compile(r'Current thread 0x[^\n]*\n  File "([^"\n]+)", line (\d+) in ([^\n]+)')


def log_end() -> int:
    """Return the length of the unit's log, which is this process's standard error; -1 when that is no file."""
    found = os.fstat(2)
    return found.st_size if stat.S_ISREG(found.st_mode) else -1


def frame_since(start: int) -> str:
    """Return `function (file:line)` of the first stack dumped behind `start`, or nothing."""
    if start < 0:
        return ""
    try:
        descriptor = os.open("/proc/self/fd/2", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        text = os.pread(descriptor, _LONGEST, start).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)
    found = _FRAME.search(text)
    return f"{found[3]} ({found[1]}:{found[2]})" if found else ""

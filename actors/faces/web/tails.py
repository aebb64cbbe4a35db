"""The last lines of what workers wrote, bounded whatever the file holds."""

import os
from pathlib import Path
from typing import Any

from actors.place import ClientError
from events.subjects import token

MOST_LINES = 1000
_BYTES = 256 * 1024
_WIDTH = 2000


def names(data: Path) -> list[str]:
    """Return whose logs there are, those that hold something first."""
    found = [(path.stat().st_size == 0, path.stem) for path in (data / "logs").glob("*.log")]
    return [name for _, name in sorted(found)]


def tail(data: Path, name: str, lines: int) -> dict[str, Any]:
    """Return the last lines of a log, at most 256 KiB of it and 2,000 characters a line. Raises ClientError."""
    try:
        path = data / "logs" / f"{token(name, 'worker')}.log"
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except (ValueError, OSError):
        raise ClientError(f"expected a worker with a log, got {name!r}; try the list of logs", 1) from None
    try:
        size = os.fstat(descriptor).st_size
        start = max(0, size - _BYTES)
        raw = os.pread(descriptor, _BYTES, start)
    finally:
        os.close(descriptor)
    # The parts that were sealed leave holes, which read as zeros.
    cut = raw.replace(b"\0", b"").decode("utf-8", "replace").split("\n")
    if start and len(cut) > 1:
        cut = cut[1:]
    if cut and not cut[-1]:
        cut.pop()
    wanted = max(1, min(lines, MOST_LINES))
    shown = [line if len(line) <= _WIDTH else line[:_WIDTH] + " …" for line in cut[-wanted:]]
    return {"name": name, "size": size, "lines": shown, "cut": bool(start) or len(cut) > wanted}

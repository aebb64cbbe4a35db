"""Where a worker can read what it was told: lines in its log, and a notice file that is replaced as a whole."""

import contextlib
import os
import time
from pathlib import Path
from typing import Any

import msgspec

_KEPT = 20
_TAIL = 64 * 1024


def add_line(log: Path, text: str, mark: str, again: bool) -> None:
    """Append a line that carries `mark`; where it is said `again`, not if it stands there. Raises OSError."""
    if again and _stands(log, mark):
        return
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    line = f"{stamp} {' '.join(text.split())} [{mark}]\n".encode(errors="replace")
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def put_notice(path: Path, notice: dict[str, Any]) -> bool:
    """Put a notice first into the file, by one rename; False when it stands there already. Raises OSError."""
    known = _known(path)
    if any(isinstance(old, dict) and old.get("id") == notice["id"] for old in known):
        return False
    data = msgspec.json.format(
        msgspec.json.encode({"latest": notice, "notices": [notice, *known[: _KEPT - 1]]})
    )
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(data + b"\n")
        file.flush()
        with contextlib.suppress(FileNotFoundError):
            before = path.stat()
            os.fchmod(file.fileno(), before.st_mode & 0o777)
            with contextlib.suppress(PermissionError):
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
        os.fsync(file.fileno())
    temporary.replace(path)
    return True


def _known(path: Path) -> list[Any]:
    """Return the notices of the file; what is no such file any more is written anew."""
    try:
        content = msgspec.json.decode(path.read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):
        return []
    notices = content.get("notices") if isinstance(content, dict) else None
    return notices if isinstance(notices, list) else []


def _stands(log: Path, mark: str) -> bool:
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL))
            return f"[{mark}]".encode() in file.read()
    except FileNotFoundError:
        return False

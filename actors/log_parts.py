"""A worker's log in parts: the file it writes to, and the sealed parts `NAME.log.NUMBER.STOP.gz` that were cut off.

STOP is the offset in the file up to which it is archived; the file keeps its offsets and has a hole there.
"""

import ctypes
import errno
import functools
import gzip
import os
import re
import tempfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

_PUNCH = 0x02 | 0x01  # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
_BLOCK = 4096
_STEP = 1 << 20
_NAME = re.compile(r"(.+\.log)\.(\d{6})\.(\d+)\.gz")


class Rotated(Struct, frozen=True):
    """One sealed part: its file's name, the bytes of the log it holds, its size on disk."""

    segment: str
    start: int
    stop: int
    size: int


class Part(Struct, frozen=True, order=True):
    """One sealed part on disk."""

    number: int
    stop: int
    path: Path


def parts_of(log: Path) -> list[Part]:
    """Return the sealed parts of a log, the oldest first."""
    found = []
    for path in log.parent.glob(f"{log.name}.*.gz"):
        match = _NAME.fullmatch(path.name)
        if match and match[1] == log.name:
            found.append(Part(int(match[2]), int(match[3]), path))
    return sorted(found)


def archived(log: Path) -> int:
    """Return the offset up to which the log is sealed; 0 where the file is a newer one than its last part."""
    parts = parts_of(log)
    stop = parts[-1].stop if parts else 0
    try:
        return stop if stop <= log.stat().st_size else 0
    except FileNotFoundError:
        return 0


def cut(log: Path, keep: int, most: int) -> Rotated | None:
    """Seal all complete lines written since the last cut and give their blocks back; the writer notices nothing.

    A line longer than `most` is cut within. A crash at any point loses and doubles nothing: the part's name says
    how far it reaches, and what is sealed and not yet freed is freed by the next cut. Raises OSError.
    """
    start = archived(log)
    descriptor = os.open(log, os.O_RDWR | os.O_CLOEXEC)
    try:
        punch(descriptor, start)
        size = os.fstat(descriptor).st_size
        stop = _last_line(descriptor, start, size)
        if stop == start and size - start > most:
            stop = size
        if stop <= start:
            return None
        target = _seal(descriptor, log, start, stop, stop)
        punch(descriptor, stop)
    finally:
        os.close(descriptor)
    forget(log, keep)
    return Rotated(target.name, start, stop, target.stat().st_size)


def punch(descriptor: int, stop: int) -> None:
    """Free whole blocks from the beginning up to an offset; the file keeps its size. Raises OSError."""
    length = stop - stop % _BLOCK
    if not length:
        return
    call = ctypes.CDLL(None, use_errno=True).fallocate64
    call.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    if call(descriptor, _PUNCH, 0, length):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@functools.cache
def can_punch(folder: Path) -> bool:
    """Tell whether files here can have holes punched into them; some network file systems cannot. Raises OSError."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x" * 2 * _BLOCK)
        file.flush()
        try:
            punch(file.fileno(), _BLOCK)
        except OSError as problem:
            if problem.errno in (errno.EOPNOTSUPP, errno.ENOSYS):
                return False
            raise
    return True


def fresh(log: Path, keep: int) -> None:
    """Where holes cannot be punched, put the log of an ended process aside: the next one begins a new file."""
    if not log.exists() or not log.stat().st_size or can_punch(log.parent):
        return
    parts = parts_of(log)
    aside = log.with_name(f"{log.name}.{(parts[-1].number if parts else 0) + 1:06d}.0")
    log.rename(aside)
    _compress_aside(aside, log)
    forget(log, keep)


def tidy(folder: Path) -> None:
    """Finish what a crash left: half a part goes, what was put aside is compressed."""
    for path in folder.glob("*.part"):
        path.unlink()
    for path in folder.glob("*.log.??????.0"):
        _compress_aside(path, path.with_name(path.name[: -len(".000000.0")]))


def forget(log: Path, keep: int) -> None:
    """Remove all but the newest parts."""
    for part in parts_of(log)[:-keep]:
        part.path.unlink(missing_ok=True)


def last_lines(log: Path, count: int) -> tuple[list[bytes], int]:
    """Return the last lines across all parts, and the offset behind the last one in the file."""
    start, size = archived(log), log.stat().st_size
    # One more than asked for: a line may have begun in the part before.
    wanted = count + 1
    lines: deque[bytes] = deque(maxlen=wanted)
    with log.open("rb") as file:
        lines.extend(_tail(file.fileno(), start, size, wanted))
    for part in reversed(parts_of(log)):
        missing = wanted - len(lines)
        if missing <= 0:
            break
        with gzip.open(part.path) as sealed:
            older = deque(sealed, maxlen=missing)
        if older and not older[-1].endswith(b"\n") and lines:
            lines[0] = older.pop() + lines[0]
        lines.extendleft(reversed(older))
    return list(lines)[-count:] if count > 0 else [], size


def _tail(descriptor: int, start: int, size: int, count: int) -> list[bytes]:
    at, data = size, b""
    while at > start and data.count(b"\n") <= count:
        step = min(_STEP, at - start)
        at -= step
        data = os.pread(descriptor, step, at) + data
    return data.splitlines(keepends=True)[-count:]


def _last_line(descriptor: int, start: int, size: int) -> int:
    """Return the offset behind the last newline, `start` if there is none."""
    at = size
    while at > start:
        step = min(_STEP, at - start)
        at -= step
        found = os.pread(descriptor, step, at).rfind(b"\n")
        if found >= 0:
            return at + found + 1
    return start


def _compress_aside(aside: Path, log: Path) -> None:
    descriptor = os.open(aside, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if not aside.with_name(f"{aside.name}.gz").exists():
            _seal(descriptor, log, 0, os.fstat(descriptor).st_size, 0)
    finally:
        os.close(descriptor)
    aside.unlink()


def _seal(descriptor: int, log: Path, start: int, stop: int, mark: int) -> Path:
    """Copy a range into the next part, a step at a time; it has its name only once it is on disk."""
    parts = parts_of(log)
    number = (parts[-1].number if parts else 0) + 1
    target = log.with_name(f"{log.name}.{number:06d}.{mark}.gz")
    half = target.with_name(f"{target.name}.part")
    with half.open("wb") as raw:
        with gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=1) as packed:
            for piece in _pieces(descriptor, start, stop):
                packed.write(piece)
        raw.flush()
        os.fsync(raw.fileno())
    half.rename(target)
    folder = os.open(log.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return target


def _pieces(descriptor: int, start: int, stop: int) -> Iterator[bytes]:
    while start < stop:
        piece = os.pread(descriptor, min(_STEP, stop - start), start)
        if not piece:
            raise OSError(errno.EIO, f"expected {stop - start} more bytes, got the end; was the log cut off?")
        start += len(piece)
        yield piece

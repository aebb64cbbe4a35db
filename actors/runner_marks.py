"""Which tasks are being executed, in a small file that outlives the runner: it tells whom a death concerns.

One file for each generation of a unit. Whoever executes writes the names of the tasks into its slot when a call
begins and empties it when the call is over, before the answer leaves. A killed process leaves its last word in the
kernel's cache, so nothing is forced to the disk. The runner and its hosts hold a lock on the file while they live.
"""

import contextlib
import fcntl
import os
import struct
from collections.abc import Sequence
from pathlib import Path

_HEAD = struct.Struct("!II")
_LENGTH = struct.Struct("!I")
# Monotonic nanoseconds of the last beat, at the end of a slot.
_BEAT = struct.Struct("!Q")
_BLOCK = 4096
# The longest task id and its separator.
_NAME = 65
_KEPT = 50


class Marks:
    """The file of one generation. Raises OSError when it cannot be made."""

    def __init__(self, folder: Path, unit: str, generation: int, slots: int, batch: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _forget(folder, unit, generation - _KEPT)
        self._path = _path(folder, unit, generation)
        self._size = -(-(_LENGTH.size + batch * _NAME + _BEAT.size) // _BLOCK) * _BLOCK
        self.descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        # The room is taken now: a disk that fills up later does not concern marks.
        os.posix_fallocate(self.descriptor, 0, _BLOCK + slots * self._size)
        os.pwrite(self.descriptor, _HEAD.pack(self._size, slots), 0)
        fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def place(self, slot: int) -> int:
        """Return where in the file a slot begins."""
        return _BLOCK + slot * self._size

    def beat_place(self, slot: int) -> int:
        """Return where in the file a host writes when its own thread last ran."""
        return self.place(slot) + self._size - _BEAT.size

    def beat_at(self, slot: int) -> float:
        """Return the monotonic seconds of that, 0 before the first time."""
        data = os.pread(self.descriptor, _BEAT.size, self.beat_place(slot))
        return float(_BEAT.unpack(data)[0]) / 1e9 if len(data) == _BEAT.size else 0.0

    def forget_beat(self, slot: int) -> None:
        """Another process takes the slot."""
        os.pwrite(self.descriptor, _BEAT.pack(0), self.beat_place(slot))

    def write(self, slot: int, names: Sequence[str]) -> None:
        """Say what a slot executes."""
        text = "\n".join(names).encode()
        os.pwrite(self.descriptor, _LENGTH.pack(len(text)) + text, self.place(slot))

    def close(self) -> None:
        """Nothing is executed any more, and everything is said."""
        self._path.unlink(missing_ok=True)
        os.close(self.descriptor)


def executing(folder: Path, unit: str, generation: int) -> set[str] | None:
    """Return what a generation was executing when it ended; None when nobody knows."""
    try:
        data = _path(folder, unit, generation).read_bytes()
        size, slots = _HEAD.unpack_from(data)
        if not size:
            return None
        found: set[str] = set()
        for slot in range(slots):
            start = _BLOCK + slot * size
            (length,) = _LENGTH.unpack_from(data, start)
            text = data[start + _LENGTH.size :][:length].decode()
            found.update(text.split("\n") if text else ())
        return found
    except (OSError, struct.error, UnicodeDecodeError):
        return None


def is_over(folder: Path, unit: str, generation: int) -> bool | None:
    """Whether neither the runner nor a host of a generation lives; None when nobody knows."""
    try:
        descriptor = os.open(_path(folder, unit, generation), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


def _path(folder: Path, unit: str, generation: int) -> Path:
    return folder / f"{unit}.{generation}.mark"


def _forget(folder: Path, unit: str, before: int) -> None:
    for path in folder.glob(f"{unit}.*.mark"):
        number = path.name.removeprefix(f"{unit}.").removesuffix(".mark")
        if number.isdigit() and int(number) <= before:
            with contextlib.suppress(OSError):
                path.unlink()

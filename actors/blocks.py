"""Reads the stream's own files without its server, so that damage is seen before anything is mended silently.

The format is nats-server's file store (2.2 and later): records of a little-endian header (length with the top bit for
headers, position, time, length of the subject), subject, message headers, message, eight bytes of checksum.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from actors.accounts import FOREST, shared_store

_HEADER = struct.Struct("<IQqH")
_HAS_HEADERS = 0x80000000
_CHECKSUM = 8
# Positions with one of these bits are no messages: erased ones, and notices that one was removed.
_NO_MESSAGE = 0b11 << 62

Stored = tuple[int, str, bytes]
"""Position, subject and message."""


def folder_of(store: Path, stream: str = "LOG") -> Path:
    """Return where a server with this store directory keeps a stream's messages."""
    there = store / "jetstream" / FOREST
    home = there if there.exists() else shared_store(store)
    return home / "streams" / stream / "msgs"


def records(folder: Path) -> Iterator[Stored]:
    """Yield every message in the order of the files; what cannot be read any more ends its file.

    Nothing is judged here: a wrong position or message is yielded as it stands.
    """
    for path in sorted(folder.glob("*.blk"), key=lambda path: int(path.stem)):
        yield from _in_block(path.read_bytes())


def _in_block(data: bytes) -> Iterator[Stored]:
    at, size = 0, len(data)
    while at + _HEADER.size <= size:
        length, position, _, subject = _HEADER.unpack_from(data, at)
        end = at + (length & ~_HAS_HEADERS)
        start = at + _HEADER.size
        message = start + subject
        if length & _HAS_HEADERS:
            if message + 4 > size:
                return
            message += 4 + int.from_bytes(data[message : message + 4], "little")
        if message > end - _CHECKSUM or end > size:
            return
        if not position & _NO_MESSAGE:
            yield (
                position,
                data[start : start + subject].decode("utf-8", "replace"),
                data[message : end - _CHECKSUM],
            )
        at = end

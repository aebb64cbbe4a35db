"""The anchor: where the log stood, with its hash, kept outside the log so that a loss can be proven."""

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from projections.chain import Chain

NAME = "anchor.json"


class AnchorUnreadable(Exception):
    """The anchor file is there, but holds no anchor."""


class Anchor(Struct, frozen=True, kw_only=True):
    """The chain's `head` in hex at `position`, over `count` events. `time` in microseconds since 1970."""

    position: int
    head: str
    count: int
    time: int


def of(chain: Chain, time: int) -> Anchor:
    """Return the anchor of a chain as it stands."""
    return Anchor(position=chain.position, head=chain.head_hex, count=chain.count, time=time)


def path_in(data: Path) -> Path:
    """Return where the anchor of a data folder stands."""
    return data / NAME


def read(path: Path) -> Anchor | None:
    """Read an anchor; None when there is no file. Raises AnchorUnreadable, never guesses."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        anchor = msgspec.json.decode(raw, type=Anchor)
        if len(bytes.fromhex(anchor.head)) != len(Chain().head):
            raise ValueError(f"a head of {len(anchor.head)} digits")
    except ValueError as problem:
        raise AnchorUnreadable(
            f"expected an anchor in {path}, got {problem}; try `elf log verify`, then remove the file"
        ) from problem
    return anchor


def write(path: Path, anchor: Anchor) -> None:
    """Replace the anchor durably: a reader, or a crash at any moment, sees the old one or the new one."""
    fresh = path.with_name(f"{path.name}.new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        rest = memoryview(msgspec.json.encode(anchor) + b"\n")
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

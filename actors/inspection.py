"""Proves the log before a node stands on it: the anchor, the sealed files, the stream's bytes behind them."""

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from actors.blocks import Stored, folder_of, records
from actors.connection import Connection
from actors.jetstream import Reader
from events.log import LogDamaged
from events.subjects import LOG
from projections import anchor as anchors
from projections.anchor import Anchor, AnchorUnreadable
from projections.chain import Chain
from projections.segments import Row, Segments

_ADVICE = "try elf log verify, then elf log repair"
# The newest sealed files are proven byte by byte; older ones by their size, and whole by `elf log verify`.
_PROVEN_WHOLE = 2
_PATIENCE, _PAUSE_S = 5, 0.2


def known_anchor(data: Path) -> Anchor | None:
    """Return the folder's anchor. Raises LogDamaged when there is a file that is none."""
    try:
        return anchors.read(anchors.path_in(data))
    except AnchorUnreadable as problem:
        raise LogDamaged(str(problem)) from None


def prove(data: Path, segments: Segments, stored: Iterable[Stored]) -> int:
    """Walk over what the stream holds and return its last position. Raises LogDamaged with the damaged range.

    Behind the sealed files every position has to be there and lead to the anchor's hash; what is sealed and still
    in the stream has to be equal to the sealed bytes, for queues and claims read it in the stream.
    """
    anchor = known_anchor(data)
    prove_files(segments)
    chain = segments.chain
    if anchor and anchor.position == chain.position:
        _compare(anchor, chain, 0)
    sealed = _Sealed(segments)
    expected = max(1, segments.purged)
    for position, subject, message in stored:
        if position >= expected:
            if position != expected:
                raise _damage(expected, position - 1, "missing or changed")
            expected += 1
        elif position >= segments.purged:
            raise _damage(position, expected - 1, f"changed: {position} stands there again")
        if position <= segments.last:
            sealed.compare(position, subject, message)
            continue
        chain.push(position, message)
        if anchor and position == anchor.position:
            _compare(anchor, chain, segments.last)
    if anchor and expected <= anchor.position:
        raise _damage(expected, anchor.position, "lost: the anchor has seen them")
    if expected <= segments.last:
        raise _damage(expected, segments.last, "lost: they are sealed and had not left the stream")
    return expected - 1


def prove_store(data: Path, segments: Segments, store: Path, alive: bool) -> int:
    """Walk over a server's own files. A living server may not have written its last words yet: look again then."""
    folder = folder_of(store)
    for _ in range(_PATIENCE if alive else 0):
        try:
            return prove(data, segments, records(folder))
        except LogDamaged:
            time.sleep(_PAUSE_S)
    return prove(data, segments, records(folder))


def prove_state(segments: Segments, proven: int, state: Mapping[str, Any]) -> None:
    """Compare what the server says it has with what its files hold. Raises LogDamaged."""
    last, messages = int(state["last_seq"]), int(state["messages"])
    if last < proven:
        raise _damage(last + 1, proven, "lost: the server does not serve what its files hold")
    least = proven - max(1, segments.purged) + 1
    if proven and messages < least:
        start = max(1, segments.purged)
        raise _damage(start, proven, f"incomplete: the server has {messages} of {least} events")


async def prove_stream(
    data: Path, segments: Segments, connection: Connection, state: Mapping[str, Any]
) -> None:
    """Walk over the stream of a server that is not ours, from the sealed files to the anchor. Raises LogDamaged."""
    anchor = known_anchor(data)
    prove_files(segments)
    last = int(state["last_seq"])
    if anchor is None or anchor.position <= segments.last:
        return None
    if last < anchor.position:
        raise _damage(last + 1, anchor.position, "lost: the anchor has seen them")
    chain = segments.chain
    reader = Reader(connection, LOG, segments.last)
    try:
        async for events in reader.read():
            for event in events:
                if event.position != chain.position + 1:
                    raise _damage(chain.position + 1, event.position - 1, "missing")
                chain.push(event.position, event.data)
                if event.position == anchor.position:
                    return _compare(anchor, chain, segments.last)
    finally:
        await reader.close()


def prove_files(segments: Segments) -> None:
    """Raise SegmentDamaged unless every sealed file is there with its size, and the newest with their bytes."""
    for number, segment in enumerate(reversed(segments.all)):
        segments.check(segment, whole=number < _PROVEN_WHOLE)


def _compare(anchor: Anchor, chain: Chain, after: int) -> None:
    if chain.head_hex != anchor.head:
        raise _damage(
            after + 1,
            anchor.position,
            f"changed: the anchor has the hash {anchor.head}, they give {chain.head_hex}",
        )


def _damage(start: int, end: int, what: str) -> LogDamaged:
    span = f"position {start}" if start == end else f"positions {start} to {end}"
    return LogDamaged(f"the log is damaged: {span} {what}; {_ADVICE}")


class _Sealed:
    """Compares what is still in the stream with the sealed rows, reading each stretch of them once."""

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        self._rows: Iterator[Row] = iter(())
        self._at = -1

    def compare(self, position: int, subject: str, message: bytes) -> None:
        """Raise LogDamaged unless the sealed row at this position is the same."""
        if position != self._at + 1:
            pages = self._segments.rows(position - 1)
            self._rows = (row for page in pages for row in page)
        self._at = position
        row = next(self._rows, None)
        if row is None or (row[1], row[3]) != (subject, message):
            raise _damage(position, position, "changed: the stream has other bytes than the sealed file")

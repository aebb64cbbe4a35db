"""Ends of tasks that the log has not taken yet, in a small file that outlives the runner."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from actors.runner_post import tell
from events.codec import decode, encode
from events.envelope import Envelope, Recorded
from events.event import Event
from events.log import Entry, Expect


class _Said(Struct):
    subject: str
    event: Raw
    expect: Expect | None = None


class _Line(Struct):
    entries: list[_Said]
    replies: list[str]
    delay_s: float | None = None


class Spooled(Struct, frozen=True):
    """One end as an earlier generation left it; `delay_s` None means acknowledge, else ask for redelivery."""

    entries: Sequence[Entry]
    replies: Sequence[str]
    delay_s: float | None


_lines = msgspec.json.Decoder(_Line)


class Spool:
    """The file of one unit, 0600; without a path nothing is kept."""

    def __init__(self, path: str) -> None:
        self._path = Path(path) if path else None
        self._descriptor = -1

    def keep(self, ends: Sequence[Spooled]) -> bool:
        """Append and fsync; False when the disk does not take it (the ends are still in memory)."""
        if self._path is None or not ends:
            return False
        text = b"".join(msgspec.json.encode(_line(end)) + b"\n" for end in ends)
        try:
            if self._descriptor < 0:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
                self._descriptor = os.open(self._path, flags, 0o600)
            size = os.fstat(self._descriptor).st_size
            if os.write(self._descriptor, text) != len(text):
                os.ftruncate(self._descriptor, size)
                raise OSError(errno.ENOSPC, "the disk took only a part")
            os.fsync(self._descriptor)
        except OSError as problem:
            tell(f"expected to keep {len(ends)} results in {self._path}, got {problem}")
            return False
        return True

    def clear(self) -> None:
        """The log has everything now."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def read(self) -> list[Spooled]:
        """Return what an earlier generation kept; a torn last line is left out."""
        if self._path is None or not self._path.exists():
            return []
        found = []
        for text in self._path.read_bytes().splitlines():
            try:
                line = _lines.decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError) as problem:
                tell(f"skipped a torn line of {self._path}: {problem}")
                continue
            entries = [_entry(said) for said in line.entries]
            if all(entries):
                found.append(Spooled([one for one in entries if one], line.replies, line.delay_s))
        return found


def _line(end: Spooled) -> _Line:
    said = [_Said(one.subject, Raw(encode(one.envelope)), one.expect) for one in end.entries]
    return _Line(said, list(end.replies), end.delay_s)


def _entry(said: _Said) -> Entry | None:
    event: Recorded = decode(0, said.subject, bytes(said.event))
    if not isinstance(event.body, Event):
        return None
    envelope = Envelope(
        id=event.id,
        time=event.time,
        source=event.source,
        cause=event.cause,
        correlation=event.correlation,
        trace=event.trace,
        body=event.body,
    )
    return Entry(envelope, said.subject, said.expect)

"""Logs of real nodes, kept as they were: JSON lines of position, subject and the exact bytes of each event."""

import gzip
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from events.codec import decode
from events.envelope import Recorded

FOLDER = Path(__file__).parent
SPINE = FOLDER / "spine.jsonl.gz"


class Line(Struct, frozen=True):
    """One event; `data` is its JSON text."""

    position: int
    subject: str
    data: str


def load(path: Path = SPINE) -> list[Recorded]:
    """Read a history."""
    decoder = msgspec.json.Decoder(Line)
    with gzip.open(path, "rb") as file:
        lines = [decoder.decode(line) for line in file]
    return [decode(line.position, line.subject, line.data.encode()) for line in lines]


def save(path: Path, events: Iterable[Recorded]) -> int:
    """Write a history; returns its size in bytes. The same events make the same file."""
    encoder = msgspec.json.Encoder()
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        for event in events:
            file.write(encoder.encode(Line(event.position, event.subject, event.data.decode())) + b"\n")
    return path.stat().st_size

"""The walk over the whole log: every position, every byte, and what was known of it before."""

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from actors.faces.console.output import Progress
from actors.faces.console.reading import Reading
from actors.faces.console.source import LogSource
from actors.place import ClientError, Place
from events.envelope import Malformed, Recorded
from projections import anchor as anchors
from projections.chain import Chain, ChainBroken
from projections.segments import SegmentDamaged, Segments


class Witness(Struct, frozen=True):
    """Somebody who knows the log's hash at a position."""

    by: str
    position: int
    head: str


def verify_log(place: Place) -> dict[str, Any]:
    """Return what the walk found; `ok` is False when anything is missing or was changed."""
    damage: list[dict[str, Any]] = []
    witnesses = sorted(_witnesses(place, damage), key=lambda witness: witness.position)
    with LogSource(place) as source:
        if source.segments:
            witnesses = sorted([*witnesses, *_sealed(source.segments, damage)], key=lambda one: one.position)
        walk = _walk(source, witnesses, damage)
        if source.segments and source.segments.last:
            _compare(source, source.segments, damage)
    last = walk["last"]
    for witness in witnesses:
        if witness.position > last:
            damage.append(_range(last + 1, witness.position, f"lost: {witness.by} has seen them"))
    return {**walk, "ok": not damage, "damage": damage, "source": source.name}


def _witnesses(place: Place, damage: list[dict[str, Any]]) -> list[Witness]:
    """Ask the anchor file and the tables, before the walk begins: the log grows meanwhile."""
    found = []
    if place.data is not None:
        path = anchors.path_in(place.data)
        try:
            anchor = anchors.read(path)
        except anchors.AnchorUnreadable as problem:
            damage.append(_range(0, 0, str(problem)))
            anchor = None
        if anchor and anchor.position:
            found.append(Witness(str(path), anchor.position, anchor.head))
    try:
        with Reading(place) as reading:
            (row,) = reading.query("SELECT seq, head FROM log_end")
    except (ClientError, ValueError):
        return found
    if row["seq"]:
        found.append(Witness("the tables", row["seq"], row["head"]))
    return found


def _sealed(segments: Segments, damage: list[dict[str, Any]]) -> list[Witness]:
    """Prove every sealed file's bytes; what it was sealed with is a witness of the walk."""
    found = []
    for segment in segments.all:
        try:
            segments.check(segment, whole=True)
        except SegmentDamaged as problem:
            damage.append(_range(segment.first, segment.last, str(problem)))
        found.append(Witness(segment.name, segment.last, segment.head))
    return found


def _compare(source: LogSource, segments: Segments, damage: list[dict[str, Any]]) -> None:
    """Compare what is sealed and still in the stream, event by event: queues and claims read it there."""
    if damage:
        return
    sealed: Iterator[Recorded] = iter(())
    at = -1
    for chunk in source.retained(segments.last):
        for event in chunk:
            if event.position != at + 1:
                rows = segments.events(event.position - 1)
                sealed = (row for page in rows for row in page)
            at = event.position
            row = next(sealed)
            if (row.subject, row.data) != (event.subject, event.data):
                damage.append(_range(at, at, "changed: the stream has other bytes than the sealed segment"))


def _walk(source: LogSource, witnesses: list[Witness], damage: list[dict[str, Any]]) -> dict[str, Any]:
    chain = Chain()
    end = source.end()
    proofs: list[dict[str, Any]] = []
    waiting = list(witnesses)
    first = events = malformed = proven = 0
    progress = Progress("verified", end)
    for chunk in _whole(source, end, damage):
        for event in chunk:
            first = first or event.position
            events += 1
            malformed += isinstance(event.body, Malformed)
            try:
                chain.push(event.position, event.data)
            except ChainBroken as broken:
                damage.append(_range(broken.expected, event.position - 1, "missing"))
                chain = Chain(event.position - 1, chain.head, chain.count)
                chain.push(event.position, event.data)
            while waiting and waiting[0].position == event.position:
                witness = waiting.pop(0)
                if witness.head == chain.head_hex:
                    proven = event.position
                    proofs.append({"by": witness.by, "position": event.position})
                elif not any(item["what"] == "missing" for item in damage):
                    text = (
                        f"changed: {witness.by} has the hash {witness.head}, the events give {chain.head_hex}"
                    )
                    damage.append(_range(proven + 1, event.position, text))
        progress.at(chain.position)
    progress.end()
    if chain.position < end and not damage:
        damage.append(_range(chain.position + 1, end, "missing"))
    return {
        "events": events,
        "first": first,
        "last": chain.position,
        "head": chain.head_hex,
        "proofs": proofs,
        "unreadable": malformed,
    }


def _whole(source: LogSource, end: int, damage: list[dict[str, Any]]) -> Iterator[Sequence[Recorded]]:
    """Yield everything; a segment that cannot be read ends the walk, it is named already or here."""
    try:
        yield from source.chunks(0, end)
    except SegmentDamaged as problem:
        if not damage:
            damage.append(_range(0, end, str(problem)))


def _range(start: int, end: int, what: str) -> dict[str, Any]:
    return {"from": start, "to": end, "what": what}

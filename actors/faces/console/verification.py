"""The walk over the whole log: every position, every byte, and what was known of it before."""

from typing import Any

from msgspec import Struct

from actors.faces.console.output import Progress
from actors.faces.console.reading import Reading
from actors.faces.console.source import LogSource
from actors.place import ClientError, Place
from events.envelope import Malformed
from projections import anchor as anchors
from projections.chain import Chain, ChainBroken


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
        walk = _walk(source, witnesses, damage)
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


def _walk(source: LogSource, witnesses: list[Witness], damage: list[dict[str, Any]]) -> dict[str, Any]:
    chain = Chain()
    end = source.end()
    proofs: list[dict[str, Any]] = []
    waiting = list(witnesses)
    first = events = malformed = proven = 0
    progress = Progress("verified", end)
    for chunk in source.chunks(0, end):
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
    if chain.position < end:
        damage.append(_range(chain.position + 1, end, "missing"))
    return {
        "events": events,
        "first": first,
        "last": chain.position,
        "head": chain.head_hex,
        "proofs": proofs,
        "unreadable": malformed,
    }


def _range(start: int, end: int, what: str) -> dict[str, Any]:
    return {"from": start, "to": end, "what": what}

"""Makes a damaged log whole again from what stands outside the stream; the damaged store is kept aside."""

import os
import select
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
from msgspec import Struct

from actors.blocks import folder_of, records
from actors.ground import NATS_UNIT, lock_folder
from actors.inspection import known_anchor, prove, prove_store
from actors.process import Process, leader
from actors.rediscovery import needs_rediscovery, rediscover
from actors.refill import refill
from events.codec import decode
from events.log import LogDamaged
from projections.anchor import Anchor
from projections.archive import Archive
from projections.chain import ChainBroken
from projections.segments import MANIFEST, Row, SegmentDamaged, Segments, sync_folder
from projections.warehouse import Warehouse
from projections.warehouse_file import WarehouseDamaged

Rows = Callable[[int, int | None], Iterator[Sequence[Row]]]

_SERVER_END_S = 10.0


class Repaired(Struct, frozen=True):
    """What was done: sealed files made again, the first and last position of a new stream (0: kept as it is)."""

    files: list[str]
    first: int
    last: int
    aside: str


def repair(data: Path) -> Repaired:
    """Repair the log of a stopped data folder.

    Raises GroundError while a node runs on it, LogDamaged when no whole copy reaches the anchor.
    """
    lock = lock_folder(data)
    try:
        _end_server(data)
        return _repair(data, data / "nats" / "store")
    finally:
        os.close(lock)


def _repair(data: Path, store: Path) -> Repaired:
    anchor = known_anchor(data)
    warehouse = _warehouse(data)
    made: list[str] = []
    sources: list[tuple[str, Rows]] = [("stream", lambda after, until: _stored(store, after, until))]
    if warehouse:
        sources.insert(0, ("tables", warehouse.rows))
    try:
        if needs_rediscovery(data):
            segments = rediscover(data, warehouse.rows if warehouse else None, store)
            made.append(MANIFEST)
        else:
            segments = Segments(data)
        files = [*made, *(_remake(segments, number, sources) for number in _broken(segments))]
        try:
            prove_store(data, segments, store, alive=False)
            return Repaired(files, 0, 0, "")
        except LogDamaged:
            pass
        tail, end = _tail(segments, sources, anchor)
        first = _first(segments, tail, end)
        fresh = store.with_name("store.next")
        last = refill(fresh, first, _all(segments, tail, first, end))
    finally:
        if warehouse:
            warehouse.close()
    if segments.last:
        segments.mark(min(first, segments.last + 1))
    if prove(data, segments, records(folder_of(fresh))) != last:
        raise LogDamaged(f"expected the new stream to end at {end}, got another; the old one is untouched")
    return Repaired(files, first, last, _swap(store, fresh))


def _end_server(data: Path) -> None:
    """End a server that outlived its node; its workers go on and find the new one at the same address."""
    try:
        marker = msgspec.json.decode((data / "node.json").read_bytes())["marker"]
    except (OSError, KeyError, msgspec.DecodeError):
        return
    identity = leader(f"{marker}:{NATS_UNIT}")
    process = Process.open(identity) if identity else None
    if process:
        with process:
            process.signal(15)
            if not select.select([process.wait_fd()], [], [], _SERVER_END_S)[0]:
                process.signal(9)
                select.select([process.wait_fd()], [], [], _SERVER_END_S)


def _warehouse(data: Path) -> Warehouse | None:
    path = data / "warehouse.duckdb"
    try:
        return Warehouse.open(path) if path.exists() else None
    except (WarehouseDamaged, ChainBroken):
        return None


def _stored(store: Path, after: int, until: int | None) -> Iterator[Sequence[Row]]:
    for position, subject, data in records(folder_of(store)):
        if position > after and (until is None or position <= until):
            yield [(position, subject, decode(position, subject, data).time, data)]


def _broken(segments: Segments) -> list[int]:
    found = []
    for number, segment in enumerate(segments.all):
        try:
            segments.check(segment, whole=True)
        except SegmentDamaged:
            found.append(number)
    return found


def _remake(segments: Segments, number: int, sources: Sequence[tuple[str, Rows]]) -> str:
    segment = segments.all[number]
    for _, rows in sources:
        try:
            with closing(rows(segment.first - 1, segment.last)) as pages:  # type: ignore[type-var]
                segments.remake(segment, pages)
        except (ChainBroken, SegmentDamaged):
            continue
        return segment.name
    raise LogDamaged(
        f"positions {segment.first} to {segment.last} cannot be repaired: {segment.name} is damaged and neither"
        " tables nor stream have the same bytes; try a backup"
    )


def _tail(segments: Segments, sources: Sequence[tuple[str, Rows]], anchor: Anchor | None) -> tuple[Rows, int]:
    """Return who has what follows the sealed files whole up to the anchor, and where that one's copy ends."""
    reach = segments.last
    for _, rows in sources:
        chain = segments.chain
        equal = anchor is None or anchor.position <= chain.position
        try:
            for page in rows(segments.last, None):
                for position, _, _, data in page:
                    chain.push(position, data)
                    if anchor and position == anchor.position:
                        equal = chain.head_hex == anchor.head
        except ChainBroken:
            pass
        if equal:
            return rows, chain.position
        reach = max(reach, chain.position)
    assert anchor is not None
    raise LogDamaged(
        f"positions {segments.last + 1} to {anchor.position} cannot be repaired: neither tables nor stream lead to"
        f" the anchor's hash (they reach {reach}); try a backup"
    )


def _all(segments: Segments, tail: Rows, first: int, end: int) -> Iterator[Sequence[Row]]:
    yield from segments.rows(first - 1)
    yield from tail(max(segments.last, first - 1), end)


def _first(segments: Segments, tail: Rows, end: int) -> int:
    """Return where the new stream has to begin: at what is not sealed, or at the oldest task without an end."""
    archive = Archive()
    for page in _all(segments, tail, 1, end):
        for position, subject, _, data in page:
            archive.apply(decode(position, subject, data))
    oldest = archive.oldest_open(0)
    return min(oldest, segments.last + 1) if oldest else segments.last + 1


def _swap(store: Path, fresh: Path) -> str:
    """Put the new store in place; the damaged one is kept under the next free name."""
    aside = ""
    if store.exists():
        number = 1
        while (target := store.with_name(f"store.damaged-{number}")).exists():
            number += 1
        store.rename(target)
        aside = str(target)
    fresh.rename(store)
    sync_folder(store.parent)
    return aside

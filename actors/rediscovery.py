"""Makes a lost or damaged manifest again from the sealed files, and from the tables where a file is not whole."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from actors.blocks import folder_of, records
from events.codec import decode
from events.log import LogDamaged
from projections.archive import Archive
from projections.chain import Chain, ChainBroken
from projections.segments import (
    FOLDER,
    MANIFEST,
    Row,
    Segment,
    SegmentDamaged,
    Segments,
    rows_in,
    sha256_of,
    sync_folder,
)

Rows = Callable[[int, int | None], Iterator[Sequence[Row]]]

_FILES = "[0-9]*-[0-9]*.parquet"


def needs_rediscovery(data: Path) -> bool:
    """Tell whether there are sealed files that no readable manifest names."""
    try:
        return not Segments(data).all and any((data / FOLDER).glob(_FILES))
    except SegmentDamaged:
        return True


def rediscover(data: Path, tables: Rows | None, store: Path) -> Segments:
    """Write the manifest anew; the old one is kept aside. The heads it names are proven by whoever proves the log.

    Raises LogDamaged where positions are in no file, or in one that cannot be read and in no table.
    """
    folder = data / FOLDER
    chain, archive, found = Chain(), Archive(), []
    for path in sorted(folder.glob(_FILES), key=_span):
        first = _span(path)[0]
        if first != chain.position + 1:
            raise LogDamaged(
                f"positions {chain.position + 1} to {first - 1} are in no file of {folder}; try a backup"
            )
        found.append(_segment(path, chain, archive, tables))
    old = folder / MANIFEST
    if old.exists():
        old.rename(old.with_suffix(".damaged"))
        sync_folder(folder)
    return Segments.named(data, found, _emptied_below(chain.position, archive, store))


def _span(path: Path) -> tuple[int, int]:
    first, last = path.stem.split("-")
    return int(first), int(last)


def _segment(path: Path, chain: Chain, archive: Archive, tables: Rows | None) -> Segment:
    """Describe one file and move the chain and the fold on over it; one that is not whole gets a size that is none."""
    first, last = _span(path)
    before = chain.copy()
    sources: list[tuple[Iterator[Sequence[Row]], int]] = [
        (rows_in(path, first - 1, last), path.stat().st_size)
    ]
    if tables:
        sources.append((tables(first - 1, last), -1))
    for pages, size in sources:
        here = before.copy()
        rows = []
        try:
            with closing(pages):  # type: ignore[type-var]
                for page in pages:
                    for position, subject, time, data in page:
                        here.push(position, data)
                        rows.append((position, subject, time, data))
        except (ChainBroken, SegmentDamaged):
            continue
        if here.position != last:
            continue
        chain.position, chain.head, chain.count = here.position, here.head, here.count
        for position, subject, _, data in rows:
            archive.apply(decode(position, subject, data))
        return Segment(
            first=first,
            last=last,
            count=last - first + 1,
            before=before.head_hex,
            head=here.head_hex,
            sha256=sha256_of(path),
            size=size,
            time=rows[-1][2],
        )
    raise LogDamaged(
        f"positions {first} to {last} cannot be repaired: {path.name} is damaged, its manifest is gone and the tables"
        " do not have them; try a backup"
    )


def _emptied_below(sealed: int, archive: Archive, store: Path) -> int:
    """Return below what the stream need not hold anything: all is sealed there, and no task is open.

    Its files do not tell how far it was emptied, and the log tells only of what was finished.
    """
    for position, subject, data in records(folder_of(store)):
        if position > sealed:
            archive.apply(decode(position, subject, data))
    oldest = archive.oldest_open(0)
    return min(oldest, sealed + 1) if oldest else sealed + 1

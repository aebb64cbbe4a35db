"""Sealed history: Parquet files of the log's exact bytes, each proven when written, named in one manifest."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import duckdb
import msgspec
from msgspec import Struct

from events.codec import decode, pieces
from events.envelope import Recorded
from events.log import LogDamaged
from projections.chain import Chain, ChainBroken
from projections.warehouse_file import MEMORY

FOLDER, MANIFEST = "segments", "manifest.json"
PAGE = 1_000
MAX_BYTES = 32 * 1024 * 1024
"""Raw bytes of one segment at most; a segment ends at the event that passes it."""

Row = tuple[int, str, int, bytes]
"""Position, subject, time (microseconds), stored bytes."""

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "memory_limit": MEMORY,
    "threads": 1,
}


class SegmentDamaged(LogDamaged):
    """A sealed file or the manifest is not what was sealed."""


class Segment(Struct, frozen=True, kw_only=True):
    """One sealed file: `before` and `head` are the chain's heads in hex around it, `size` its bytes on disk."""

    first: int
    last: int
    count: int
    before: str
    head: str
    sha256: str
    size: int
    time: int

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.first:012}-{self.last:012}.parquet"


class _Manifest(Struct, kw_only=True):
    version: int = 1
    purged: int = 0
    segments: list[Segment]


class Segments:
    """The sealed segments of one data folder. One writer; readers in any process see whole manifests only."""

    def __init__(self, data: Path) -> None:
        """Read the manifest. Raises SegmentDamaged when it cannot be read or does not hang together."""
        self.folder = data / FOLDER
        self.all: list[Segment] = []
        self.purged = 0
        self.reload()

    @classmethod
    def named(cls, data: Path, segments: list[Segment], purged: int) -> "Segments":
        """Write a manifest of these files from scratch."""
        made = cls.__new__(cls)
        made.folder = data / FOLDER
        made._say(_Manifest(segments=segments, purged=purged))
        return made

    def reload(self) -> None:
        """Read the manifest again. Raises SegmentDamaged."""
        path = self.folder / MANIFEST
        try:
            manifest = msgspec.json.decode(path.read_bytes(), type=_Manifest)
        except FileNotFoundError:
            # One file without a manifest is what a crash in the first sealing leaves: nothing is sealed yet.
            if len(list(self.folder.glob("*-*.parquet"))) > 1:
                raise SegmentDamaged(f"expected {path}, got no such file; try elf log repair") from None
            manifest = _Manifest(segments=[])
        except msgspec.DecodeError as problem:
            raise SegmentDamaged(
                f"expected a manifest in {path}, got {problem}; try elf log repair"
            ) from None
        chain = Chain()
        for segment in manifest.segments:
            if segment.first != chain.position + 1 or segment.before != chain.head_hex:
                raise SegmentDamaged(
                    f"expected a segment from {chain.position + 1} after {chain.head_hex} in {path},"
                    f" got {segment.name} after {segment.before}; is it of another log?"
                )
            chain = Chain(segment.last, bytes.fromhex(segment.head), segment.last)
        self.all, self.purged = manifest.segments, manifest.purged

    @property
    def last(self) -> int:
        """The last sealed position, 0 without any."""
        return self.all[-1].last if self.all else 0

    @property
    def chain(self) -> Chain:
        """The running hash at the end of the last segment."""
        return self.chain_before(self.last + 1)

    def chain_before(self, first: int) -> Chain:
        """Return the chain before a segment's first position, or behind the last one."""
        for segment in self.all:
            if segment.first == first:
                return Chain(first - 1, bytes.fromhex(segment.before), first - 1)
        if self.all and first == self.last + 1:
            return Chain(self.last, bytes.fromhex(self.all[-1].head), self.last)
        return Chain()

    def of(self, position: int) -> Segment | None:
        """Return the segment that holds a position."""
        return next((one for one in self.all if one.first <= position <= one.last), None)

    # --- sealing -------------------------------------------------------------------------------------------

    def seal(self, pages: Iterable[Sequence[Row]], limit: int) -> Segment:
        """Write the next segment of at most `limit` events, read it back, and only then name it in the manifest.

        Raises ChainBroken when the rows do not go on from the last segment, SegmentDamaged when what was
        written is not what was read. A crash at any point leaves the old manifest or the new one.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = self.chain
        fresh = self.folder / "next.parquet"
        chain, time = self._write(fresh, pages, before.copy(), limit)
        if chain.position == before.position:
            raise ValueError("expected events to seal, got none")
        segment = Segment(
            first=before.position + 1,
            last=chain.position,
            count=chain.position - before.position,
            before=before.head_hex,
            head=chain.head_hex,
            sha256=sha256_of(fresh),
            size=fresh.stat().st_size,
            time=time,
        )
        _prove(fresh, segment)
        fresh.replace(self.folder / segment.name)
        sync_folder(self.folder)
        self._name([*self.all, segment])
        return segment

    def _write(
        self, fresh: Path, pages: Iterable[Sequence[Row]], chain: Chain, limit: int
    ) -> tuple[Chain, int]:
        connection = duckdb.connect(":memory:", config=_CONFIG)
        left, size, time = limit, 0, 0
        try:
            connection.execute("CREATE TABLE s (position BIGINT, subject VARCHAR, time BIGINT, data BLOB)")
            appender = connection.appender("s")
            for page in pages:
                taken = list(page[:left])
                for position, _, _, data in taken:
                    chain.push(position, data)
                    size += len(data)
                if taken:
                    appender.append_rows(taken)
                    time = taken[-1][2]
                left -= len(taken)
                if left <= 0 or size >= MAX_BYTES:
                    break
            appender.flush()
            target = str(fresh).replace("'", "''")
            connection.execute(f"COPY s TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
        finally:
            connection.close()
        with fresh.open("rb") as file:
            os.fsync(file.fileno())
        return chain, time

    def _name(self, segments: list[Segment]) -> None:
        self._say(_Manifest(segments=segments, purged=self.purged))

    def mark(self, below: int) -> None:
        """Note durably that the stream is about to be emptied below a position; it has to be sealed."""
        if not 0 < below <= self.last + 1:
            raise ValueError(f"expected a position up to {self.last + 1}, got {below}")
        self._say(_Manifest(segments=self.all, purged=max(self.purged, below)))

    def _say(self, manifest: _Manifest) -> None:
        path = self.folder / MANIFEST
        fresh = path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        sync_folder(self.folder)
        self.all, self.purged = manifest.segments, manifest.purged

    # --- proving and reading -------------------------------------------------------------------------------

    def check(self, segment: Segment, whole: bool = False) -> None:
        """Raise SegmentDamaged unless the file is there with its size, and with its sha256 if `whole`."""
        path = self.folder / segment.name
        span = f"positions {segment.first} to {segment.last}"
        if not path.exists():
            raise SegmentDamaged(f"expected {path} with {span}, got no such file; try elf log repair")
        if path.stat().st_size != segment.size or (whole and sha256_of(path) != segment.sha256):
            raise SegmentDamaged(
                f"expected {path} with {span} as it was sealed, got other bytes; try elf log repair"
            )

    def events(self, after: int = 0, until: int | None = None) -> Iterator[Sequence[Recorded]]:
        """Yield what is sealed behind `after`, up to and with `until`, in log order. Raises SegmentDamaged."""
        for rows in self.rows(after, until):
            for piece in pieces(rows):
                yield [decode(position, subject, data) for position, subject, _, data in piece]

    def rows(self, after: int = 0, until: int | None = None) -> Iterator[list[Row]]:
        """Yield the raw rows behind `after`, up to and with `until`. Raises SegmentDamaged."""
        end = self.last if until is None else min(until, self.last)
        for segment in self.all:
            if segment.last > after and segment.first <= end:
                self.check(segment)
                yield from rows_in(self.folder / segment.name, max(after, segment.first - 1), end)

    def remake(self, segment: Segment, pages: Iterable[Sequence[Row]]) -> None:
        """Write a lost or damaged file again from its rows; they must lead to the head that was sealed."""
        fresh = self.folder / "next.parquet"
        chain, _ = self._write(fresh, pages, self.chain_before(segment.first), segment.count)
        if (chain.position, chain.head_hex) != (segment.last, segment.head):
            raise SegmentDamaged(
                f"expected head {segment.head} at {segment.last}, got {chain.head_hex} at {chain.position}"
            )
        _prove(fresh, segment)
        path = self.folder / segment.name
        fresh.replace(path)
        sync_folder(self.folder)
        again = msgspec.structs.replace(segment, sha256=sha256_of(path), size=path.stat().st_size)
        self._name([again if one.first == segment.first else one for one in self.all])


def rows_in(path: Path, after: int, until: int) -> Iterator[list[Row]]:
    """Yield the rows of one sealed file behind `after`, up to and with `until`. Raises SegmentDamaged."""
    connection = duckdb.connect(":memory:", config=_CONFIG)
    try:
        connection.execute(
            "SELECT position, subject, time, data FROM read_parquet(?) WHERE position > ? AND position <= ?",
            [str(path), after, until],
        )
        while rows := connection.fetchmany(PAGE):
            yield rows
    except duckdb.Error as problem:
        reason = str(problem).splitlines()[0]
        raise SegmentDamaged(
            f"expected a sealed segment in {path}, got {reason}; try elf log repair"
        ) from None
    finally:
        connection.close()


def _prove(path: Path, segment: Segment) -> None:
    """Read a written file back; raises SegmentDamaged unless it leads from the head before to the head after."""
    chain = Chain(segment.first - 1, bytes.fromhex(segment.before), segment.first - 1)
    try:
        for rows in rows_in(path, segment.first - 1, segment.last):
            for position, _, _, data in rows:
                chain.push(position, data)
    except ChainBroken as broken:
        raise SegmentDamaged(f"expected {path} as written, got {broken}; nothing was sealed") from broken
    if (chain.position, chain.head_hex) != (segment.last, segment.head):
        raise SegmentDamaged(
            f"expected head {segment.head} in {path}, got {chain.head_hex}; nothing was sealed"
        )


def sha256_of(path: Path) -> str:
    """Return a file's sha256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

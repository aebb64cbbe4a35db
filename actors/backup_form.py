"""The form of a backup: one tar of gzipped parts with framed events, and last a manifest that proves them."""

import gzip
import hashlib
import io
import struct
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from actors.version import is_newer
from events.log import LogDamaged

FORMAT = 1
MANIFEST, CONFIG = "manifest.json", "forest.toml"
PART_BYTES = 8 * 1024 * 1024
"""Raw bytes of one part at most, but for an event that is larger."""

_FRAME = struct.Struct(">QHI")
"""Before each event: its position, the length of its subject, the length of its bytes."""

Raw = tuple[int, str, bytes]
"""Position, subject, stored bytes."""


class BackupRefused(Exception):
    """There is nothing to back up, or this is no backup for this release."""


class BackupDamaged(LogDamaged):
    """A part of a backup is not what was written."""


class Part(Struct, frozen=True, kw_only=True):
    """One file of the archive, its sha256 and size as they stand there."""

    name: str
    sha256: str
    size: int


class Manifest(Struct, frozen=True, kw_only=True):
    """What is in a backup. `sealed` are the last positions of the segments, `release` and `pure_zone` who wrote it."""

    format: int
    release: str
    pure_zone: str
    node: str
    first: int
    last: int
    count: int
    head: str
    time: int
    sealed: list[int]
    files: list[Part]


class _Format(Struct):
    format: int
    release: str


def pack(rows: Iterable[Raw]) -> bytes:
    """Return one part's bytes."""
    frames: list[bytes] = []
    for position, subject, data in rows:
        name = subject.encode()
        frames += (_FRAME.pack(position, len(name), len(data)), name, data)
    return gzip.compress(b"".join(frames), 6, mtime=0)


def unpack(data: bytes) -> Iterator[Raw]:
    """Yield a part's events. Raises ValueError when it does not hold whole ones."""
    try:
        plain = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as problem:
        raise ValueError(str(problem)) from problem
    at = 0
    while at < len(plain):
        try:
            position, name, size = _FRAME.unpack_from(plain, at)
        except struct.error as problem:
            raise ValueError(str(problem)) from problem
        at += _FRAME.size
        if at + name + size > len(plain):
            raise ValueError("an event is cut off")
        yield position, plain[at : at + name].decode(), plain[at + name : at + name + size]
        at += name + size


def put(archive: tarfile.TarFile, name: str, data: bytes) -> Part:
    """Write one file into an archive."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o600
    archive.addfile(info, io.BytesIO(data))
    return Part(name=name, sha256=hashlib.sha256(data).hexdigest(), size=len(data))


class Backup:
    """A backup that is read; its manifest is checked at once, each part when it is read. A context manager.

    Raises BackupRefused for what is no backup or of a newer release, BackupDamaged for what is not whole.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._archive = tarfile.open(path, "r:")  # noqa: SIM115
        except (tarfile.TarError, EOFError) as problem:
            raise BackupRefused(f"expected a backup in {path}, got: {problem}") from None
        try:
            self._members = {member.name: member for member in self._walk()}
            self.manifest = self._manifest()
        except BaseException:
            self._archive.close()
            raise

    def __enter__(self) -> "Backup":
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def read(self, part: Part) -> bytes:
        """Return a part's bytes, proven."""
        member = self._members.get(part.name)
        if member is None:
            raise self._damaged(part.name, "none")
        data = self._bytes(member)
        if len(data) != part.size or hashlib.sha256(data).hexdigest() != part.sha256:
            raise self._damaged(part.name, "other bytes")
        return data

    def _walk(self) -> Iterator[tarfile.TarInfo]:
        try:
            while (member := self._archive.next()) is not None:
                yield member
        except (tarfile.TarError, EOFError) as problem:
            raise BackupDamaged(
                f"expected {self.path} to be whole, got: {problem}; try another backup"
            ) from None

    def _manifest(self) -> Manifest:
        names = list(self._members)
        if MANIFEST not in self._members:
            if not names or not names[0].startswith("log/"):
                raise BackupRefused(f"expected a backup in {self.path}, got another archive")
            raise BackupDamaged(
                f"expected {MANIFEST} at the end of {self.path}, got {names[-1]} as its last part;"
                " it is cut off, try another backup"
            )
        data = self._bytes(self._members[MANIFEST])
        try:
            found = msgspec.json.decode(data, type=_Format)
        except msgspec.DecodeError as problem:
            raise self._damaged(MANIFEST, str(problem)) from None
        if found.format > FORMAT or is_newer(found.release):
            raise BackupRefused(
                f"expected a backup of this release or an earlier one in {self.path}, got format {found.format}"
                f" of release {found.release}; try that release"
            )
        try:
            return msgspec.json.decode(data, type=Manifest)
        except msgspec.DecodeError as problem:
            raise self._damaged(MANIFEST, str(problem)) from None

    def _bytes(self, member: tarfile.TarInfo) -> bytes:
        try:
            file = self._archive.extractfile(member)
            return file.read() if file else b""
        except (tarfile.TarError, EOFError, OSError) as problem:
            raise self._damaged(member.name, str(problem)) from None

    def _damaged(self, name: str, what: str) -> BackupDamaged:
        return BackupDamaged(
            f"expected {name} in {self.path} as it was written, got {what}; try another backup"
        )

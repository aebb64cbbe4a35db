"""Writes a whole log into one file, with the proof that it is whole."""

import os
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from actors.backup_form import (
    CONFIG,
    FORMAT,
    MANIFEST,
    PART_BYTES,
    BackupRefused,
    Manifest,
    Part,
    Raw,
    pack,
    put,
)
from actors.snapshots import pure_zone
from actors.version import is_newer, version
from events.envelope import Recorded
from events.log import LogDamaged
from events.observations import NodeStarted
from projections.anchor import Anchor
from projections.chain import Chain, ChainBroken
from projections.segments import sync_folder

Progress = Callable[[int], None]


def write_backup(
    path: Path,
    events: Iterable[Sequence[Recorded]],
    sealed: Sequence[int],
    anchor: Anchor | None,
    config: bytes | None,
    progress: Progress = lambda _: None,
) -> Manifest:
    """Write a log into a new file with mode 0600, durable before it has its name.

    `sealed` are the last positions of its segments, `anchor` what is known of it. Raises LogDamaged when the log
    is not whole or not the anchor's, BackupRefused when it is empty or a newer release's, FileExistsError.
    """
    if path.exists():
        raise FileExistsError(17, "File exists", str(path))
    fresh = path.with_name(f"{path.name}.new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            with tarfile.open(fileobj=file, mode="w:", format=tarfile.GNU_FORMAT) as archive:
                manifest = _fill(archive, events, sealed, anchor, config, progress)
            file.flush()
            os.fsync(file.fileno())
        os.link(fresh, path)  # unlike a rename it never takes the place of another file
    finally:
        fresh.unlink()
        sync_folder(path.parent)
    return manifest


def _fill(
    archive: tarfile.TarFile,
    events: Iterable[Sequence[Recorded]],
    sealed: Sequence[int],
    anchor: Anchor | None,
    config: bytes | None,
    progress: Progress,
) -> Manifest:
    walk = _Walk(anchor)
    files: list[Part] = []
    for rows in _cut(walk.take(events)):
        name = f"log/{rows[0][0]:012}-{rows[-1][0]:012}.gz"
        files.append(put(archive, name, pack(rows)))
        progress(rows[-1][0])
    chain = walk.chain
    if not chain.position:
        raise BackupRefused("expected a log with events, got an empty one; there is nothing to back up")
    if anchor and anchor.position > chain.position:
        raise LogDamaged(
            f"the log is damaged: positions {chain.position + 1} to {anchor.position} lost; try elf log repair"
        )
    if is_newer(walk.release):
        raise BackupRefused(
            f"expected a log of this release or an earlier one, got {walk.release}; try that release"
        )
    if config is not None:
        files.append(put(archive, CONFIG, config))
    manifest = Manifest(
        format=FORMAT,
        release=version(),
        pure_zone=pure_zone(),
        node=walk.node,
        first=1,
        last=chain.position,
        count=chain.count,
        head=chain.head_hex,
        time=walk.time,
        sealed=[position for position in sealed if position <= chain.position],
        files=files,
    )
    put(archive, MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
    return manifest


class _Walk:
    """What is learnt of a log on the way through it."""

    def __init__(self, anchor: Anchor | None) -> None:
        self.chain = Chain()
        self.node = self.release = ""
        self.time = 0
        self._anchor = anchor

    def take(self, events: Iterable[Sequence[Recorded]]) -> Iterator[Raw]:
        """Pass every event on once it is proven to follow the one before."""
        for chunk in events:
            for event in chunk:
                self._push(event)
                yield event.position, event.subject, event.data

    def _push(self, event: Recorded) -> None:
        try:
            self.chain.push(event.position, event.data)
        except ChainBroken as broken:
            raise LogDamaged(f"the log is damaged: {broken}; try elf log verify") from None
        anchor = self._anchor
        if anchor and anchor.position == event.position and anchor.head != self.chain.head_hex:
            raise LogDamaged(
                f"the log is damaged: positions 1 to {event.position} changed: the anchor has the hash"
                f" {anchor.head}, they give {self.chain.head_hex}; try elf log repair"
            )
        if isinstance(event.body, NodeStarted):
            self.node, self.release = event.body.node, event.body.release
        self.time = max(self.time, event.time)


def _cut(rows: Iterable[Raw]) -> Iterator[list[Raw]]:
    part: list[Raw] = []
    size = 0
    for row in rows:
        if part and size + len(row[2]) > PART_BYTES:
            yield part
            part, size = [], 0
        part.append(row)
        size += len(row[2])
    if part:
        yield part

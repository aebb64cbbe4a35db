"""Makes a data folder out of a backup: tables and segments from its events, the stream as a repair makes it."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from actors.backup_form import CONFIG, Backup, BackupDamaged, BackupRefused, Manifest, unpack
from actors.repair import repair
from events.codec import decode
from events.envelope import Recorded
from projections import anchor
from projections.chain import ChainBroken
from projections.segments import PAGE, Segments, sync_folder
from projections.warehouse import Warehouse

Progress = Callable[[int, int], None]


def restore(file: Path, target: Path, progress: Progress = lambda _, __: None) -> Manifest:
    """Make `target`, a new or an empty folder, the data folder that was backed up; passwords are made anew.

    It is built beside its place and moved there whole: after an error nothing is left of it. Raises BackupRefused,
    BackupDamaged (exit codes 2 and 3), OSError.
    """
    with Backup(file) as backup:
        if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
            raise BackupRefused(f"expected a new or an empty folder, got {target}, which is not; try another")
        place = target.absolute()
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{place.name}.", suffix=".new", dir=place.parent))
        try:
            _build(backup, fresh, progress)
            fresh.rename(place)
            sync_folder(place.parent)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        return backup.manifest


def _build(backup: Backup, data: Path, progress: Progress) -> None:
    manifest = backup.manifest
    with Warehouse.open(data / "warehouse.duckdb") as warehouse:
        for page in _events(backup):
            try:
                warehouse.add(page)
            except ChainBroken as broken:
                raise _damaged(backup, str(broken)) from None
            progress(page[-1].position, manifest.last)
        chain = warehouse.chain
        if (chain.position, chain.count, chain.head_hex) != (manifest.last, manifest.count, manifest.head):
            raise _damaged(backup, f"the hash {chain.head_hex} at {chain.position}")
        _seal(Segments(data), warehouse, manifest.sealed)
        anchor.write(anchor.path_in(data), warehouse.anchor)
    config = next((part for part in manifest.files if part.name == CONFIG), None)
    if config:
        (data / CONFIG).write_bytes(backup.read(config))
    repair(data)


def _events(backup: Backup) -> Iterator[Sequence[Recorded]]:
    for part in backup.manifest.files:
        if not part.name.startswith("log/"):
            continue
        page: list[Recorded] = []
        try:
            for row in unpack(backup.read(part)):
                page.append(decode(*row))
                if len(page) == PAGE:
                    yield page
                    page = []
        except ValueError as problem:
            raise BackupDamaged(
                f"expected {part.name} in {backup.path} as it was written, got: {problem}; try another backup"
            ) from None
        if page:
            yield page


def _seal(segments: Segments, warehouse: Warehouse, sealed: Sequence[int]) -> None:
    """Seal again what was sealed, file by file as it was."""
    for last in sealed:
        while segments.last < last:
            segments.seal(warehouse.rows(segments.last, last), last - segments.last)


def _damaged(backup: Backup, what: str) -> BackupDamaged:
    manifest = backup.manifest
    return BackupDamaged(
        f"expected the hash {manifest.head} at {manifest.last} in {backup.path}, got {what}; try another backup"
    )


def describe(manifest: Manifest) -> dict[str, object]:
    """Return a manifest as plain values, without the list of its parts."""
    plain: dict[str, object] = msgspec.to_builtins(manifest)
    plain["parts"] = len(manifest.files)
    del plain["files"]
    return plain

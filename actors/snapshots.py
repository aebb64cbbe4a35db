"""What a fold knew at a position, kept so that a start need not fold the whole log."""

import logging
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct

from actors.elves import Policy
from actors.elves.deliberation import Mind, decode_mind, encode_mind, new_mind

_log = logging.getLogger("elf.snapshots")

ROOT = Path(__file__).parents[1]
EVERY = 10_000
"""Positions at which folds are kept are multiples of this."""

T = TypeVar("T")


class _Snapshot(Struct):
    zone: str
    position: int
    digest: str
    mind: Raw


class Snapshots:
    """Reads and writes `<folder>/<name>.json`; one of another release's code is passed over and folded anew."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.zone = pure_zone()

    def load(self, policy: Policy[Any]) -> Mind[Any]:
        """Return the newest usable mind, a blank one where there is none."""
        found = self._read(policy.name)
        if found is not None:
            try:
                return decode_mind(policy, bytes(found.mind))
            except msgspec.DecodeError as problem:
                _log.warning("%s: the snapshot cannot be read (%s), folding the log", policy.name, problem)
        return new_mind(policy)

    def save(self, name: str, mind: Mind[Any]) -> str:
        """Write a mind in one step and return its digest."""
        return self._write(name, mind.view.timeline.position, encode_mind(mind))

    def restore(self, name: str, kind: type[T]) -> tuple[T, int] | None:
        """Return another fold's newest usable state and its position, None where there is none."""
        found = self._read(name)
        if found is None:
            return None
        try:
            return msgspec.json.decode(bytes(found.mind), type=kind), found.position
        except msgspec.DecodeError as problem:
            _log.warning("%s: the snapshot cannot be read (%s), folding the log", name, problem)
            return None

    def keep(self, name: str, position: int, state: Struct) -> str:
        """Write another fold's state in one step and return its digest."""
        return self._write(name, position, msgspec.json.encode(state))

    def forget_beyond(self, position: int) -> None:
        """Remove what knows more than the log holds: it was folded from events that were lost."""
        for path in self._folder.glob("*.json"):
            found = self._read(path.stem)
            if found is not None and found.position > position:
                _log.warning("%s: the snapshot stands behind the log's end, folding the log", path.stem)
                path.unlink()

    def _read(self, name: str) -> _Snapshot | None:
        path = self._folder / f"{name}.json"
        try:
            snapshot = msgspec.json.decode(path.read_bytes(), type=_Snapshot)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as problem:
            _log.warning("%s: the snapshot cannot be read (%s), folding the log", name, problem)
            return None
        if snapshot.zone == self.zone and digest_of_bytes(bytes(snapshot.mind)) == snapshot.digest:
            return snapshot
        _log.info("%s: the snapshot is of another release, folding the log", name)
        return None

    def _write(self, name: str, position: int, data: bytes) -> str:
        digest = digest_of_bytes(data)
        snapshot = _Snapshot(self.zone, position, digest, Raw(data))
        temporary = self._folder / f".{name}.new"
        try:
            temporary.write_bytes(msgspec.json.encode(snapshot))
            temporary.replace(self._folder / f"{name}.json")
        except OSError as problem:
            # The next start folds more; the log itself is not concerned.
            _log.warning("%s: no snapshot was written: %s", name, problem.strerror)
        return digest


def digest_of_bytes(data: bytes) -> str:
    """Return the digest of an encoded state."""
    return blake2b(data, digest_size=16).hexdigest()


def pure_zone() -> str:
    """Return a digest of the source of all that folds and decides; a changed one means: fold anew."""
    digest = blake2b(digest_size=12)
    for folder in ("events", "projections", "actors/elves"):
        for path in sorted((ROOT / folder).glob("*.py")):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()

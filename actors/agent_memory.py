"""What an agent's program must know if it is killed: one small file for each task that it holds."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from actors.runner_post import tell


class Kept(Struct, kw_only=True):
    """One task. `claim` is the position of its claim, 0 before the log has confirmed it.

    `began`: its command was started. `end` is the event that says how it ended, as it goes into the log.
    """

    task: str
    queue: str
    lease: int
    attempt: int
    nonce: str
    claim: int = 0
    began: bool = False
    end: Raw | None = None


class Memory:
    """The folder of these files; names are those of task and queue, which may stand in a path."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "held"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def keep(self, kept: Kept, durable: bool = False) -> None:
        """Write one task's file in one step; an end is worth waiting for the disk."""
        path = self._path(kept)
        try:
            temporary = path.with_suffix(".new")
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(kept))
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as problem:
            tell(f"expected to keep task {kept.task} in {path}, got {problem}", "agent")

    def forget(self, kept: Kept) -> None:
        """The log knows all about it now."""
        with contextlib.suppress(OSError):
            self._path(kept).unlink(missing_ok=True)

    def read(self) -> Iterator[Kept]:
        """Yield what an earlier run left; a torn file is said and left out."""
        for path in sorted(self._folder.glob("*.json")):
            try:
                yield msgspec.json.decode(path.read_bytes(), type=Kept)
            except (OSError, msgspec.DecodeError) as problem:
                tell(f"skipped {path}: {problem}", "agent")
                path.rename(path.with_suffix(".torn"))

    def _path(self, kept: Kept) -> Path:
        # One name for each lease: a task that comes back to the same agent is another one to it.
        return self._folder / f"{kept.queue}.{kept.task}.{kept.lease}.json"

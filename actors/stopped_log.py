"""The whole log of a stopped data folder, from its own files: sealed segments, then the stream's blocks."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from actors.blocks import folder_of, records
from actors.ground import NATS_UNIT, GroundError, lock_folder
from actors.inspection import prove_store
from actors.process import leader
from events.codec import decode
from events.envelope import Recorded
from projections.segments import PAGE, Segments


class StoppedLog:
    """Holds the folder's lock, so that no node starts meanwhile; the log is proven first. A context manager.

    Raises GroundError while a node or its server lives there, LogDamaged when the log is not whole.
    """

    def __init__(self, data: Path) -> None:
        if not (data / "lock").exists():
            raise GroundError(f"expected the data folder of a node in {data}, got none; try --data DIR")
        self.data = data
        self._lock = lock_folder(data)
        try:
            self._refuse_server()
            self.segments = Segments(data)
            self.last = self.prove()
        except BaseException:
            os.close(self._lock)
            raise

    def __enter__(self) -> "StoppedLog":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    def prove(self) -> int:
        """Walk over the stream's files once more; returns the last position. Raises LogDamaged."""
        return prove_store(self.data, self.segments, self.data / "nats" / "store", alive=False)

    def events(self, after: int = 0) -> Iterator[Sequence[Recorded]]:
        """Yield everything behind `after`, in log order."""
        for chunk in self.segments.events(after):
            yield chunk
            after = chunk[-1].position
        page: list[Recorded] = []
        for position, subject, data in records(folder_of(self.data / "nats" / "store")):
            if position > after:
                page.append(decode(position, subject, data))
                if len(page) == PAGE:
                    yield page
                    page = []
        if page:
            yield page

    def _refuse_server(self) -> None:
        try:
            marker = msgspec.json.decode((self.data / "node.json").read_bytes())["marker"]
        except (OSError, KeyError, msgspec.DecodeError):
            return
        if leader(f"{marker}:{NATS_UNIT}"):
            raise GroundError(
                f"expected {self.data} to be stopped, got a server that outlived its node;"
                " try elf node, and end it in order"
            )

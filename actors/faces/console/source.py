"""The log itself, wherever it is to be had: sealed segments, then the server's stream or the stopped folder's tail."""

import asyncio
from collections.abc import Iterator, Sequence

from actors.client import Client
from actors.faces.console.reading import open_file
from actors.place import NodeUnreachable, Place
from events.envelope import Recorded
from events.log import matches
from events.subjects import EVERYTHING
from projections.history import History
from projections.segments import Segments

_BATCH = 5000


class LogSource:
    """Events by position, sources chosen at the beginning. Blocking; use as a context manager.

    What is sealed on this machine is read from its segments, for it may have left the stream.
    """

    def __init__(self, place: Place) -> None:
        self._runner = asyncio.Runner()
        self._client: Client | None = None
        self._history: History | None = None
        self.segments = Segments(place.data) if place.data is not None else None
        try:
            self._client = self._runner.run(Client.open(place, "client"))
            self.name = self._client.connection.credentials.url
        except NodeUnreachable as problem:
            self._runner.close()
            warehouse = open_file(place, problem)
            assert self.segments is not None
            self._history = History(self.segments, warehouse)
            self.name = str(warehouse.path)

    def __enter__(self) -> "LogSource":
        return self

    def __exit__(self, *_: object) -> None:
        if self._client:
            self._runner.run(self._client.close())
            self._runner.close()
        if self._history and self._history.warehouse:
            self._history.warehouse.close()

    def end(self) -> int:
        """Return the last position."""
        if self._client:
            return self._runner.run(self._client.log.end())
        assert self._history
        return self._history.last

    def chunks(
        self, after: int = 0, until: int | None = None, filter: str = EVERYTHING
    ) -> Iterator[Sequence[Recorded]]:
        """Yield what stands behind `after`, up to and with `until`, in order."""
        for chunk in (
            self._history.events(after, until) if self._history else self._live(after, until, filter)
        ):
            wanted = [event for event in chunk if filter == EVERYTHING or matches(filter, event.subject)]
            if wanted:
                yield wanted

    def _live(self, after: int, until: int | None, filter: str) -> Iterator[Sequence[Recorded]]:
        """Read what is sealed from the segments, the rest from the stream; again where it was sealed meanwhile."""
        while until is None or after < until:
            if self.segments and after < self.segments.last:
                yield from self.segments.events(after, until)
                after = self.segments.last
            for chunk in self._stream(after, until, filter):
                if self.segments and filter == EVERYTHING and chunk[0].position > after + 1:
                    self.segments.reload()
                    if self.segments.last > after:
                        break
                yield chunk
                after = chunk[-1].position
            else:
                return

    def _stream(self, after: int, until: int | None, filter: str) -> Iterator[Sequence[Recorded]]:
        assert self._client
        reading = self._client.read(after, until, filter, _BATCH)
        while True:
            try:
                yield self._runner.run(anext(reading))  # type: ignore[arg-type]
            except StopAsyncIteration:
                return

    def retained(self, until: int) -> Iterator[Sequence[Recorded]]:
        """Yield what the stream still holds up to `until`; nothing when no server answers."""
        if self._client:
            yield from self._stream(0, until, EVERYTHING)

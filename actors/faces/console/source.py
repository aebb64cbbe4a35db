"""The log itself, wherever it is to be had: from the server, else from the stopped data folder."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from actors.client import Client
from actors.faces.console.reading import open_file
from actors.place import NodeUnreachable, Place
from events.envelope import Recorded
from events.log import matches
from events.subjects import EVERYTHING

if TYPE_CHECKING:
    from projections.warehouse import Warehouse

_BATCH = 5000


class LogSource:
    """Events by position from one place, chosen at the beginning. Blocking; use as a context manager."""

    def __init__(self, place: Place) -> None:
        self._runner = asyncio.Runner()
        self._client: Client | None = None
        self._warehouse: Warehouse | None = None
        try:
            self._client = self._runner.run(Client.open(place, "client"))
            self.name = self._client.connection.credentials.url
        except NodeUnreachable as problem:
            self._runner.close()
            self._warehouse = open_file(place, problem)
            self.name = str(self._warehouse.path)

    def __enter__(self) -> "LogSource":
        return self

    def __exit__(self, *_: object) -> None:
        if self._client:
            self._runner.run(self._client.close())
            self._runner.close()
        if self._warehouse:
            self._warehouse.close()

    def end(self) -> int:
        """Return the last position."""
        if self._client:
            return self._runner.run(self._client.log.end())
        assert self._warehouse
        return self._warehouse.checkpoint

    def chunks(
        self, after: int = 0, until: int | None = None, filter: str = EVERYTHING
    ) -> Iterator[Sequence[Recorded]]:
        """Yield what stands behind `after`, up to and with `until`, in order."""
        if self._warehouse:
            for chunk in self._warehouse.events(after, until):
                wanted = [event for event in chunk if filter == EVERYTHING or matches(filter, event.subject)]
                if wanted:
                    yield wanted
            return
        assert self._client
        reading = self._client.read(after, until, filter, _BATCH)
        while True:
            try:
                yield self._runner.run(anext(reading))  # type: ignore[arg-type]
            except StopAsyncIteration:
                return

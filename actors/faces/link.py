"""A dashboard's way to the node: one connection as the operator, opened when somebody looks."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from actors.client import Client
from actors.faces.reasons import in_words
from actors.place import Place

if TYPE_CHECKING:
    from projections.story import Story

_FRESH_S = 0.4
# How long the node may let a question wait: a node that is gone is noticed that much later.
_PATIENCE_S = 2.0
Rows = list[dict[str, Any]]


class Link:
    """Lives on the loop of the dashboard. Every method may raise ClientError."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._client: Client | None = None
        self._opening = asyncio.Lock()
        self._asking = asyncio.Lock()
        self._page: dict[str, Any] = {}
        self._taken = 0.0

    async def client(self) -> Client:
        """Return the connection; it outlives restarts of the server."""
        async with self._opening:
            if self._client is None:
                self._client = await Client.open(self.place, "operator", patient=True)
        return self._client

    async def status(self) -> dict[str, Any]:
        """Return the page of what is now; those who ask in the same moment share one answer."""
        async with self._asking:
            if time.monotonic() - self._taken > _FRESH_S:
                self._page = await (await self.client()).ask("status")
                self._taken = time.monotonic()
        return self._page

    async def news(self, after: int) -> dict[str, Any]:
        """Return the page once something stands behind a position, or the present one a moment later."""
        asked = {"after": after, "wait_s": _PATIENCE_S}
        return await (await self.client()).ask("status", asked, _PATIENCE_S + 3.0)

    def forget(self) -> None:
        """Let the next look ask anew: somebody has just changed something."""
        self._taken = 0.0

    async def rows(self, sql: str, values: Sequence[object] = (), limit: int = 10_000) -> Rows:
        """Return the rows of one of our own queries by column name."""
        body = {"sql": sql, "params": list(values), "limit": limit}
        answer = await (await self.client()).ask("sql", body, 15.0)
        return [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]

    def query(self, loop: asyncio.AbstractEventLoop) -> Callable[[str, Sequence[object]], Rows]:
        """Return `rows` for a thread beside the loop."""

        def ask(sql: str, values: Sequence[object]) -> Rows:
            return asyncio.run_coroutine_threadsafe(self.rows(sql, values), loop).result(20.0)

        return ask

    async def story(self, about: str, language: str) -> "Story | None":
        """Tell of a task, a worker, an agent or a decision; None if nobody is called that."""
        from projections.story import story

        ask = self.query(asyncio.get_running_loop())
        return await asyncio.to_thread(story, ask, about, language, in_words(language))

    async def close(self) -> None:
        """Give the connection back."""
        client, self._client = self._client, None
        if client:
            await client.close()

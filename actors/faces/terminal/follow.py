"""Follows the node: its page whenever the log has grown, at most twice a second, across restarts of it."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from nats.errors import Error as NatsError

from actors.faces.link import Link
from actors.place import ClientError

PACE_S = 0.5
_AGAIN_S = 1.0


async def pages(link: Link) -> AsyncIterator[dict[str, Any] | str]:
    """Yield the node's page whenever there is a newer one, a sentence while the node cannot be reached.

    The node holds the question until there is news. A connection that failed is opened anew, because a node that was
    started again may have another server, another port and other passwords.
    """
    after = -1
    while True:
        began = time.monotonic()
        try:
            page = await link.news(after)
        except (ClientError, NatsError, OSError, TimeoutError) as problem:
            yield str(problem) or type(problem).__name__
            await link.close()
            await asyncio.sleep(_AGAIN_S)
            after = -1
            continue
        if page["node"]["position"] != after:
            after = page["node"]["position"]
            yield page
        await asyncio.sleep(max(0.0, began + PACE_S - time.monotonic()))

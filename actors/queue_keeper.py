"""Sees that every pull queue has its consumers: one that vanished is made again where the oldest open task stands."""

import asyncio
import logging
from collections.abc import Callable

from actors.config import Forest
from actors.connection import Connection
from actors.control import Refused, asked
from actors.nats_server import ensure_queue, is_missing, queue_states
from actors.projector import Ask
from events.log import LogUnreachable
from events.observations import QueueSample

_log = logging.getLogger("elf.queues")

_SQL_S = 20.0
# Behind the last event that the tables hold there may be open tasks which they do not know.
_OLDEST = (
    "SELECT coalesce(min(submit_seq), (SELECT seq FROM log_end) + 1) FROM tasks"
    " WHERE queue = ? AND state NOT IN ('done', 'dead', 'dropped', 'cancelled')"
)


class QueueKeeper:
    """Lives on the bus. `tell` sends a message to an actor by name, False when there is none."""

    def __init__(self, forest: Callable[[], Forest], tell: Callable[[str, object], bool]) -> None:
        self._forest = forest
        self._tell = tell
        self._making: set[str] = set()

    async def states(self, connection: Connection) -> tuple[QueueSample, ...]:
        """Return what the server says of each pull queue; a consumer that is gone comes back meanwhile."""
        names = [queue.name for queue in self._forest().queues if queue.serve == "pull"]
        samples = await queue_states(connection, names)
        answered = {sample.queue for sample in samples}
        for name in names:
            if name not in answered and name not in self._making:
                await self._look_after(connection, name)
        return samples

    async def _look_after(self, connection: Connection, name: str) -> None:
        if not await is_missing(connection, name):
            return
        self._making.add(name)
        try:
            start = await self._oldest(name)
            await ensure_queue(connection, name, slots_of(self._forest(), name), start)
            _log.warning("a consumer of queue %s was gone; made again from position %s", name, start)
        except (LogUnreachable, Refused) as problem:
            _log.warning("a consumer of queue %s is gone: %s; asked again at the next tick", name, problem)
        finally:
            self._making.discard(name)

    async def _oldest(self, name: str) -> int:
        loop = asyncio.get_running_loop()
        answer = await asked(
            loop, lambda reply: self._tell("projector", Ask(_OLDEST, [name], 1, reply)), _SQL_S
        )
        if not answer.get("ok"):
            raise Refused(str(answer.get("error")))
        return max(1, int(answer["rows"][0][0]))


async def ensure_queues(connection: Connection, forest: Forest) -> None:
    """Create or update the consumers of all queues that workers pull from."""
    for queue in forest.queues:
        if queue.serve == "pull":
            await ensure_queue(connection, queue.name, slots_of(forest, queue.name))


def slots_of(forest: Forest, queue: str) -> int:
    """Return how many tasks of a queue its runners may hold at once."""
    slots = sum(w.max * w.concurrency * w.batch for w in forest.workers if w.queue == queue)
    return 2 * max(slots, 512)

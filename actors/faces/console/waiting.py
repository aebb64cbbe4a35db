"""Waiting for tasks to end: told by the server at once, settled by what stands in the log."""

import asyncio
from collections.abc import AsyncIterator, Mapping

from nats.aio.msg import Msg

from actors.client import Client
from events.envelope import Recorded
from events.log import LogUnreachable
from events.subjects import task_filter
from events.tasks import TaskCancelled, TaskDied, TaskFinished, TaskMoved

POLL_S = 2.0
# A message reaches listeners before the disk has it: the log is asked again after these pauses.
_SETTLE_S = (0.003, 0.01, 0.03, 0.1, 0.3)
_ONE_BY_ONE = 50


class Ends:
    """The ends of some tasks, in the order in which they come. Subscribe first, submit then."""

    def __init__(self, client: Client, tasks: Mapping[str, str]) -> None:
        self._client = client
        self._queue_of = dict(tasks)
        self._found: asyncio.Queue[tuple[str, Recorded]] = asyncio.Queue()
        self._looking: set[str] = set()
        self._work: set[asyncio.Task[None]] = set()
        self._gate = asyncio.Semaphore(64)

    async def listen(self) -> None:
        """Subscribe to the ends, by task for a few and by queue for many."""
        if len(self._queue_of) <= _ONE_BY_ONE:
            filters = {f"log.*.*.task.{queue}.{task}.*" for task, queue in self._queue_of.items()}
        else:
            filters = {f"log.*.*.task.{queue}.*.*" for queue in self._queue_of.values()}
        for subject in filters:
            await self._client.connection.client.subscribe(subject, cb=self._heard)
        await self._client.connection.client.flush()

    async def results(self, timeout: float | None = None) -> AsyncIterator[tuple[str, Recorded]]:
        """Yield (task, its last event) until all have ended or the time, in seconds, is over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout if timeout is not None else None
        waiting = set(self._queue_of)
        while waiting:
            left = POLL_S if deadline is None else min(POLL_S, deadline - loop.time())
            if left <= 0:
                break
            try:
                task, event = await asyncio.wait_for(self._found.get(), left)
            except TimeoutError:
                for task in list(waiting):  # in case a message was missed while the connection was away
                    self._look(task, ())
                continue
            if task in waiting:
                waiting.discard(task)
                yield task, event
        for work in self._work:
            work.cancel()

    async def _heard(self, message: Msg) -> None:
        tokens = message.subject.split(".")
        if tokens[6] != "submitted" and tokens[5] in self._queue_of:
            self._look(tokens[5], _SETTLE_S)

    def _look(self, task: str, pauses: tuple[float, ...]) -> None:
        if task in self._looking:
            return
        self._looking.add(task)
        work = asyncio.get_running_loop().create_task(self._settle(task, pauses))
        self._work.add(work)
        work.add_done_callback(self._work.discard)

    async def _settle(self, task: str, pauses: tuple[float, ...]) -> None:
        try:
            for pause in (0.0, *pauses):
                await asyncio.sleep(pause)
                async with self._gate:
                    last = await self._client.log.last(task_filter(self._queue_of[task], task))
                if last and isinstance(last.body, TaskMoved):
                    self._queue_of[task] = last.body.to
                elif last and isinstance(last.body, TaskFinished | TaskDied | TaskCancelled):
                    self._found.put_nowait((task, last))
                    return
        except LogUnreachable:
            return  # asked again at the next poll
        finally:
            self._looking.discard(task)

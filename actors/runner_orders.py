"""What a runner hears while it works: orders of its node, and cancellations in the log."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

from nats.aio.msg import Msg

from actors.connection import Connection
from actors.jetstream import JetStreamLog
from actors.runner_post import tell
from actors.runner_spec import Spec
from actors.runner_work import Work, Workers
from events.log import LogError

# A cancellation may be heard before the log has it, or although the log refuses it.
_LOOK_S = (0.0, 0.02, 0.1, 0.4, 1.0)


class Orders:
    """Listens on `run.<pool>.<unit>` and `run.<pool>.all`, and to the cancellations of one queue."""

    def __init__(
        self,
        spec: Spec,
        log: JetStreamLog,
        work: Work,
        workers: Workers,
        actions: Mapping[str, Callable[[], Awaitable[None]]],
        messages: tuple[Sequence[str], Callable[[dict[str, Any]], None]] = ((), lambda _: None),
    ) -> None:
        """`actions` says what `{"do": …}` may ask for; what `messages` names is handed over as a whole."""
        self._spec = spec
        self._log = log
        self._work = work
        self._workers = workers
        self._actions = actions
        self._messages, self._heed = messages
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, connection: Connection) -> None:
        """Subscribe; the subscriptions live as long as the connection."""
        spec = self._spec
        await connection.client.subscribe(f"run.{spec.pool}.{spec.unit}", cb=self._told)
        await connection.client.subscribe(f"run.{spec.pool}.all", cb=self._told)
        await connection.client.subscribe(f"log.*.*.task.{spec.queue}.*.cancelled", cb=self._heard)
        connection.on_reconnect(self._look_again)

    async def _told(self, message: Msg) -> None:
        try:
            body = json.loads(message.data)
            action = self._actions.get(body["do"])
            if body["do"] in self._messages:
                self._heed(body)
                return
        except (ValueError, TypeError, KeyError):
            action = None
        if action is None:
            known = ", ".join((*self._actions, *self._messages))
            tell(f"expected one of {known} on {message.subject}, got {message.data[:80]!r}")
            return
        await action()

    async def _heard(self, message: Msg) -> None:
        task = message.subject.split(".")[5]
        if task in self._work.held:
            self._later(self._check(task, message.subject))

    def _look_again(self) -> None:
        """Cancellations may have been said while the connection was away."""
        for job, _ in self._workers.running():
            self._later(self._check(job.task, f"log.*.*.task.{job.queue}.{job.task}.cancelled"))

    async def _check(self, task: str, subject: str) -> None:
        """Drop the task once the log holds its cancellation; the log has the last word."""
        job = self._work.held.get(task)
        for pause in _LOOK_S:
            await asyncio.sleep(pause)
            if job is None or self._work.held.get(task) is not job:
                return
            with contextlib.suppress(LogError):
                found = await self._log.last(subject)
                if found is not None and found.position > job.position:
                    self._work.cancelled(job)
                    return

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

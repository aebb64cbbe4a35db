"""What is being said on the log at this moment, so that a blow can fall between two events."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from actors.connection import Connection
from events.codec import decode
from events.envelope import Recorded
from events.observations import WorkerExited
from events.outcomes import WorkerStarted
from events.tasks import TaskDied, TaskFailed, TaskFinished, TaskReleased, TaskStarted

Moment = Callable[[Recorded], bool]


class Watch:
    """Hears every event as its writer says it, before the writer knows that it is durable."""

    def __init__(self) -> None:
        self.pids: dict[str, int] = {}
        self.holds: dict[str, set[str]] = {}
        self.finished = 0
        self.heard = 0
        self._waiting: list[tuple[Moment, Callable[[Recorded], None], asyncio.Future[Recorded]]] = []

    async def listen(self, connection: Connection) -> None:
        """Begin to hear; the connection outlives node and server."""
        await connection.client.subscribe("log.>", cb=self._heard)

    async def strike(
        self, moment: Moment, blow: Callable[[Recorded], None], seconds: float
    ) -> Recorded | None:
        """Let the blow fall the instant the moment comes; None when it did not come in time."""
        future: asyncio.Future[Recorded] = asyncio.get_running_loop().create_future()
        item = (moment, blow, future)
        self._waiting.append(item)
        try:
            return await asyncio.wait_for(future, seconds)
        except TimeoutError:
            return None
        finally:
            if item in self._waiting:
                self._waiting.remove(item)

    async def _heard(self, message: Any) -> None:
        event = decode(0, message.subject, bytes(message.data))
        self.heard += 1
        self._fold(event)
        for item in list(self._waiting):
            moment, blow, future = item
            if moment(event) and not future.done():
                self._waiting.remove(item)
                blow(event)
                future.set_result(event)

    def _fold(self, event: Recorded) -> None:
        match event.body:
            case WorkerStarted(unit=unit, pid=pid):
                self.pids[unit] = pid
                self.holds[unit] = set()
            case WorkerExited(unit=unit, pid=pid):
                if self.pids.get(unit) == pid:
                    self.pids.pop(unit, None)
                self.holds.pop(unit, None)
            case TaskStarted(unit=unit, task=task):
                self.holds.setdefault(unit, set()).add(task)
            case TaskFinished(unit=unit, task=task):
                self.finished += 1
                self.holds.get(unit, set()).discard(task)
            case TaskFailed(task=task) | TaskReleased(task=task) | TaskDied(task=task):
                for held in self.holds.values():
                    held.discard(task)
            case _:
                return


def children_of(pid: int) -> list[int]:
    """Return the direct children of a process; empty when it is gone."""
    try:
        return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def hit(pid: int, number: int = signal.SIGKILL) -> bool:
    """Signal a process; False when it is gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True

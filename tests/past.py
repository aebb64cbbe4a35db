"""Weeks that a forest has behind it: the events of a node, written as if it had run, for a real node to go on from.

What is said here are observations only: the node of the past stood by and decided nothing. Whatever follows from its
weeks is decided by the node that is started on them.
"""

import tempfile
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from actors.backup import write_backup
from actors.elves.deliberation import digest_of
from actors.restore import restore
from events.codec import decode, encode
from events.envelope import Recorded
from events.event import Event
from events.log import entry, envelope
from events.observations import (
    LeaseTaken,
    NodeStarted,
    NodeStopped,
    NodeStopping,
    QueueSample,
    Sampled,
    StoodBy,
    UnitSample,
    WorkerExited,
    WorkerReady,
)
from events.outcomes import WorkerStarted, WorkerStartOrdered
from events.settings import Settings, SettingsAdopted
from events.tasks import TaskFailed, TaskFinished, TaskStarted, TaskSubmitted

MB = 1_000_000


class Past:
    """A node's log up to the time it ends in order; `now` is its clock."""

    def __init__(self, node: str, settings: Settings, now: datetime) -> None:
        self.node = node
        self.now = now
        self.events: list[Recorded] = []
        self._generations: dict[str, int] = {}
        self._living: list[str] = []
        self._tasks = 0
        self.say(LeaseTaken(holder=node))
        self.say(NodeStarted(node=node, release="0.1.0", pure_zone="", pid=1, boot="b", python="3"))
        # So nothing is decided in these weeks, and an audit expects nothing to be.
        self.say(StoodBy(node=node, reason="disk", free=0))
        self.adopt(settings)

    def say(self, body: Event, source: str = "") -> Recorded:
        """Append one event at the present time."""
        position = len(self.events) + 1
        # Two events never have the same microsecond.
        self.now += timedelta(microseconds=1)
        time = int(self.now.timestamp() * 1_000_000)
        said = entry(envelope(f"past{position}", time, source or f"node.{self.node}", body))
        self.events.append(decode(position, said.subject, encode(said.envelope)))
        return self.events[-1]

    def adopt(self, settings: Settings) -> None:
        """Put settings in force."""
        self.settings = settings
        self.say(SettingsAdopted(origin="file", digest=digest_of(settings), settings=settings))

    def start(self, unit: str, pool: str) -> None:
        """Let the next generation of a unit run, the one before having ended."""
        if unit in self._living:
            self.end(unit)
        generation = self._generations[unit] = self._generations.get(unit, 0) + 1
        self.say(WorkerStartOrdered(unit=unit, pool=pool, generation=generation, nonce="n"))
        self.say(WorkerStarted(unit=unit, pool=pool, generation=generation, pid=1, start=1, nonce="n"))
        self.say(WorkerReady(unit=unit, generation=generation, pid=1), f"worker.{pool}")
        self._living.append(unit)

    def end(self, unit: str) -> None:
        """Let a unit's process end."""
        self._living.remove(unit)
        self.say(WorkerExited(unit=unit, generation=self._generations[unit], pid=1, code=0))

    def look(self, waiting: tuple[str, ...] = (), **megabytes: int) -> None:
        """Let a tick see everybody, with 60 megabytes or what is said of a pool, and tasks waiting in these queues."""
        units = tuple(
            UnitSample(unit, self._generations[unit], "S", 10, _memory(unit, megabytes), 4, 2, 0, 0)
            for unit in self._living
        )
        queues = tuple(
            QueueSample(queue.name, 50 if queue.name in waiting else 0, 0, 1, 0)
            for queue in self.settings.queues
        )
        self.say(Sampled(full=True, units=units, queues=queues))

    def submit(self, queue: str, kind: str = "") -> str:
        """Let a task come; returns its id."""
        self._tasks += 1
        self.say(TaskSubmitted(task=f"past-{self._tasks}", queue=queue, kind=kind), "client.past")
        return f"past-{self._tasks}"

    def work(self, task: str, queue: str, unit: str, ms: int, error: str = "") -> None:
        """Let a unit end a task, with an error or well."""
        source = f"worker.{queue}"
        generation = self._generations[unit]
        started = TaskStarted(
            task=task, queue=queue, unit=unit, generation=generation, pid=1, attempt=1, nonce="n"
        )
        claim = self.say(started, source).position
        if error:
            failed = TaskFailed(
                task=task,
                queue=queue,
                unit=unit,
                generation=generation,
                attempt=1,
                claim=claim,
                kind="error",
                error=error,
                service_ms=ms,
            )
            self.say(failed, source)
            return
        self.end_of(queue, unit, ms, task, claim)

    def end_of(self, queue: str, unit: str, ms: int, task: str = "", claim: int = 0) -> None:
        """Let a unit end a task well, without a name one that was submitted before these weeks."""
        self._tasks += not task
        finished = TaskFinished(
            task=task or f"older-{self._tasks}",
            queue=queue,
            unit=unit,
            generation=self._generations[unit],
            attempt=1,
            claim=claim,
            service_ms=ms,
        )
        self.say(finished, f"worker.{queue}")

    def plant(self, data: Path) -> None:
        """End the node in order and make a data folder of its log, as `elf restore` does."""
        for unit in list(self._living):
            self.end(unit)
        self.say(NodeStopping(node=self.node, reason="SIGTERM"))
        self.say(NodeStopped(node=self.node, reason="SIGTERM"))
        with tempfile.TemporaryDirectory() as folder:
            backup = Path(folder) / "past.tar"
            write_backup(backup, [self.events], (), None, None)
            restore(backup, data)


def _memory(unit: str, megabytes: Mapping[str, int]) -> int:
    return megabytes.get(unit.partition("-")[0], 60) * MB

"""A queue and its runners as scripts: they claim and finish by compare-and-set, as the real ones do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from actors.sampler import Beat
from events.envelope import Recorded
from events.log import Conflict, Expect, LogFull, LogUnreachable, Receipt, entry, envelope
from events.observations import QueueSample, WorkerExited, WorkerReady
from events.subjects import class_of, task_filter
from events.tasks import TaskCancelled, TaskDied, TaskFailed, TaskFinished, TaskStarted, TaskSubmitted
from tests.simulation.agenda import Agenda
from tests.simulation.loop import step_loop
from tests.simulation.machine import Being
from tests.simulation.server import Line, Server

QUEUE = "q"
_AGAIN_S = 30.0
_PATIENCE = 2
_AGE_S = 60.0
_TURN = 8


class Item(NamedTuple):
    """A submission: its class, when it came, how often it was delivered."""

    task: str
    rank: int
    since: float
    delivered: int = 0


class Queue:
    """What the server's consumers do: hand out by class, wait for an answer, hand out again.

    Every eighth delivery is of the lowest class whose first task has waited for too long.
    """

    def __init__(self, agenda: Agenda, server: Server) -> None:
        self._agenda = agenda
        self._server = server
        self._seen = 0
        self.waiting: list[Item] = []
        self.out: dict[str, Item] = {}
        self._count = 0

    def take(self) -> tuple[str, str, int] | None:
        """Return a delivery, its task and how often it was delivered; None when there is nothing."""
        events = self._server.memory.events
        while self._seen < len(events):
            body = events[self._seen].body
            self._seen += 1
            if isinstance(body, TaskSubmitted):
                self.waiting.append(Item(body.task, class_of(body.priority), self._agenda.now))
        if not self.waiting:
            return None
        item = self._next()
        self.waiting.remove(item)
        self._count += 1
        delivery = f"ack.{self._count}"
        self.out[delivery] = item._replace(delivered=item.delivered + 1)
        self._agenda.at(_AGAIN_S, lambda: self.again(delivery))
        return delivery, item.task, item.delivered + 1

    def _next(self) -> Item:
        heads = {item.rank: item for item in reversed(self.waiting)}
        aged = [rank for rank, item in heads.items() if self._agenda.now - item.since >= _AGE_S]
        return heads[max(aged) if aged and self._count % _TURN == 0 else min(heads)]

    def done(self, delivery: str) -> None:
        """Hear that a delivery needs nothing more."""
        self.out.pop(delivery, None)

    def again(self, delivery: str, wait_s: float = 0.0) -> None:
        """Hand out once more, unless it was acknowledged."""
        item = self.out.pop(delivery, None)
        if item:
            self._agenda.at(wait_s, lambda: self.waiting.append(item))

    def sample(self) -> QueueSample:
        """Say how full it is."""
        return QueueSample(QUEUE, len(self.waiting), len(self.out), 1, 0)


class Runner:
    """One runner process; its loop ends with it. `early` is a mutation: acknowledged before it is stored."""

    def __init__(
        self,
        agenda: Agenda,
        server: Server,
        queue: Queue,
        being: Being,
        beat: Callable[[Beat], None],
        early: bool,
    ) -> None:
        self.loop = step_loop(agenda)
        self.silent = False
        self.draining = False
        self._agenda = agenda
        self._line = Line(server, self.loop)
        self._queue = queue
        self._being = being
        self._unit = being.request.unit
        self._generation = being.request.generation
        self._beat = beat
        self._early = early
        self._count = 0
        self.loop.create_task(self._work())
        self.loop.create_task(self._beats())

    async def _beats(self) -> None:
        while True:
            if not self.silent and self._being.state != "T":
                self._beat(Beat(unit=self._unit, generation=self._generation, n=0, state="idle"))
            await asyncio.sleep(5.0)

    async def _work(self) -> None:
        await asyncio.sleep(self._agenda.chance.uniform(0.01, 0.5))
        ready = WorkerReady(unit=self._unit, generation=self._generation, pid=self._being.pid)
        await self._say(ready, None)
        while not self.draining:
            got = None if self.silent or self._being.state == "T" else self._queue.take()
            if got is None:
                await asyncio.sleep(0.5)
            else:
                await self._handle(*got)

    async def _handle(self, delivery: str, task: str, delivered: int) -> None:
        prefix = task_filter(QUEUE, task)
        while True:
            last = await self._read(prefix)
            attempt = self._attempt(last, delivered)
            if attempt is None:
                self._queue.done(delivery)
                return
            if attempt < 0:
                self._queue.again(delivery, 5.0)
                return
            claim = TaskStarted(
                task=task,
                queue=QUEUE,
                unit=self._unit,
                generation=self._generation,
                pid=self._being.pid,
                attempt=attempt,
                nonce=self._being.request.nonce,
                delivery=delivery,
            )
            position = await self._say(claim, Expect(prefix, last.position))
            if position:
                break
        await asyncio.sleep(self._agenda.chance.expovariate(1.0))
        if self._early:
            self._queue.done(delivery)
        finished = TaskFinished(
            task=task,
            queue=QUEUE,
            unit=self._unit,
            generation=self._generation,
            attempt=attempt,
            claim=position,
        )
        await self._say(finished, Expect(prefix, position))
        self._queue.done(delivery)

    def _attempt(self, last: Recorded, delivered: int) -> int | None:
        body = last.body
        if isinstance(body, TaskFinished | TaskDied | TaskCancelled):
            return None
        if isinstance(body, TaskStarted):
            return body.attempt + 1 if delivered > _PATIENCE or self._is_gone(body) else -1
        return body.attempt + 1 if isinstance(body, TaskFailed) else 1

    def _is_gone(self, claim: TaskStarted) -> bool:
        return any(
            isinstance(event.body, WorkerExited)
            and event.body.unit == claim.unit
            and event.body.generation >= claim.generation
            for event in self._line._server.memory.events
        )

    async def _read(self, filter: str) -> Recorded:
        while True:
            try:
                found = await self._line.last(filter)
            except LogUnreachable:
                await asyncio.sleep(0.25)
                continue
            assert found is not None
            return found

    async def _say(self, body: Any, expect: Expect | None) -> int:
        """Say it until the log has it; 0 when the expectation does not hold."""
        self._count += 1
        name = f"{self._being.request.nonce}-{self._count}"
        time = 1_600_000_000_000_000 + int(self._agenda.now * 1e6)
        item = entry(envelope(name, time, "worker.w", body), expect)
        while True:
            try:
                receipt: Receipt = await self._line.append([item])
            except Conflict:
                # After a long silence an id is forgotten and our own event is in the way.
                return next((e.position for e in self._line._server.memory.events if e.id == name), 0)
            except (LogUnreachable, LogFull):
                await asyncio.sleep(0.25)
                continue
            return receipt.positions[0]

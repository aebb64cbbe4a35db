"""How an agent says things in the log, and how it makes sure that they stand there."""

import asyncio
import secrets
import time

from msgspec import Struct

from actors.agent_asks import Asks, NodeSaysNo
from actors.agent_words import Question
from actors.jetstream import JetStreamLog
from actors.runner_post import tell
from events.envelope import Envelope, Recorded
from events.event import Event
from events.log import Conflict, Entry, Expect, LogFull, LogRefused, LogUnreachable
from events.subjects import subject_of, task_filter
from events.tasks import TaskStarted

_AGAIN_S = 0.5
_FULL_S = 5.0


class Lost(Exception):
    """What was to be said does not count any more; the text says why."""


class Said(Struct, frozen=True):
    """Where it stands."""

    position: int


class Voice:
    """Writes as one agent. One asyncio loop."""

    def __init__(self, log: JetStreamLog, source: str, asks: Asks) -> None:
        self._log = log
        self._asks = asks
        self.source = source
        self.run = secrets.token_hex(6)

    def envelope(
        self, event: Event, *, id: str = "", cause: str = "", task: str = "", trace: str = ""
    ) -> Envelope:
        """Surround an event; the id is random where nothing determines it."""
        return Envelope(
            id=id or secrets.token_hex(10),
            time=time.time_ns() // 1000,
            source=self.source,
            cause=cause,
            correlation=task,
            trace=trace,
            body=event,
        )

    async def say(self, envelope: Envelope) -> Said:
        """Append something without an expectation, until the log has it. Raises LogRefused."""
        return await self._append(Entry(envelope, subject_of(self.source, envelope.body)))

    async def claim(self, envelope: Envelope, stands: int) -> Said:
        """Append a claim if the task's last event is still at `stands`. Raises Conflict, LogRefused."""
        body = envelope.body
        assert isinstance(body, TaskStarted)
        subject = subject_of(self.source, body)
        try:
            return await self._append(
                Entry(envelope, subject, Expect(task_filter(body.queue, body.task), stands))
            )
        except Conflict:
            # After a doubt it may stand there already.
            found = await self.found(subject)
            if found is None or found.id != envelope.id:
                raise
            return Said(found.position)

    async def once(self, envelope: Envelope, queue: str, task: str, stands: int) -> Said:
        """Append something about a task if its last event is still at `stands`. Raises Conflict, LogRefused."""
        subject = subject_of(self.source, envelope.body)
        return await self._append(Entry(envelope, subject, Expect(task_filter(queue, task), stands)))

    async def insist(
        self, envelope: Envelope, queue: str, task: str, stands: int, question: Question
    ) -> Said:
        """Append something about a task on the condition that nothing happened to it since `stands`.

        After a refusal the log is asked whether it stands there all the same, then the node whether it still counts:
        somebody else's word may have come in between that means nothing. Raises Lost, LogRefused.
        """
        subject = subject_of(self.source, envelope.body)
        while True:
            entry = Entry(envelope, subject, Expect(task_filter(queue, task), stands))
            try:
                return await self._append(entry)
            except Conflict:
                pass
            found = await self.found(subject)
            if found is not None and found.id == envelope.id:
                return Said(found.position)
            try:
                verdict = await self._asks.settle(question)
            except NodeSaysNo as problem:
                raise Lost(str(problem)) from None
            if not verdict.yours:
                raise Lost(verdict.why)
            if verdict.after == stands:
                await asyncio.sleep(_AGAIN_S)
            stands = verdict.after

    async def found(self, subject: str) -> Recorded | None:
        """Return the last event on a subject of our own."""
        while True:
            try:
                return await self._log.last_on(subject)
            except LogUnreachable:
                await asyncio.sleep(_AGAIN_S)

    async def _append(self, entry: Entry) -> Said:
        while True:
            try:
                receipt = await self._log.append([entry])
                return Said(receipt.positions[0])
            except LogUnreachable:
                await asyncio.sleep(_AGAIN_S)
            except LogFull as problem:
                tell(f"the log has no room: {problem}; said again in {_FULL_S:g} s", "agent")
                await asyncio.sleep(_FULL_S)
            except (Conflict, LogRefused):
                raise

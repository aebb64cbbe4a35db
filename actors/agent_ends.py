"""How an agent's attempts end in the log: accepted, or kept beside it when the task is somebody else's by then."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

from actors.agent_memory import Kept, Memory
from actors.agent_outcome import Outcome
from actors.agent_progress import changed_files
from actors.agent_spec import AgentSpec
from actors.agent_voice import Lost, Voice
from actors.agent_words import Question
from actors.agent_work import Work, progress_of
from actors.runner_post import tell
from events.agents import HandedOver
from events.codec import decode, encode
from events.envelope import Envelope
from events.event import Event
from events.log import Conflict, LogRefused
from events.subjects import subject_of
from events.tasks import ResultSalvaged, TaskFailed, TaskFinished, TaskReleased, TaskStarted

_RETRY_LIMIT_S = 300.0
_ERROR = 4000


class Ends:
    """Says how attempts ended until the log or the node has answered. One asyncio loop."""

    def __init__(
        self, spec: AgentSpec, voice: Voice, memory: Memory, acknowledge: Callable[[Work], None]
    ) -> None:
        self._spec = spec
        self._voice = voice
        self._memory = memory
        self._acknowledge = acknowledge
        self._loop = asyncio.get_running_loop()

    async def give_back(self, work: Work) -> None:
        """Say that an assignment that was never claimed is free, unless something else happened to the task."""
        given = work.given
        event = TaskReleased(
            task=given.task,
            queue=given.queue,
            unit=self._spec.name,
            generation=1,
            attempt=given.attempt,
            claim=0,
        )
        envelope = self._voice.envelope(
            event, id=f"{given.task}-g{given.lease}-{work.kept.nonce}", task=given.task
        )
        with contextlib.suppress(LogRefused, Conflict):
            await self._voice.once(envelope, given.queue, given.task, given.after)
        self._acknowledge(work)

    async def end(self, work: Work, outcome: Outcome) -> str:
        """Write how an attempt ended, until the log or the node has answered; returns what became of it."""
        work.state = "ending"
        event = self._end_event(work.kept, outcome)
        envelope = self._voice.envelope(
            event,
            id=f"{work.given.task}-e{work.kept.lease}-{work.kept.nonce}",
            cause=work.text.cause if work.text else "",
            task=work.given.task,
            trace=work.text.traceparent if work.text else "",
        )
        work.kept.end = Raw(encode(envelope))
        self._memory.keep(work.kept, durable=True)
        if outcome.kind:
            await self.hand_over(work, outcome)
        return await self.conclude(work.kept, envelope)

    def _end_event(self, kept: Kept, outcome: Outcome) -> TaskFinished | TaskFailed:
        if not outcome.kind:
            return TaskFinished(
                task=kept.task,
                queue=kept.queue,
                unit=self._spec.name,
                generation=1,
                attempt=kept.attempt,
                claim=kept.claim,
                result=outcome.result,
                service_ms=outcome.service_ms,
                artefacts=outcome.artefacts,
            )
        return TaskFailed(
            task=kept.task,
            queue=kept.queue,
            unit=self._spec.name,
            generation=1,
            attempt=kept.attempt,
            claim=kept.claim,
            kind=outcome.failure,
            error=outcome.error[-_ERROR:],
            service_ms=outcome.service_ms,
            retry_in_s=0.0 if outcome.kind == "exit" else min(_RETRY_LIMIT_S, 2.0 ** (kept.attempt - 1)),
        )

    async def conclude(self, kept: Kept, envelope: Envelope) -> str:
        """Say an end on its claim; one that does not count any more is kept beside it."""
        question = Question(
            do="settle",
            task=kept.task,
            queue=kept.queue,
            lease=kept.lease,
            claim=kept.claim,
            run=self._voice.run,
        )
        try:
            await self._voice.insist(envelope, kept.queue, kept.task, kept.claim, question)
            what = "accepted"
        except Lost as problem:
            what = await self._salvage(kept, envelope, str(problem))
        except LogRefused as problem:
            tell(
                f"the end of task {kept.task} is refused and stays in {self._spec.state}: {problem}", "agent"
            )
            return "refused"
        self._memory.forget(kept)
        return what

    async def _salvage(self, kept: Kept, envelope: Envelope, why: str) -> str:
        body = envelope.body
        if not isinstance(body, TaskFinished | TaskFailed):
            return "dropped"
        tell(f"the result of task {kept.task} comes too late and is kept beside it: {why}", "agent")
        late = ResultSalvaged(
            task=kept.task,
            queue=kept.queue,
            unit=self._spec.name,
            generation=1,
            attempt=kept.attempt,
            result=body.result if isinstance(body, TaskFinished) else None,
            error=body.error if isinstance(body, TaskFailed) else "",
        )
        await self._voice.say(self._voice.envelope(late, id=f"{envelope.id}-late", task=kept.task))
        return "salvaged"

    async def hand_over(self, work: Work, outcome: Outcome) -> None:
        """Leave what is known of an attempt for whoever takes the task next."""
        progress = progress_of(work, self._loop.time())
        note: dict[str, Any] = {
            "error": outcome.error[-_ERROR:],
            "progress": msgspec.to_builtins(progress),
            "files": self._files(work),
        }
        if outcome.artefacts:
            note["artefacts"] = list(outcome.artefacts)
        event = HandedOver(
            task=work.given.task,
            queue=work.given.queue,
            agent=self._spec.name,
            attempt=work.kept.attempt,
            note=note,
        )
        envelope = self._voice.envelope(
            event, id=f"{work.given.task}-h{work.kept.lease}-{work.kept.nonce}", task=work.given.task
        )
        try:
            await self._voice.say(envelope)
        except LogRefused as problem:
            tell(str(problem), "agent")

    def _files(self, work: Work) -> list[str]:
        return changed_files(self._spec.cwd, work.track.wall_ns) if work.track else []

    async def left(self, kept: Kept) -> str:
        """Settle what a run before this one held when it was killed."""
        if kept.end is not None:
            event = decode(0, "", bytes(kept.end))
            if not isinstance(event.body, Event):
                return "dropped"
            body: Event = event.body
            again = self._voice.envelope(
                body, id=event.id, cause=event.cause, task=kept.task, trace=event.trace
            )
            return await self.conclude(kept, again)
        if not kept.claim and not await self._claimed_all_the_same(kept):
            self._memory.forget(kept)
            return "dropped"
        why = "the agent's program was killed"
        if kept.began:
            end: Event = self._end_event(kept, Outcome(kind="crash", error=why))
        else:
            end = TaskReleased(
                task=kept.task,
                queue=kept.queue,
                unit=self._spec.name,
                generation=1,
                attempt=kept.attempt,
                claim=kept.claim,
            )
        envelope = self._voice.envelope(end, id=f"{kept.task}-e{kept.lease}-{kept.nonce}", task=kept.task)
        return await self.conclude(kept, envelope)

    async def _claimed_all_the_same(self, kept: Kept) -> bool:
        """A claim may stand in the log though its answer was never read."""
        probe = TaskStarted(
            task=kept.task,
            queue=kept.queue,
            unit=self._spec.name,
            generation=1,
            pid=0,
            attempt=kept.attempt,
            nonce=kept.nonce,
        )
        found = await self._voice.found(subject_of(self._voice.source, probe))
        if found is None or found.id != f"{kept.task}-s{kept.lease}-{kept.nonce}":
            return False
        kept.claim = found.position
        return True

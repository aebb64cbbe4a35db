"""One task in an agent's hands: its text from the node, the claim, the command, the end in the log."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw, Struct

from actors.agent_asks import Asks
from actors.agent_child import AgentChild
from actors.agent_memory import Kept, Memory
from actors.agent_outcome import Outcome, outcome_of, stdin_of
from actors.agent_progress import Track, changed_files
from actors.agent_spec import AgentSpec
from actors.agent_voice import Lost, Voice
from actors.agent_words import Progress, Question, Text
from actors.runner_post import tell
from events.agents import HandedOver
from events.codec import decode, encode
from events.decisions import AssignTask
from events.envelope import Envelope
from events.event import Event
from events.log import Conflict, LogRefused
from events.subjects import subject_of
from events.tasks import ResultSalvaged, TaskFailed, TaskFinished, TaskReleased, TaskStarted

_RETRY_LIMIT_S = 300.0
_ERROR = 4000


class Work(Struct, eq=False, kw_only=True):
    """One assignment and how far it is. `reply` acknowledges its delivery, `at` is the position of the decision."""

    given: AssignTask
    at: int
    reply: str
    kept: Kept
    text: Text | None = None
    track: Track | None = None
    ended: "asyncio.Future[int] | None" = None
    doom: tuple[str, str] | None = None
    state: str = "waiting"

    @property
    def key(self) -> str:
        """What tells one task from another one."""
        return f"{self.given.queue}/{self.given.task}"

    def unwanted(self) -> bool:
        """Whether it is to end early."""
        return self.doom is not None


def work_of(given: AssignTask, at: int, reply: str) -> Work:
    """Begin with an assignment."""
    kept = Kept(
        task=given.task,
        queue=given.queue,
        lease=given.lease,
        attempt=given.attempt,
        nonce=secrets.token_hex(5),
    )
    return Work(given=given, at=at, reply=reply, kept=kept)


class Tasks:
    """Does what an assignment asks for. `drop(work)` is told of each that is over here, `acknowledge` before."""

    def __init__(
        self,
        spec: AgentSpec,
        voice: Voice,
        asks: Asks,
        memory: Memory,
        pid: int,
        acknowledge: Callable[[Work], None],
    ) -> None:
        self._spec = spec
        self._voice = voice
        self._asks = asks
        self._memory = memory
        self._pid = pid
        self._acknowledge = acknowledge
        self._loop = asyncio.get_running_loop()

    async def do(self, work: Work) -> Outcome | None:
        """Fetch, claim and run; None when the task is not ours or nobody wants it any more."""
        if not await self._claim(work):
            self._memory.forget(work.kept)
            self._acknowledge(work)
            return None
        self._acknowledge(work)
        return await self._run(work)

    async def _claim(self, work: Work) -> bool:
        """Claim by compare-and-set on the task's last event; after a refusal the node says how it stands."""
        work.state = "claiming"
        given, kept = work.given, work.kept
        question = Question(
            do="fetch", task=given.task, queue=given.queue, lease=given.lease, run=self._voice.run, at=work.at
        )
        while not work.unwanted():
            text = work.text = await self._asks.fetch(question)
            if text is None:
                return False
            kept.attempt = text.attempt
            self._memory.keep(kept)
            event = TaskStarted(
                task=given.task,
                queue=given.queue,
                unit=self._spec.name,
                generation=1,
                pid=self._pid,
                attempt=text.attempt,
                nonce=kept.nonce,
                lease=given.lease,
                note=text.note,
            )
            envelope = self._voice.envelope(
                event, id=f"{given.task}-s{given.lease}-{kept.nonce}", cause=text.cause, task=given.task
            )
            try:
                said = await self._voice.claim(envelope, text.after)
            except Conflict:
                continue
            kept.claim = said.position
            self._memory.keep(kept)
            return True
        return False

    async def _run(self, work: Work) -> Outcome | None:
        spec, text = self._spec, work.text
        assert text is not None
        if work.unwanted():
            return self._doomed(work, 0)
        ended: asyncio.Future[int] = self._loop.create_future()
        marker = f"{spec.marker}:{work.given.task}:{work.kept.lease}:{work.kept.nonce}"
        overflow = spec.state / "results" / f"{text.queue}.{text.task}.{text.attempt}"
        begun = self._loop.time()
        try:
            child = AgentChild(
                spec.command,
                spec.cwd,
                marker,
                stdin_of(text, spec.stdin == "prompt"),
                overflow,
                lambda code: None if ended.done() else ended.set_result(code),
            )
        except OSError as problem:
            return Outcome(kind="exit", error=f"expected to start {spec.command[0]}, got {problem}")
        work.state, work.ended = "running", ended
        work.track = Track(child, spec.cwd, begun)
        work.kept.began = True
        self._memory.keep(work.kept)
        timer = self._loop.call_later(text.timeout_s, self._over, work, text.timeout_s)
        try:
            code = await ended
        finally:
            timer.cancel()
            child.kill()
        spent = round((self._loop.time() - begun) * 1000)
        return self._doomed(work, spent) if work.unwanted() else outcome_of(code, child, spent)

    def _over(self, work: Work, limit: float) -> None:
        self.stop(work, "timeout", f"expected an end within {limit:g} s, got none")

    def stop(self, work: Work, kind: str, why: str) -> None:
        """End a task early; an empty `kind` means that nobody waits for its end."""
        if work.doom is None:
            work.doom = (kind, why)
            if work.track is not None:
                work.track.child.kill()

    def _doomed(self, work: Work, spent: int) -> Outcome | None:
        kind, why = work.doom or ("", "")
        if not kind:
            return None
        return msgspec.convert({"kind": kind, "error": why, "service_ms": spent}, Outcome)

    # --- ends ----------------------------------------------------------------------------------------------

    async def end(self, work: Work, outcome: Outcome) -> str:
        """Write how an attempt ended, until the log or the node has answered; returns what became of it."""
        work.state = "ending"
        event = self._end_event(work.kept, outcome)
        envelope = self._voice.envelope(
            event,
            id=f"{work.given.task}-e{work.kept.lease}-{work.kept.nonce}",
            cause=work.text.cause if work.text else "",
            task=work.given.task,
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
            again = self._voice.envelope(body, id=event.id, cause=event.cause, task=kept.task)
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


def progress_of(work: Work, now: float) -> Progress:
    """Return how far a task is."""
    track = work.track
    if track is None:
        return Progress(
            task=work.given.task,
            queue=work.given.queue,
            lease=work.kept.lease,
            attempt=work.kept.attempt,
        )
    return Progress(
        task=work.given.task,
        queue=work.given.queue,
        lease=work.kept.lease,
        attempt=work.kept.attempt,
        for_ms=round((now - track.begun) * 1000),
        still_ms=round((now - track.moved) * 1000),
        output=track.output,
        cpu_ms=round(track.cpu_s * 1000),
        files=track.files,
        process=track.process,
    )

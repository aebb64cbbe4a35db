"""From an outcome to its end in the log and the acknowledgement; kept on disk while the log is away."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, cast

import msgspec
from msgspec import Struct

from actors.jetstream import JetStreamLog
from actors.recorder import Recorder
from actors.runner_fate import Fates
from actors.runner_jobs import Job, Outcome
from actors.runner_post import ACK, Post, again, tell
from actors.runner_spec import Spec
from actors.runner_spool import Spool, Spooled
from actors.runner_subtasks import subtasks_of
from actors.runner_voice import Voice
from events.envelope import Envelope, Recorded
from events.event import Event
from events.log import Conflict, Entry, Expect, LogRefused, LogUnreachable, Receipt
from events.subjects import subject_of, task_filter
from events.tasks import (
    FailureKind,
    ResultSalvaged,
    TaskCancelled,
    TaskDied,
    TaskDropped,
    TaskFailed,
    TaskFinished,
    TaskMoved,
    TaskReleased,
    TaskSubmitted,
)

_RETRY_LIMIT_S = 300.0
# An end that the log has not confirmed for this long goes to the disk.
_SPOOL_AFTER_S = 0.75
_AGAIN_S = 1.0
_UNREACHABLE_S = 0.25


class End(Struct, eq=False):
    """One end that the log has not confirmed. The first entry is the end itself, the others are subtasks."""

    entries: Sequence[Entry]
    replies: list[str]
    delay_s: float | None
    since: float
    settled: Callable[[], None]
    spooled: bool = False

    @property
    def answer(self) -> bytes:
        """The acknowledgement that follows."""
        return ACK if self.delay_s is None else again(self.delay_s)


class Ends:
    """Says ends until the log has them. One asyncio loop."""

    def __init__(
        self,
        log: JetStreamLog,
        recorder: Recorder,
        post: Post,
        voice: Voice,
        spec: Spec,
        fates: Fates,
        spool: Spool,
        settled: Callable[[Job], None],
    ) -> None:
        """`settled` gets each task whose end stands, or is somebody else's."""
        self._log = log
        self._recorder = recorder
        self._post = post
        self._voice = voice
        self._max = max(1, spec.max_attempts)
        self._deaths = spec.deaths
        self._fates = fates
        self._spool = spool
        self._settled = settled
        self._open: set[End] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._quiet = asyncio.Event()
        self._quiet.set()
        # Results wait for the log: nothing more is pulled then.
        self.late = False

    def finish(self, job: Job, outcome: Outcome) -> None:
        """Write the end of one attempt."""
        job.state = "ending"
        if not outcome.kind:
            try:
                subtasks = subtasks_of(job, outcome.submit)
            except ValueError as problem:
                self.finish(job, Outcome("garbage", str(problem), service_s=outcome.service_s))
                return
            self._say(job, self._finished(job, outcome, subtasks), None)
        elif self._is_over(job, outcome):
            self._say(job, [self._died(job, outcome)], None)
        else:
            delay_s = 0.0 if outcome.kind == "exit" else min(_RETRY_LIMIT_S, 2.0 ** (job.attempt - 1))
            self._say(job, [self._failed(job, outcome, delay_s)], delay_s)

    def _is_over(self, job: Job, outcome: Outcome) -> bool:
        """Whether no attempt is left. Too many deaths give one more, the trial, and it ends with a word of its own."""
        if job.solo:
            return outcome.kind == "crash" or (outcome.kind != "exit" and job.attempt >= self._max)
        on_trial = outcome.kind == "crash" and job.deaths + 1 >= self._deaths
        return job.attempt >= self._max and not on_trial

    def _blame(self, job: Job, outcome: Outcome) -> tuple[int, int]:
        """Return the deaths that still weigh on the task, and those that its trial has put on its workers."""
        if outcome.kind == "crash":
            return job.deaths + 1, 0
        survived = job.solo and outcome.kind not in ("exit", "timeout")
        return (0, job.deaths) if survived else (job.deaths, 0)

    def release(self, job: Job) -> None:
        """Give a claim back whose task no handler has seen."""
        job.state = "ending"
        event = TaskReleased(
            task=job.task,
            queue=job.queue,
            unit=self._voice.unit,
            generation=self._voice.generation,
            attempt=job.attempt,
            claim=job.claim,
            deaths=job.deaths,
        )
        self._say(job, [self._voice.on(job, event, "r", job.claim)], 0.0)

    def acknowledge(self, job: Job) -> None:
        """The log has an end of this task that is not ours."""
        for reply in job.replies:
            self._post.say(reply, ACK)
        self._settled(job)

    async def resend(self) -> None:
        """Say what an earlier generation of this unit could not say; returns when the log has it."""
        for kept in self._spool.read():
            end = End(kept.entries, list(kept.replies), kept.delay_s, self._loop.time(), lambda: None, True)
            self._open.add(end)
            self._quiet.clear()
            self._take(end)
        await self._quiet.wait()

    async def flushed(self) -> None:
        """Wait until the log has every end."""
        await self._quiet.wait()

    def keep_late(self, now: float, all_of_them: bool = False) -> None:
        """Write to the disk what the log has not confirmed for a while."""
        late = [end for end in self._open if all_of_them or now - end.since > _SPOOL_AFTER_S]
        self.late = bool(late)
        late = [end for end in late if not end.spooled]
        if self._spool.keep([Spooled(end.entries, end.replies, end.delay_s) for end in late]):
            for end in late:
                end.spooled = True

    def _finished(self, job: Job, outcome: Outcome, subtasks: list[tuple[TaskSubmitted, str]]) -> list[Entry]:
        event = TaskFinished(
            task=job.task,
            queue=job.queue,
            unit=self._voice.unit,
            generation=self._voice.generation,
            attempt=job.attempt,
            claim=job.claim,
            result=outcome.result,
            service_ms=round(outcome.service_s * 1000),
            cleared=self._blame(job, outcome)[1],
        )
        end = self._voice.on(job, event, "f", job.claim)
        return [end, *(self._submission(job, end, one, trace) for one, trace in subtasks)]

    def _submission(self, job: Job, end: Entry, subtask: TaskSubmitted, trace: str) -> Entry:
        source = self._voice.source
        envelope = Envelope(
            id=f"{subtask.queue}.{subtask.task}-{job.nonce}",
            time=end.envelope.time,
            source=source,
            cause=end.envelope.id,
            correlation=job.task,
            trace=trace,
            body=subtask,
        )
        expect = Expect(task_filter(subtask.queue, subtask.task), 0)
        return Entry(envelope, subject_of(source, subtask), expect)

    def _failed(self, job: Job, outcome: Outcome, delay_s: float) -> Entry:
        deaths, cleared = self._blame(job, outcome)
        event = TaskFailed(
            task=job.task,
            queue=job.queue,
            unit=self._voice.unit,
            generation=self._voice.generation,
            attempt=job.attempt,
            claim=job.claim,
            kind=cast(FailureKind, outcome.kind),
            error=outcome.text,
            service_ms=round(outcome.service_s * 1000),
            retry_in_s=delay_s,
            deaths=deaths,
            cleared=cleared,
        )
        return self._voice.on(job, event, "e", job.claim)

    def _died(self, job: Job, outcome: Outcome) -> Entry:
        deaths, cleared = self._blame(job, outcome)
        event = TaskDied(
            task=job.task,
            queue=job.queue,
            unit=self._voice.unit,
            attempts=job.attempt,
            kind=cast(FailureKind, outcome.kind),
            error=outcome.text,
            service_ms=round(outcome.service_s * 1000),
            deaths=deaths,
            cleared=cleared,
            evidence=self._fates.evidence(outcome, self._voice.unit, self._voice.generation),
        )
        return self._voice.on(job, event, "d", job.claim)

    def _say(self, job: Job, entries: Sequence[Entry], delay_s: float | None) -> None:
        end = End(entries, job.replies, delay_s, self._loop.time(), lambda: self._settled(job))
        self._open.add(end)
        self._quiet.clear()
        self._take(end)

    def _take(self, end: End) -> None:
        self._recorder.take(end.entries, lambda result: self._said(end, result))

    def _said(self, end: End, result: Receipt | Exception) -> None:
        if isinstance(result, Receipt):
            self._stands(end, end.answer)
        elif isinstance(result, Conflict):
            self._later(self._settle(end))
        elif isinstance(result, LogUnreachable):
            self._take(end)
        else:
            level = "refused" if isinstance(result, LogRefused) else "not taken"
            tell(f"the end of task {end.entries[0].envelope.correlation} was {level}, said again: {result}")
            self._loop.call_later(_AGAIN_S, self._take, end)

    def _stands(self, end: End, answer: bytes | None) -> None:
        for reply in end.replies if answer else ():
            self._post.say(reply, answer or b"")
        self._open.discard(end)
        if not self._open:
            self._spool.clear()
            self.late = False
            self._quiet.set()
        end.settled()

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle(self, end: End) -> None:
        """After a refusal: ours all the same, in the way of a subtask that exists, or too late."""
        entry = end.entries[0]
        found = await self._last(entry.subject)
        if found is not None and found.id == entry.envelope.id:
            self._stands(end, end.answer)
            return
        expect = cast(Expect, entry.expect)
        last = await self._last(expect.filter)
        if last is not None and last.position == expect.position:
            end.entries = [entry, *[one for one in end.entries[1:] if await self._is_new(one)]]
            self._take(end)
            return
        body = last.body if last is not None else None
        over = body is None or isinstance(
            body, TaskFinished | TaskDied | TaskDropped | TaskCancelled | TaskMoved
        )
        salvage = salvaged(entry.envelope.body)
        if salvage is None:
            self._stands(end, ACK if over else None)
            return
        envelope = msgspec.structs.replace(entry.envelope, id=f"{entry.envelope.id}-late", body=salvage)
        # Acknowledged only when the task is over: otherwise the delivery is that of another runner's attempt.
        end.entries = [Entry(envelope, subject_of(envelope.source, salvage))]
        end.delay_s = None
        if not over:
            end.replies = []
        self._take(end)

    async def _is_new(self, entry: Entry) -> bool:
        return await self._last(cast(Expect, entry.expect).filter) is None

    async def _last(self, filter: str) -> Recorded | None:
        while True:
            try:
                return await self._log.last(filter)
            except LogUnreachable:
                await asyncio.sleep(_UNREACHABLE_S)


def salvaged(body: Event) -> ResultSalvaged | None:
    """Return what is kept of an end that came too late; nothing of a mere release."""
    match body:
        case TaskFinished():
            result, error = body.result, ""
        case TaskFailed():
            result, error = None, body.error
        case _:
            return None
    return ResultSalvaged(
        task=body.task,
        queue=body.queue,
        unit=body.unit,
        generation=body.generation,
        attempt=body.attempt,
        result=result,
        error=error,
    )

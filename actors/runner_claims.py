"""From a delivery to a claim: nothing runs before the log says that it is ours."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from msgspec import Struct
from nats.aio.msg import Msg

from actors.jetstream import JetStreamLog
from actors.recorder import Recorder
from actors.runner_fate import Fate, Fates
from actors.runner_jobs import Job, job_of
from actors.runner_post import ACK, GONE, Post, again, tell
from actors.runner_spec import Spec
from actors.runner_voice import Voice
from events.envelope import Envelope, Recorded
from events.log import Entry, Expect, LogFull, LogRefused, LogUnreachable, Receipt
from events.subjects import subject_of, task_filter
from events.tasks import (
    TaskCancelled,
    TaskDied,
    TaskDropped,
    TaskFailed,
    TaskFinished,
    TaskMoved,
    TaskReleased,
    TaskStarted,
    TaskSubmitted,
)

# A task that another runner has claimed is left to it, for two deliveries if nobody knows whether that one lives.
_ELSEWHERE_S = 5.0
_PATIENCE = 2
_FULL_S = 5.0
_STRANGE_S = 30.0
_UNREACHABLE_S = 0.25
_BUSY_S = 1.0
# A task that is not due is looked at again at least so often: clocks are set.
_LONGEST_S = 3600.0


class Reading(Struct, frozen=True):
    """What a task's last event asks of whoever got its delivery.

    `verdict` is claim, die, settle, wait, done or strange; `attempt` the number of the claim, or how many there
    were; `deaths` how many of them ended with their process.
    """

    verdict: str
    attempt: int = 0
    deaths: int = 0
    wait_s: float = 0.0
    kind: Any = "crash"
    text: str = ""


class Claims:
    """Claims each delivered task by compare-and-set, or answers its delivery. One asyncio loop."""

    def __init__(
        self,
        log: JetStreamLog,
        recorder: Recorder,
        post: Post,
        voice: Voice,
        spec: Spec,
        fates: Fates,
        held: dict[str, Job],
        claimed: Callable[[Job], None],
        dropped: Callable[[], None],
        alone: Callable[[Job, Callable[[], None]], bool],
    ) -> None:
        """`held` is shared with the owner; `claimed` gets a task that is ours, `dropped` is told of room.

        `alone` calls back once the runner holds nothing but this task; False when that cannot be now.
        """
        self._log = log
        self._recorder = recorder
        self._post = post
        self._voice = voice
        self._max = max(1, spec.max_attempts)
        self._deaths = spec.deaths
        self._fates = fates
        self._held = held
        self._claimed = claimed
        self._dropped = dropped
        self._alone = alone
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def take(self, message: Msg, full: bool = False) -> None:
        """Begin with one delivery; what is new goes back at once while the runner is `full`."""
        job = job_of(message.data, message.reply, self._loop.time())
        if job is None:
            tell(f"expected a submission on {message.subject}, got something else; it is left out")
            self._post.say(message.reply, GONE)
            return
        known = self._held.get(job.task)
        if known is not None:
            known.replies.append(message.reply)
            known.touched = self._loop.time()
            return
        rest = job.due / 1e6 - time.time() if job.due else 0.0
        if rest > 0:
            self._post.say(message.reply, again(min(rest, _LONGEST_S)))
            return
        if full:
            self._post.say(message.reply, again(0))
            return
        self._held[job.task] = job
        if job.delivered == 1:
            self._claim(job, 1, job.position)
        else:
            self._later(self._judge(job))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _claim(self, job: Job, attempt: int, stands: int) -> None:
        voice = self._voice
        job.attempt, job.nonce = attempt, voice.nonce()
        event = TaskStarted(
            task=job.task,
            queue=job.queue,
            unit=voice.unit,
            generation=voice.generation,
            pid=voice.pid,
            attempt=attempt,
            nonce=job.nonce,
            delivery=job.replies[-1],
            deaths=job.deaths,
            solo=job.solo,
        )
        entry = voice.on(job, event, "s", stands)
        self._recorder.take([entry], lambda result: self._said(job, entry, result))

    def _said(self, job: Job, entry: Entry, result: Receipt | Exception) -> None:
        if isinstance(result, Receipt):
            self._ours(job, result.positions[0])
        elif isinstance(result, LogFull):
            self._leave(job, again(_FULL_S))
        elif isinstance(result, LogRefused):
            tell(f"task {job.task} cannot be claimed: {result}")
            self._leave(job, again(_STRANGE_S))
        else:
            self._later(self._settle(job, entry))

    async def _settle(self, job: Job, entry: Entry) -> None:
        """After a refusal or a doubt: is the claim in the log all the same?"""
        found = await self._last(entry.subject)
        if found is not None and found.id == entry.envelope.id:
            if isinstance(found.body, TaskStarted):
                self._ours(job, found.position)
            else:
                self._leave(job, ACK)
            return
        await self._judge(job)

    async def _judge(self, job: Job) -> None:
        """Let the task's last event say what is to be done with its delivery."""
        last = await self._last(task_filter(job.queue, job.task))
        if last is None:
            self._leave(job, GONE)
            return
        fate = Fate(None)
        if isinstance(last.body, TaskStarted):
            if self._mine(last.body):
                job.attempt, job.nonce = last.body.attempt, last.body.nonce
                job.deaths, job.solo = last.body.deaths, last.body.solo
                self._ours(job, last.position)
                return
            fate = await self._fate(last.body)
        reading = read(last, job, self._max, self._deaths, fate.over, time.time())
        if reading.verdict == "claim":
            self._try(job, reading, last.position)
        elif reading.verdict == "settle" and isinstance(last.body, TaskStarted):
            self._settle_for(job, last.body, last.position, fate)
        elif reading.verdict == "die":
            self._die(job, reading, last.position)
        elif reading.verdict == "done":
            self._leave(job, ACK)
        else:
            if reading.verdict == "strange":
                tell(f"task {job.task}: expected an event of its life, got {last.type} at {last.position}")
            self._leave(job, again(reading.wait_s))

    def _try(self, job: Job, reading: Reading, stands: int) -> None:
        """Claim; a task that too many processes have died with waits until it is alone here."""
        job.deaths, job.solo = reading.deaths, reading.deaths >= self._deaths
        if not job.solo:
            self._claim(job, reading.attempt, stands)
        elif not self._alone(job, lambda: self._claim(job, reading.attempt, stands)):
            self._leave(job, again(_BUSY_S))

    def _settle_for(self, job: Job, claim: TaskStarted, position: int, fate: Fate) -> None:
        """Say for a runner that is gone what became of its claim, then look again."""
        event = self._fates.settled(claim, position, fate)
        envelope = Envelope(
            id=f"{job.task}-x{claim.attempt}-{claim.nonce}",
            time=time.time_ns() // 1000,
            source=self._voice.source,
            cause=job.cause,
            correlation=job.task,
            trace=job.trace,
            body=event,
        )
        expect = Expect(task_filter(job.queue, job.task), position)
        entry = Entry(envelope, subject_of(self._voice.source, event), expect)

        def said(result: Receipt | Exception) -> None:
            if isinstance(result, LogFull | LogRefused):
                self._leave(job, again(_STRANGE_S))
            else:
                self._later(self._judge(job))

        self._recorder.take([entry], said)

    def _die(self, job: Job, reading: Reading, stands: int) -> None:
        job.attempt, job.nonce = reading.attempt, self._voice.nonce()
        event = TaskDied(
            task=job.task,
            queue=job.queue,
            unit=self._voice.unit,
            attempts=reading.attempt,
            kind=reading.kind,
            error=reading.text,
            deaths=reading.deaths,
        )
        entry = self._voice.on(job, event, "d", stands)

        def said(result: Receipt | Exception) -> None:
            if isinstance(result, Receipt):
                self._leave(job, ACK)
            else:
                self._said(job, entry, result)

        self._recorder.take([entry], said)

    def _mine(self, claim: TaskStarted) -> bool:
        """Whether this very process made the claim and lost sight of it; nobody is at work on it then."""
        voice = self._voice
        return (claim.unit, claim.generation, claim.pid) == (voice.unit, voice.generation, voice.pid)

    async def _fate(self, claim: TaskStarted) -> Fate:
        while True:
            try:
                return await self._fates.of(claim)
            except LogUnreachable:
                await asyncio.sleep(_UNREACHABLE_S)

    async def _last(self, filter: str) -> Recorded | None:
        while True:
            try:
                return await self._log.last(filter)
            except LogUnreachable:
                await asyncio.sleep(_UNREACHABLE_S)

    def _ours(self, job: Job, position: int) -> None:
        job.claim = position
        self._claimed(job)

    def give_up(self, job: Job) -> None:
        """Let go of a task that was not claimed."""
        self._leave(job, again(0))

    def _leave(self, job: Job, answer: bytes) -> None:
        for reply in job.replies:
            self._post.say(reply, answer)
        self._held.pop(job.task, None)
        self._dropped()


def read(last: Recorded, job: Job, limit: int, deaths: int, gone: bool | None, now: float) -> Reading:
    """Say what a task's last event asks for. `now` in seconds since 1970, for the delay of a retry.

    `limit` bounds the attempts; a task with so many `deaths` has one more, its trial. `gone`: whether the runner of
    the last claim has ended, None when nobody knows; then it is waited for twice.
    """
    body = last.body
    match body:
        case TaskFinished() | TaskDied() | TaskDropped() | TaskCancelled() | TaskMoved():
            return Reading("done")
        case TaskSubmitted():
            # A later submission has a delivery of its own.
            return Reading("claim", 1) if last.position == job.position else Reading("done")
        case TaskReleased():
            return Reading("claim", body.attempt, body.deaths)
        case TaskFailed():
            if body.attempt >= limit and body.deaths < deaths:
                return Reading("die", body.attempt, body.deaths, kind=body.kind, text=body.error)
            rest = last.time / 1e6 + body.retry_in_s - now
            if rest > 0.02:
                return Reading("wait", wait_s=rest)
            return Reading("claim", body.attempt + 1, body.deaths)
        case TaskStarted():
            if gone is False or (gone is None and job.delivered <= _PATIENCE):
                return Reading("wait", wait_s=_ELSEWHERE_S)
            return Reading("settle")
        case _:
            return Reading("strange", wait_s=_STRANGE_S)

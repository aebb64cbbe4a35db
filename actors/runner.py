"""The program inside a task worker: takes tasks from its queue, has them executed, writes how they ended."""

import asyncio
import contextlib
import gc
import json
import signal
import sys
from collections.abc import Callable

from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from actors.connection import Connection, Credentials, connect
from actors.jetstream import JetStreamLog
from actors.pull import Puller
from actors.recorder import Recorder
from actors.runner_beats import Beat, Beats, shown
from actors.runner_claims import Claims
from actors.runner_ends import Ends
from actors.runner_hosts import Hosts
from actors.runner_jobs import Pace
from actors.runner_post import Post, tell
from actors.runner_programs import Programs
from actors.runner_spec import Spec, read_spec, take_credentials
from actors.runner_spool import Spool
from actors.runner_voice import voice_of
from actors.runner_work import Work, Workers
from events.log import LogError
from events.observations import WorkerReady
from events.subjects import LOG

DRAINED, REFUSED, NO_HANDLER = 0, 2, 3
# The work that a drained runner still begins, if it is already claimed.
_SHORT_S = 2.0
_LOOK_S = (0.0, 0.02, 0.1, 0.4, 1.0)


class Runner:
    """One generation of one unit. Everything happens on one asyncio loop."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.pace = Pace(spec.concurrency * spec.batch)
        self.work = Work(self.pace, spec.ack_wait_s)
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._reason = ""
        self._puller: Puller | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self.workers = self._make_workers()
        self.workers.spawn()

    async def run(self, credentials: Credentials) -> int:
        """Work until told to stop; returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.drain)
        ready = self._spawned(self.workers.started())
        self.connection = connection = await connect(credentials, f"runner-{self.spec.unit}")
        self._wire(connection, credentials)
        listening = self._spawned(self._listen(connection))
        starting = self._spawned(self._start(ready))
        stopped = self._spawned(self._stop.wait())
        await asyncio.wait([starting, stopped], return_when=asyncio.FIRST_COMPLETED)
        if starting.done() and not starting.cancelled() and starting.exception():
            self._fail(f"{starting.exception()!r}")
        await self._stop.wait()
        for task in (starting, listening, ready):
            task.cancel()
        await self._end()
        return NO_HANDLER if self._reason else DRAINED

    def drain(self) -> None:
        """First call: end in order. Second call: give up what runs."""
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    def _make_workers(self) -> Workers:
        spec = self.spec
        if spec.exec:
            return Programs(
                spec.exec,
                spec.cwd,
                spec.concurrency,
                spec.timeout_s,
                self.pace,
                self.work.ended,
                self.work.pump,
                self._fail,
            )
        return Hosts(
            (spec.python or sys.executable, spec.call, spec.cwd),
            (spec.concurrency, spec.batch),
            spec.timeout_s,
            self.pace,
            self.work.ended,
            self.work.back,
            self.work.pump,
            self._fail,
        )

    def _wire(self, connection: Connection, credentials: Credentials) -> None:
        spec = self.spec
        self.log = JetStreamLog(connection)
        self.recorder = Recorder(self.log)
        self.post = Post(connection)
        self.voice = voice_of(credentials.source, spec.unit, spec.generation)
        self.spool = Spool(spec.spool)
        self.ends = Ends(
            self.log, self.recorder, self.post, self.voice, spec.max_attempts, self.spool, self.work.settled
        )
        claims = Claims(
            self.log,
            self.recorder,
            self.post,
            self.voice,
            spec.max_attempts,
            self.work.held,
            self.work.claimed,
            self.work.dropped,
        )
        self.beats = Beats(connection, self.post, f"beat.{spec.pool}.{spec.unit}", self._beat)
        self.work.join(self.workers, claims, self.post, self.ends, self._order, self.beats.changed)
        self.recorder.start()
        self.post.start()

    async def _start(self, ready: "asyncio.Task[None]") -> None:
        await self.ends.resend()
        await self._queue_there()
        await ready
        await self.recorder.append([self.voice.alone(self._ready())])
        await self._pull()
        self.beats.start()
        # What lives now lives on; the collector need not look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 20)

    def _ready(self) -> WorkerReady:
        return WorkerReady(unit=self.spec.unit, generation=self.spec.generation, pid=self.voice.pid)

    async def _queue_there(self) -> None:
        """Wait for the queue's consumer, which the node creates.

        It is asked for something that it must refuse: a proper order could bring a task to where nobody takes it.
        """
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{LOG}.q_{self.spec.queue}"
        pause = 0.02
        while True:
            with contextlib.suppress(TimeoutError, NatsError, OSError):
                await self.connection.client.request(subject, b"{", timeout=2.0)
                return
            await asyncio.sleep(pause)
            pause = min(1.0, pause * 1.5)

    async def _pull(self) -> None:
        if self._puller is None:
            consumer = f"q_{self.spec.queue}"
            self._puller = Puller(
                self.connection, consumer, self.work.deliver, self.work.credit, self._lost, LOG
            )
        await self._puller.start()

    def _order(self) -> None:
        if self._puller:
            self._puller.order()

    def _lost(self, why: str) -> None:
        tell(f"the queue {self.spec.queue} does not answer: {why}; asks again")
        self._loop.call_later(0.5, self._order)

    async def _listen(self, connection: Connection) -> None:
        spec = self.spec
        client = connection.client
        await client.subscribe(f"run.{spec.pool}.{spec.unit}", cb=self._told)
        await client.subscribe(f"run.{spec.pool}.all", cb=self._told)
        await client.subscribe(f"log.*.*.task.{spec.queue}.*.cancelled", cb=self._heard)
        connection.on_reconnect(self._look_again)

    async def _told(self, message: Msg) -> None:
        try:
            what = json.loads(message.data).get("do")
        except (ValueError, AttributeError):
            what = None
        if what == "drain":
            if not self._stop.is_set():
                self.drain()
        elif what in ("quiet", "resume") and self.work.state != "draining":
            await (self._quiet() if what == "quiet" else self._resume())
        elif what not in ("quiet", "resume"):
            tell(f"expected quiet, resume or drain on {message.subject}, got {message.data[:80]!r}")

    async def _quiet(self) -> None:
        if self.work.state == "pulling":
            self.work.state = "quiet"
            if self._puller:
                await self._puller.stop(orderly=True)
            self.beats.changed()

    async def _resume(self) -> None:
        if self.work.state == "quiet":
            self.work.state = "pulling"
            await self._pull()
            self.beats.changed()

    async def _heard(self, message: Msg) -> None:
        """Somebody says that a task is cancelled; the log has the last word."""
        task = message.subject.split(".")[5]
        if task in self.work.held:
            self._spawned(self._check(task, message.subject))

    async def _check(self, task: str, subject: str) -> None:
        job = self.work.held.get(task)
        for pause in _LOOK_S:
            await asyncio.sleep(pause)
            with contextlib.suppress(LogError):
                found = await self.log.last(subject)
                if job and found is not None and found.position > job.position:
                    if self.work.held.get(task) is job:
                        self.work.cancelled(task)
                    return

    def _look_again(self) -> None:
        """Cancellations may have been said while the connection was away."""
        for job, _ in self.workers.running():
            subject = f"log.*.*.task.{job.queue}.{job.task}.cancelled"
            self._spawned(self._check(job.task, subject))

    def _beat(self) -> Beat:
        work = self.work
        running = [job.task for job, _ in self.workers.running()]
        return Beat(
            unit=self.spec.unit,
            generation=self.spec.generation,
            pid=self.voice.pid,
            in_flight=shown(running),
            n=len(work.held),
            done=work.done,
            failed=work.failed,
            state=work.state,
            service_ms_p50=self.pace.median_ms(),
            host_pids=self.workers.pids,
        )

    def _fail(self, reason: str) -> None:
        """Without a handler there is no work: say why and end early."""
        if not self._reason and not self._stop.is_set():
            tell(reason)
            self._reason = reason
            self._hurry.set()
            self._stop.set()

    async def _end(self) -> None:
        """Stop pulling, give back or finish what is held, leave nothing unsaid."""
        spec, work = self.spec, self.work
        began = self._loop.time()
        patience = max(spec.stop_wait_s * 0.5, spec.stop_wait_s - 1.5)
        work.state = "draining"
        if self._puller:
            await self._puller.stop(orderly=True)
        self.beats.changed()
        waiting = self.workers.take_back() + list(work.ready)
        work.ready.clear()
        short = min(_SHORT_S, patience / 2)
        if self._reason or len(waiting) * max(self.pace.service_s, 0.0) / spec.concurrency > short:
            work.release(waiting)
        else:
            work.back(waiting)
            work.pump()
        idle = self._spawned(work.idle())
        hurry = self._spawned(self._hurry.wait())
        rest = max(0.0, patience - (self._loop.time() - began))
        await asyncio.wait([idle, hurry], timeout=rest, return_when=asyncio.FIRST_COMPLETED)
        if not idle.done():
            work.release(self.workers.take_back() + list(work.ready))
            work.ready.clear()
            self.workers.give_up("the runner was stopped before the task ended")
            await asyncio.wait([idle], timeout=1.0)
        self.ends.keep_late(self._loop.time(), all_of_them=True)
        self.beats.stop()
        work.stop()
        await self.workers.close(0.5)
        await self.post.stop()
        await self.connection.close()

    def _spawned(self, work: "asyncio.Future[None] | object") -> "asyncio.Task[None]":
        task: asyncio.Task[None] = self._loop.create_task(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def run(spec: Spec, credentials: Credentials) -> int:
    """Be the runner of this order."""
    return await Runner(spec).run(credentials)


def main(then: Callable[[int], int] = int) -> int:
    """Read the order and the credentials, work, return the exit code."""
    try:
        spec = read_spec(sys.argv[2:])
        credentials = take_credentials()
    except ValueError as problem:
        tell(str(problem))
        return then(REFUSED)
    return then(asyncio.run(run(spec, credentials)))

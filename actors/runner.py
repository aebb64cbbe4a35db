"""The program inside a task worker: takes tasks from its queue, has them executed, writes how they ended."""

import asyncio
import contextlib
import faulthandler
import gc
import signal
import sys
from pathlib import Path

from nats.errors import Error as NatsError

from actors.connection import Connection, Credentials, connect
from actors.jetstream import JetStreamLog
from actors.recorder import Recorder
from actors.runner_beats import Beat, Beats, shown
from actors.runner_claims import Claims
from actors.runner_ends import Ends
from actors.runner_fate import Fates
from actors.runner_hosts import Hosts
from actors.runner_jobs import Pace
from actors.runner_marks import Marks
from actors.runner_notices import MESSAGES, Notices
from actors.runner_orders import Orders
from actors.runner_post import Post, tell
from actors.runner_programs import Programs
from actors.runner_pulls import Pulls
from actors.runner_spec import Spec, read_spec, take_credentials
from actors.runner_spool import Spool
from actors.runner_voice import voice_of
from actors.runner_work import Work, Workers
from events.observations import WorkerReady
from events.subjects import LOG, queue_consumer

DRAINED, REFUSED, NO_HANDLER = 0, 2, 3
# The work that a drained runner still begins, if it is already claimed.
_SHORT_S = 2.0
# Hosts that have nothing to do end at the end of their input within this time, or by force.
_GRACE_S = 0.5
_ASK_AGAIN_S = 0.5
_PATIENCE_S = 3.0
# A beat names so many processes that are long at their task.
_LASTING = 64


class Runner:
    """One generation of one unit. Everything happens on one asyncio loop."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.pace = Pace(spec.concurrency * spec.batch)
        self.work = Work(self.pace, spec.ack_wait_s)
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._reason = ""
        self._connection: Connection | None = None
        self._pulls: Pulls | None = None
        self._lost_at = self._lost_since = -60.0
        self._lost_told = False
        self._loop = asyncio.get_running_loop()
        self.marks = self._make_marks()
        self.workers = self._make_workers()
        self.workers.spawn()

    async def run(self, credentials: Credentials) -> int:
        """Work until told to stop; returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.drain)
        life = self._loop.create_task(self._live(credentials))
        stopped = self._loop.create_task(self._stop.wait())
        await asyncio.wait([life, stopped], return_when=asyncio.FIRST_COMPLETED)
        if life.done() and life.exception():
            self._fail(f"expected to start, got {life.exception()!r}")
        await stopped
        while not life.done():
            # The client may take a cancellation for the failure of the server that it just tries.
            life.cancel()
            await asyncio.wait([life], timeout=_ASK_AGAIN_S)
        await asyncio.gather(life, return_exceptions=True)
        await self._end()
        for number in (signal.SIGTERM, signal.SIGINT):
            # Whoever asks a third time asks for what is about to happen.
            self._loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
        return NO_HANDLER if self._reason else DRAINED

    def drain(self) -> None:
        """First call: end in order. Second call: give up what runs."""
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    def _make_marks(self) -> Marks | None:
        """Without a place for them nobody will know what was being executed if this process is killed."""
        spec = self.spec
        if not spec.spool:
            return None
        try:
            folder = Path(spec.spool).parent
            return Marks(folder, spec.unit, spec.generation, spec.concurrency, spec.batch)
        except OSError as problem:
            tell(f"expected to write marks beside {spec.spool}, got {problem}; deaths will not be told apart")
            return None

    def _make_workers(self) -> Workers:
        spec = self.spec
        if spec.exec:
            return Programs(
                (*spec.prefix, *spec.exec),
                spec.cwd,
                spec.concurrency,
                spec.timeout_s,
                self.pace,
                self.work.ended,
                self.work.pump,
                self._fail,
                self.marks,
            )
        return Hosts(
            (*spec.prefix, spec.python or sys.executable),
            (spec.call, spec.cwd),
            (spec.concurrency, spec.batch),
            spec.timeout_s,
            self.pace,
            self.work.ended,
            self.work.back,
            self.work.pump,
            self._fail,
            self.marks,
        )

    def _wire(self, connection: Connection, credentials: Credentials) -> None:
        spec = self.spec
        self._connection = connection
        self.log = JetStreamLog(connection)
        self.recorder = Recorder(self.log)
        self.post = Post(connection)
        self.voice = voice_of(credentials.source, spec.unit, spec.generation)
        self.spool = Spool(spec.spool)
        fates = Fates(spec, self.log)
        self.ends = Ends(
            self.log, self.recorder, self.post, self.voice, spec, fates, self.spool, self.work.settled
        )
        claims = Claims(
            self.log,
            self.recorder,
            self.post,
            self.voice,
            spec,
            fates,
            self.work.held,
            self.work.claimed,
            self.work.dropped,
            self.work.alone,
        )
        self.beats = Beats(connection, self.post, f"beat.{spec.pool}.{spec.unit}", self._beat)
        self.work.join(self.workers, claims, self.post, self.ends, self._order, self.beats.changed)
        actions = {"quiet": self._quiet, "resume": self._resume, "drain": self._leave}
        self.notices = Notices(self.workers, self.recorder, self.voice)
        messages = (MESSAGES, self.notices.heed)
        self.orders = Orders(spec, self.log, self.work, self.workers, actions, messages)
        self.recorder.start()
        self.post.start()

    async def _live(self, credentials: Credentials) -> None:
        """Connect, however long that takes, settle what was left, begin to pull."""
        connection = await connect(credentials, f"runner-{self.spec.unit}")
        self._wire(connection, credentials)
        await self.orders.listen(connection)
        await self.ends.resend()
        await self._queue_there(connection)
        await self.workers.started()
        await self.recorder.append([self.voice.alone(self._ready())])
        if self.work.state == "pulling":
            await self._pull(connection)
        self.beats.start()
        # What lives now lives on; the collector need not look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 20)

    def _ready(self) -> WorkerReady:
        return WorkerReady(unit=self.spec.unit, generation=self.spec.generation, pid=self.voice.pid)

    async def _queue_there(self, connection: Connection) -> None:
        """Wait for the queue's consumers, of which the node creates the middle class's last.

        It is asked for something that it must refuse: a proper order could bring a task nobody waits for.
        """
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{LOG}.{queue_consumer(self.spec.queue)}"
        pause = 0.02
        while True:
            with contextlib.suppress(TimeoutError, NatsError, OSError):
                await connection.client.request(subject, b"{", timeout=2.0)
                return
            await asyncio.sleep(pause)
            pause = min(1.0, pause * 1.5)

    async def _pull(self, connection: Connection) -> None:
        if self._pulls is None:
            work, spec = self.work, self.spec
            self._pulls = Pulls(
                connection, spec.queue, spec.age_s, work.deliver, work.hand_back, work.credit, self._lost
            )
        await self._pulls.start()

    def _order(self) -> None:
        if self._pulls:
            self._pulls.order()

    def _lost(self, why: str) -> None:
        """Ask again; a server that just starts is not worth a line, one that stays away is."""
        now = self._loop.time()
        if now - self._lost_at > 2 * _ASK_AGAIN_S:
            self._lost_since, self._lost_told = now, False
        self._lost_at = now
        if now - self._lost_since > _PATIENCE_S and not self._lost_told:
            self._lost_told = True
            tell(f"the queue {self.spec.queue} does not answer: {why}; the runner goes on asking")
        self._loop.call_later(_ASK_AGAIN_S, self._order)

    async def _quiet(self) -> None:
        if self.work.state == "pulling":
            self.work.state = "quiet"
            if self._pulls:
                await self._pulls.stop(orderly=True)
            self.beats.changed()

    async def _resume(self) -> None:
        if self.work.state == "quiet" and self._connection:
            self.work.state = "pulling"
            await self._pull(self._connection)
            self.beats.changed()

    async def _leave(self) -> None:
        if not self._stop.is_set():
            self.drain()

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
            lasting=self.workers.lasting()[:_LASTING],
        )

    def _fail(self, reason: str) -> None:
        """Without a handler there is no work: say why and end early."""
        if not self._reason and not self._stop.is_set():
            tell(reason)
            self._reason = reason
            self._hurry.set()
            self._stop.set()

    async def _end(self) -> None:
        """Stop pulling, finish or give back what is held, leave nothing unsaid."""
        if self._connection is None:
            await self.workers.close(_GRACE_S)
            return
        began = self._loop.time()
        patience = max(self.spec.stop_wait_s * 0.5, self.spec.stop_wait_s - 1.5)
        self.work.state = "draining"
        if self._pulls:
            await self._pulls.stop(orderly=True)
        self.beats.changed()
        self.work.give_up_trial()
        waiting = self.work.take_back()
        if self._reason or self._needed_s(len(waiting)) > min(_SHORT_S, patience / 2):
            self.work.release(waiting)
        else:
            self.work.back(waiting)
            self.work.pump()
        idle = self._loop.create_task(self.work.idle())
        hurry = self._loop.create_task(self._hurry.wait())
        rest = max(0.0, patience - (self._loop.time() - began))
        await asyncio.wait([idle, hurry], timeout=rest, return_when=asyncio.FIRST_COMPLETED)
        if not idle.done():
            self.work.release(self.work.take_back())
            self.workers.give_up("the runner was stopped before the task ended")
            await asyncio.wait([idle], timeout=1.0)
        self.ends.keep_late(self._loop.time(), all_of_them=True)
        self.beats.stop()
        self.work.stop()
        await self.workers.close(_GRACE_S)
        await self.post.stop()
        await self._connection.close()
        if self.marks and not self.work.held:
            self.marks.close()

    def _needed_s(self, tasks: int) -> float:
        return tasks * max(self.pace.service_s, 0.0) / self.spec.concurrency


async def run(spec: Spec, credentials: Credentials) -> int:
    """Be the runner of this order."""
    return await Runner(spec).run(credentials)


def main() -> int:
    """Read the order and the credentials, work, return the exit code."""
    try:
        spec = read_spec(sys.argv[2:])
        credentials = take_credentials()
    except ValueError as problem:
        tell(str(problem))
        return REFUSED
    # Whoever asks where it hangs is told, by the signal itself.
    if signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL:
        faulthandler.register(signal.SIGUSR1, all_threads=True)
    return asyncio.run(run(spec, credentials))

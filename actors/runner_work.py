"""The tasks that a runner holds, from delivery to end: what to pull, hand over, prolong and give back."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from nats.aio.msg import Msg

from actors.runner_claims import Claims
from actors.runner_ends import Ends
from actors.runner_jobs import Job, Lasting, Outcome, Pace
from actors.runner_post import WORKING, Post, again

_TICK_S = 0.25
# Claimed tasks that no handler reaches within this time go back to the queue.
_STALE_S = 2.0
_HELD_LIMIT = 2048


class Workers(Protocol):
    """Whoever executes: handler hosts, or a program for each task."""

    @property
    def pids(self) -> list[int]:
        """The processes that live."""

    def spawn(self) -> None:
        """Begin to start."""

    async def started(self) -> None:
        """Wait until tasks can be executed."""

    async def renew(self) -> None:
        """Let fresh processes take the place of those that wait for work."""

    def running(self) -> list[tuple[Job, float]]:
        """Return the tasks being executed, each with its start in monotonic seconds."""

    def lasting(self) -> list[Lasting]:
        """Return who has been executing something for long."""

    def pump(self, ready: deque[Job]) -> None:
        """Take from the left what can be taken now."""

    def take_back(self) -> list[Job]:
        """Return what was handed over and has not begun."""

    def drop(self, job: Job) -> bool:
        """Stop one task without an outcome; False when it goes on."""

    def give_up(self, text: str) -> None:
        """Stop what runs; outcomes of kind `exit` follow."""

    async def notice(self, message: dict[str, Any], every: bool = False) -> list[dict[str, Any]]:
        """Give a message to one process that lives, or to every one; returns their answers."""

    async def close(self, grace_s: float) -> None:
        """End every process."""


class Work:
    """Holds the tasks of one runner. One asyncio loop; `held` is shared with the claims."""

    def __init__(self, pace: Pace, ack_wait_s: float) -> None:
        self.held: dict[str, Job] = {}
        self.ready: deque[Job] = deque()
        self.pace = pace
        self.state = "pulling"
        self.done = 0
        self.failed = 0
        self.ahead = 0
        self._renew_s = ack_wait_s / 2
        self._loop = asyncio.get_running_loop()
        self._ticker: asyncio.TimerHandle | None = None
        self._pumping = False
        self._idle = asyncio.Event()
        self._joined = False
        # A task on trial, and what begins it once nothing else is held.
        self._trial: Job | None = None
        self._begin: Callable[[], None] | None = None
        self._renewing: asyncio.Task[None] | None = None

    def join(
        self,
        workers: Workers,
        claims: Claims,
        post: Post,
        ends: Ends,
        order: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        """Get to know the others: `order` tops up the pulling, `changed` asks for a beat."""
        self.workers, self.claims, self.ends = workers, claims, ends
        self._post, self._order, self._changed = post, order, changed
        self._joined = True
        self._tick()

    def credit(self) -> int:
        """Return how many deliveries can be taken now."""
        if self.state != "pulling" or self.ends.late or self._trial:
            return 0
        ending = len(self.held) - self.ahead
        return max(0, min(self.pace.window() - self.ahead, _HELD_LIMIT - ending))

    def deliver(self, message: Msg) -> bool:
        """Take one delivery; True for a task that is held from now on.

        While not pulling, during a trial or without room it goes straight back: each class is asked for as many as
        there is room for, so together they may bring more.
        """
        if self.state != "pulling" or self._trial:
            self.hand_back(message)
            return False
        before = len(self.held)
        self.claims.take(message, self.ahead >= self.pace.room())
        taken = len(self.held) - before
        self.ahead += taken
        return taken > 0

    def hand_back(self, message: Msg) -> None:
        """Give a delivery back as it came: nobody has begun with it, so it costs no attempt."""
        self._post.say(message.reply, again(0))

    def claimed(self, job: Job) -> None:
        """A task is ours."""
        if job.cancelled or self.state == "draining" or self._trial not in (None, job):
            self.ahead -= 1
            if job.cancelled:
                self.ends.acknowledge(job)
            else:
                self.ends.release(job)
            return
        job.state = "ready"
        job.since = self._loop.time()
        at = len(self.ready)
        while at and self.ready[at - 1].rank > job.rank:
            at -= 1
        self.ready.insert(at, job)
        # Receipts come in groups: one pump serves all of them.
        if not self._pumping:
            self._pumping = True
            self._loop.call_soon(self.pump)

    def alone(self, job: Job, begin: Callable[[], None]) -> bool:
        """Call `begin` once nothing but this task is held and the processes are fresh; False while draining.

        What no handler has seen goes back to the queue, what runs ends first.
        """
        if self._trial not in (None, job) or self.state == "draining":
            return False
        self._trial, self._begin = job, begin
        self.release(self.take_back())
        self._try_begin()
        return True

    def give_up_trial(self) -> None:
        """A trial that has not begun does not take place here."""
        if self._trial and self._begin:
            self._begin = None
            if self._renewing:
                self._renewing.cancel()
            self.claims.give_up(self._trial)

    def _try_begin(self) -> None:
        if self._trial and self._begin and not self._renewing and set(self.held) == {self._trial.task}:
            self._renewing = self._loop.create_task(self._renewed(self._begin))

    async def _renewed(self, begin: Callable[[], None]) -> None:
        try:
            await self.workers.renew()
        finally:
            self._renewing = None
        self._begin = None
        begin()

    def dropped(self) -> None:
        """A delivery was answered without a claim."""
        self.ahead -= 1
        self._after()

    def pump(self) -> None:
        """Hand over what can be handed over and pull what there is room for."""
        self._pumping = False
        if not self._joined:
            return
        self.workers.pump(self.ready)
        self._order()
        self._changed()

    def back(self, jobs: list[Job]) -> None:
        """Tasks that were handed over and not begun wait again, before the others of their class."""
        for job in jobs:
            job.state = "ready"
        waiting = sorted([*jobs, *self.ready], key=lambda job: job.rank)
        self.ready.clear()
        self.ready.extend(waiting)

    def take_back(self) -> list[Job]:
        """Take all claimed tasks that no handler has seen."""
        waiting = self.workers.take_back() + list(self.ready)
        self.ready.clear()
        return waiting

    def ended(self, job: Job, outcome: Outcome) -> None:
        """An attempt is over; its end goes to the log, and it no longer counts as work ahead."""
        self.ahead -= 1
        if outcome.kind:
            self.failed += 1
        else:
            self.done += 1
        self.ends.finish(job, outcome)

    def settled(self, job: Job) -> None:
        """The log has a task's end."""
        if self.held.get(job.task) is job:
            del self.held[job.task]
        self._after()

    def cancelled(self, job: Job) -> None:
        """The log holds a cancellation of this task: drop it where it stands."""
        if self.held.get(job.task) is not job or job.state == "ending" or job.cancelled:
            return
        if job.state == "ready":
            self.ready.remove(job)
        elif job.state == "claiming" or not self.workers.drop(job):
            # A claim under way is refused, or answered in `claimed`; a batch ends with its other tasks.
            job.cancelled = job.state == "claiming"
            return
        self.ahead -= 1
        self.ends.acknowledge(job)
        self.pump()

    def release(self, jobs: list[Job]) -> None:
        """Give claimed tasks back to the queue."""
        for job in jobs:
            self.ahead -= 1
            self.ends.release(job)

    async def idle(self) -> None:
        """Wait until nothing is held."""
        while self.held:
            self._idle.clear()
            await self._idle.wait()

    def stop(self) -> None:
        """End the clockwork."""
        if self._ticker:
            self._ticker.cancel()

    def _after(self) -> None:
        if self._trial and self.held.get(self._trial.task) is not self._trial:
            self._trial = self._begin = None
        self._try_begin()
        if not self.held:
            self._idle.set()
        self._order()
        self._changed()

    def _tick(self) -> None:
        self._ticker = self._loop.call_later(_TICK_S, self._tick)
        now = self._loop.time()
        for job in self.held.values():
            if now - job.touched >= self._renew_s - _TICK_S:
                job.touched = now
                for reply in job.replies:
                    self._post.say(reply, WORKING)
        self.ends.keep_late(now)
        self._unstick(now)

    def _unstick(self, now: float) -> None:
        """With handlers busy for long, give back what was claimed in the hope of quick ones."""
        running = self.workers.running()
        if not running or now - min(since for _, since in running) < _STALE_S:
            return
        waiting = self.take_back()
        stale = [job for job in waiting if now - job.since >= _STALE_S]
        if stale:
            self.pace.at_least(now - max(since for _, since in running))
            self.release(stale)
        self.back([job for job in waiting if job.state != "ending"])
        self.workers.pump(self.ready)

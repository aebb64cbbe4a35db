"""How a runner says things: its events with their ids, causes and expectations."""

import itertools
import os
import time

from msgspec import Struct

from actors.runner_jobs import Job
from events.envelope import Envelope
from events.event import Event
from events.log import Entry, Expect
from events.subjects import subject_of, task_filter


class Voice(Struct, frozen=True):
    """Who speaks: the writer of the credentials, the unit and its generation."""

    source: str
    unit: str
    generation: int
    pid: int
    run: str
    numbers: "itertools.count[int]"

    def nonce(self) -> str:
        """Return what tells one claim from every other one."""
        return f"{self.run}{next(self.numbers):x}"

    def on(self, job: Job, event: Event, mark: str, stands: int | None) -> Entry:
        """Say something about a task, on the condition that its last event is still at `stands`.

        The id follows from the claim: said twice it is stored once, and it is found again after a doubt.
        """
        envelope = Envelope(
            id=f"{job.task}-{mark}{job.attempt}-{job.nonce}",
            time=time.time_ns() // 1000,
            source=self.source,
            cause=job.cause,
            correlation=job.task,
            trace=job.trace,
            body=event,
        )
        expect = None if stands is None else Expect(task_filter(job.queue, job.task), stands)
        return Entry(envelope, subject_of(self.source, event), expect)

    def alone(self, event: Event, id: str = "") -> Entry:
        """Say something about the unit itself, once where an `id` follows from what it answers."""
        envelope = Envelope(
            id=id or self.nonce(), time=time.time_ns() // 1000, source=self.source, body=event
        )
        return Entry(envelope, subject_of(self.source, event))


def voice_of(source: str, unit: str, generation: int) -> Voice:
    """Return the voice of this process."""
    return Voice(source, unit, generation, os.getpid(), os.urandom(5).hex(), itertools.count(1))

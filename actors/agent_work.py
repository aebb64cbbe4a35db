"""One assignment in an agent's hands, and how far it is."""

import asyncio
import secrets

from msgspec import Struct

from actors.agent_memory import Kept
from actors.agent_progress import Track
from actors.agent_words import Progress, Text
from events.decisions import AssignTask


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

"""Who holds which task: claims by position, so that what a dead process held can be given back at once.

A process may also have been handed tasks that it had not claimed yet. Only the broker knows which; they are among those
that wait.
"""

from msgspec import Struct

from events.envelope import Recorded
from events.tasks import (
    TaskCancelled,
    TaskDied,
    TaskFailed,
    TaskFinished,
    TaskMoved,
    TaskReleased,
    TaskStarted,
    TaskSubmitted,
)

# Tasks are handed out in order, so beyond so many only those that came first matter.
_WAITING_LIMIT = 50_000


class Claim(Struct, frozen=True):
    """One open claim: its position is the epoch of the task's lease, `delivery` where to say no."""

    task: str
    queue: str
    unit: str
    generation: int
    position: int
    delivery: str


class Custody(Struct):
    """Open claims by task, and by queue the positions of submissions that wait for their first claim."""

    claims: dict[str, Claim] = {}
    waiting: dict[str, dict[str, int]] = {}

    def apply(self, event: Recorded) -> None:
        """Fold one event."""
        match event.body:
            case TaskSubmitted(task=task, queue=queue, due=due):
                tasks = self.waiting.setdefault(queue, {})
                if not due and len(tasks) < _WAITING_LIMIT:
                    tasks[task] = event.position
            case TaskStarted() as started:
                self.waiting.get(started.queue, {}).pop(started.task, None)
                self.claims[started.task] = Claim(
                    started.task,
                    started.queue,
                    started.unit,
                    started.generation,
                    event.position,
                    started.delivery,
                )
            case (
                TaskFinished(task=task, queue=queue)
                | TaskFailed(task=task, queue=queue)
                | TaskReleased(task=task, queue=queue)
                | TaskDied(task=task, queue=queue)
                | TaskCancelled(task=task, queue=queue)
                | TaskMoved(task=task, queue=queue)
            ):
                self.claims.pop(task, None)
                self.waiting.get(queue, {}).pop(task, None)
            case _:
                return

    def held_by(self, unit: str, generation: int) -> list[Claim]:
        """Return what a generation of a unit, or an older one, holds."""
        return [
            claim for claim in self.claims.values() if claim.unit == unit and claim.generation <= generation
        ]

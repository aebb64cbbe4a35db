"""Who holds which task: claims by position, so that what a dead process held can be given back at once."""

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
)


class Claim(Struct, frozen=True):
    """One open claim: its position is the epoch of the task's lease, `delivery` where to say no."""

    task: str
    queue: str
    unit: str
    generation: int
    position: int
    delivery: str


class Custody(Struct):
    """Open claims by task."""

    claims: dict[str, Claim] = {}

    def apply(self, event: Recorded) -> None:
        """Fold one event."""
        match event.body:
            case TaskStarted() as started:
                self.claims[started.task] = Claim(
                    started.task,
                    started.queue,
                    started.unit,
                    started.generation,
                    event.position,
                    started.delivery,
                )
            case (
                TaskFinished(task=task)
                | TaskFailed(task=task)
                | TaskReleased(task=task)
                | TaskDied(task=task)
                | TaskCancelled(task=task)
                | TaskMoved(task=task)
            ):
                self.claims.pop(task, None)
            case _:
                return

    def held_by(self, unit: str, generation: int) -> list[Claim]:
        """Return what a generation of a unit, or an older one, holds."""
        return [
            claim for claim in self.claims.values() if claim.unit == unit and claim.generation <= generation
        ]

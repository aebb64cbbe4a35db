"""What may leave the stream: how far history is sealed and purged, and which tasks still need theirs."""

from msgspec import Struct

from events.envelope import Recorded
from events.observations import HistoryPurged, HistorySealed
from events.tasks import TaskCancelled, TaskDied, TaskFinished, TaskMoved, TaskSubmitted


class Archive(Struct):
    """Folded from the log. `open` holds the position at which each task without an end was submitted last."""

    position: int = 0
    sealed: int = 0
    purged: int = 0
    open: dict[str, int] = {}

    def apply(self, event: Recorded) -> None:
        """Fold one event; the position moves last, so that a fold cut short is recognised."""
        self._fold(event)
        self.position = event.position

    def _fold(self, event: Recorded) -> None:
        match event.body:
            case TaskSubmitted(queue=queue, task=task):
                # Claims compare with a task's last event: everything since its first submission has to stay.
                self.open.setdefault(f"{queue}/{task}", event.position)
            case (
                TaskFinished(queue=queue, task=task)
                | TaskDied(queue=queue, task=task)
                | TaskCancelled(queue=queue, task=task)
                | TaskMoved(queue=queue, task=task)
            ):
                self.open.pop(f"{queue}/{task}", None)
            case HistorySealed(last=last):
                self.sealed = max(self.sealed, last)
            case HistoryPurged(below=below):
                self.purged = max(self.purged, below)
            case _:
                return

    def oldest_open(self) -> int:
        """Return the position of the oldest task without an end, 0 without any."""
        return min(self.open.values(), default=0)


class Bound(Struct, frozen=True):
    """Somebody needs the stream from this position on."""

    name: str
    position: int


def floor_of(bounds: list[Bound]) -> Bound:
    """Return the bound that holds most; everything below it may go."""
    return min(bounds, key=lambda bound: (bound.position, bound.name))

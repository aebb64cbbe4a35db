"""What may leave the stream: how far history is sealed and purged, and which tasks still need theirs."""

from msgspec import Struct

from events.envelope import Recorded
from events.observations import HistoryPurged, HistorySealed
from events.tasks import TaskCancelled, TaskDied, TaskDropped, TaskFinished, TaskMoved, TaskSubmitted


class Archive(Struct):
    """Folded from the log. `open` holds where each task without an end was first submitted.

    A dead letter stays there until it is dropped, for whoever wants it again needs its submission; `dead` says since
    when (microseconds).
    """

    position: int = 0
    sealed: int = 0
    purged: int = 0
    open: dict[str, int] = {}
    dead: dict[str, int] = {}

    def apply(self, event: Recorded) -> None:
        """Fold one event; the position moves last, so that a fold cut short is recognised."""
        self._fold(event)
        self.position = event.position

    def _fold(self, event: Recorded) -> None:
        match event.body:
            case TaskSubmitted(queue=queue, task=task):
                # Claims compare with a task's last event: everything since its first submission has to stay.
                self.open.setdefault(f"{queue}/{task}", event.position)
                self.dead.pop(f"{queue}/{task}", None)
            case TaskDied(queue=queue, task=task):
                self.dead[f"{queue}/{task}"] = event.time
            case (
                TaskFinished(queue=queue, task=task)
                | TaskDropped(queue=queue, task=task)
                | TaskCancelled(queue=queue, task=task)
                | TaskMoved(queue=queue, task=task)
            ):
                self._close(f"{queue}/{task}")
            case HistorySealed(last=last):
                self.sealed = max(self.sealed, last)
            case HistoryPurged(below=below):
                self.purged = max(self.purged, below)
                for name in [name for name in self.dead if self.open.get(name, 0) < below]:
                    self._close(name)
            case _:
                return

    def _close(self, name: str) -> None:
        self.open.pop(name, None)
        self.dead.pop(name, None)

    def oldest_open(self, since: int) -> int:
        """Return the position of the oldest task without an end, or dead after `since`; 0 without any."""
        dead = self.dead
        return min((at for name, at in self.open.items() if dead.get(name, since) >= since), default=0)


class Bound(Struct, frozen=True):
    """Somebody needs the stream from this position on."""

    name: str
    position: int


def floor_of(bounds: list[Bound]) -> Bound:
    """Return the bound that holds most; everything below it may go."""
    return min(bounds, key=lambda bound: (bound.position, bound.name))

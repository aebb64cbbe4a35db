"""Which moves of waiting work are open, and where the submissions stand that they are about."""

from msgspec import Struct

from events.decisions import Decided, MoveTasks
from events.envelope import Recorded
from events.observations import LeaseTaken
from events.outcomes import EffectFailed, EffectVerified
from events.settings import SettingsAdopted
from events.tasks import (
    TaskCancelled,
    TaskDied,
    TaskDropped,
    TaskFinished,
    TaskMoved,
    TaskStarted,
    TaskSubmitted,
)


class Moves(Struct):
    """Open moves by decision; positions of waiting submissions by `queue/task`, of queues that may overflow only."""

    position: int = 0
    epoch: int = 0
    queues: list[str] = []
    open: dict[str, MoveTasks] = {}
    waiting: dict[str, int] = {}

    def apply(self, event: Recorded) -> None:
        """Fold one event; the position moves last, so that a fold cut short is recognised."""
        match event.body:
            case LeaseTaken():
                self.epoch = event.position
            case SettingsAdopted(settings=settings):
                self.queues = [queue.name for queue in settings.queues if queue.overflow_to]
            case Decided(action=MoveTasks() as move, mode="act", epoch=epoch) if epoch == self.epoch:
                self.open[event.id] = move
            case EffectVerified(decision=decision) | EffectFailed(decision=decision):
                self.open.pop(decision, None)
            case TaskSubmitted(task=task, queue=queue) if queue in self.queues:
                self.waiting[f"{queue}/{task}"] = event.position
            case (
                TaskStarted(task=task, queue=queue)
                | TaskFinished(task=task, queue=queue)
                | TaskDied(task=task, queue=queue)
                | TaskDropped(task=task, queue=queue)
                | TaskCancelled(task=task, queue=queue)
                | TaskMoved(task=task, queue=queue)
            ):
                self.waiting.pop(f"{queue}/{task}", None)
            case _:
                pass
        self.position = event.position

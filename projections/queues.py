"""What each queue holds and whether it moves."""

from bisect import bisect_right, insort

from msgspec import Struct, field

from events.envelope import Recorded
from events.observations import QueueSample, Sampled
from events.settings import Settings, SettingsAdopted
from events.tasks import TaskDied, TaskFailed, TaskFinished, TaskStarted, TaskSubmitted

_KEPT = 200


class Queue(Struct):
    """One queue. `moved_at`: forest time of its last sign of progress; `services`: last service times in ms.

    `due`: when its tasks that are not due yet will be, in order.
    """

    name: str
    pending: int = 0
    in_flight: int = 0
    pulls: int = 0
    redelivered: int = 0
    over: int = 0
    moved_at: int = 0
    submitted: int = 0
    ended: int = 0
    services: list[int] = field(default_factory=list)
    due: list[int] = field(default_factory=list)

    @property
    def backlog(self) -> int:
        """Delivered and unfinished tasks count too: pending + in flight, without those that are not due."""
        return max(0, self.pending + self.in_flight - len(self.due))

    def p99_ms(self) -> int:
        """The 99th percentile of the last service times, 0 without any."""
        if not self.services:
            return 0
        ordered = sorted(self.services)
        return ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]


class Queues(Struct):
    """All queues by name."""

    queues: dict[str, Queue] = {}

    def get(self, name: str) -> Queue:
        """Return a queue."""
        queue = self.queues.get(name)
        if queue is None:
            queue = self.queues[name] = Queue(name)
        return queue

    def apply(self, event: Recorded, now: int, settings: Settings) -> None:
        """Fold one event."""
        match event.body:
            case TaskSubmitted(queue=name, due=due):
                queue = self.get(name)
                queue.submitted += 1
                if due > now:
                    insort(queue.due, due)
            case TaskStarted(queue=name):
                self.get(name).moved_at = now
            case TaskFinished(queue=name, service_ms=service):
                self._ended(name, service, now)
            case TaskFailed(queue=name) | TaskDied(queue=name):
                queue = self.get(name)
                queue.moved_at = now
                queue.ended += isinstance(event.body, TaskDied)
            case Sampled(queues=samples):
                for sample in samples:
                    self._sampled(sample)
                for queue in self.queues.values():
                    self._tick(queue, now, settings)
            case SettingsAdopted(settings=adopted):
                for wanted in adopted.queues:
                    self.get(wanted.name)
            case _:
                return

    def _sampled(self, sample: QueueSample) -> None:
        queue = self.get(sample.queue)
        queue.pending, queue.in_flight = sample.pending, sample.in_flight
        queue.pulls, queue.redelivered = sample.pulls, sample.redelivered

    def _tick(self, queue: Queue, now: int, settings: Settings) -> None:
        # A delayed task that was cancelled stays with the broker until it would have been due.
        del queue.due[: bisect_right(queue.due, now)]
        if queue.pending == 0 or queue.moved_at == 0:
            # An empty queue cannot jam; its patience starts with the first task that waits.
            queue.moved_at = now
        queue.over = queue.over + 1 if queue.backlog >= settings.limits.queue_backlog else 0

    def _ended(self, name: str, service: int, now: int) -> None:
        queue = self.get(name)
        queue.moved_at = now
        queue.ended += 1
        queue.services.append(service)
        if len(queue.services) > 2 * _KEPT:
            del queue.services[:-_KEPT]

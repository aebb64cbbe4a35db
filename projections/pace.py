"""How fast tasks come to a queue and how long they take: what the size of its pools follows from."""

from math import exp, log

from msgspec import Struct

from events.envelope import Recorded
from events.tasks import TaskDied, TaskFailed, TaskFinished, TaskSubmitted
from projections.units import SECOND

_HALF_LIFE_US = 60 * SECOND
_DECAY = log(2) / _HALF_LIFE_US
# Recent service times count more: about the last twenty tasks.
_WEIGHT = 0.05


class Pace(Struct):
    """One queue. `weight`: arrivals, each fading with a half-life of a minute; `service_ms` the mean time of a task."""

    weight: float = 0.0
    at: int = 0
    service_ms: float = 0.0
    finished: int = 0

    def rate(self, now: int) -> float:
        """Return arrivals per second: a steady stream of r a second holds a weight of r / decay."""
        return self.weight * exp(-_DECAY * max(0, now - self.at)) * _DECAY * SECOND

    def arrived(self, now: int) -> None:
        """Count an arrival."""
        self.weight = self.weight * exp(-_DECAY * max(0, now - self.at)) + 1.0
        self.at = max(now, self.at)

    def served(self, service_ms: int) -> None:
        """Take a task's time on its worker; the first ones make a plain mean."""
        self.finished += 1
        share = max(_WEIGHT, 1.0 / self.finished)
        self.service_ms += share * (service_ms - self.service_ms)


class Paces(Struct):
    """All queues by name."""

    queues: dict[str, Pace] = {}

    def get(self, name: str) -> Pace:
        """Return a queue's pace."""
        pace = self.queues.get(name)
        if pace is None:
            pace = self.queues[name] = Pace()
        return pace

    def apply(self, event: Recorded, now: int) -> None:
        """Fold one event."""
        match event.body:
            case TaskSubmitted(queue=name):
                self.get(name).arrived(now)
            case TaskFinished(queue=name, service_ms=service_ms):
                self.get(name).served(service_ms)
            case TaskFailed(queue=name, service_ms=service_ms) | TaskDied(queue=name, service_ms=service_ms):
                if service_ms:
                    self.get(name).served(service_ms)
            case _:
                return

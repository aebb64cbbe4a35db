"""How work flows through each queue: arrivals, ends by worker and kind, what is usual, how old the oldest task is."""

from typing import TypeVar

from msgspec import Struct, field

from events.envelope import Recorded
from events.observations import HostSample, Sampled
from events.settings import Settings
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
from events.zones import Zone
from projections.hours import zone_of
from projections.minutes import Minutes
from projections.queues import Queues
from projections.tempo import Tempo
from projections.units import Unit, Units

T = TypeVar("T")

_ENDS = 200
_KINDS = 24
# Beyond so many open tasks the kinds and ages of further ones are unknown.
_OPEN = 20_000
# A kind's time follows its last twenty tasks or so, the usual mixture of kinds the last five hundred.
_TIME_WEIGHT = 0.05
_MIX_WEIGHT = 1 / 500


class End(Struct, frozen=True, array_like=True):
    """One end: forest time, the unit, the task's kind, its service time and what such tasks took before."""

    at: int
    unit: str
    kind: str
    ms: int
    usual_ms: float
    good: bool


class OpenTask(Struct, array_like=True):
    """A task without an end: its kind, when it was submitted, whether somebody has it."""

    kind: str
    at: int
    taken: bool = False


class Stream(Struct):
    """One queue. `times` and `mix` are the mean time (ms) and share of each kind; `busy_since` 0 while none waits."""

    arrivals: Tempo = field(default_factory=Tempo)
    done: Tempo = field(default_factory=Tempo)
    minutes: Minutes = field(default_factory=Minutes)
    ends: list[End] = field(default_factory=list)
    times: dict[str, float] = {}
    mix: dict[str, float] = {}
    claims: list[str] = field(default_factory=list)
    tasks: dict[str, OpenTask] = {}
    busy_since: int = 0
    draining: int = 0

    def oldest_s(self, now: int) -> int:
        """Return the age of the oldest task that waits, in seconds."""
        first = min((task.at for task in self.tasks.values() if not task.taken), default=now)
        return max(0, now - first) // 1_000_000

    def speeds(self, now: int) -> dict[str, object]:
        """Return what an alert says of the flow: tasks a minute over 1, 5 and 15 minutes, and the oldest one's age."""
        return {
            "arrivals_per_min": [round(60 * rate, 2) for rate in self.arrivals.rates(now)],
            "done_per_min": [round(60 * rate, 2) for rate in self.done.rates(now)],
            "oldest_s": self.oldest_s(now),
        }


class Streams(Struct):
    """All queues by name, and the machine at the last tick that told."""

    queues: dict[str, Stream] = {}
    host: HostSample | None = None

    def get(self, name: str) -> Stream:
        """Return a queue's stream, a blank one where nothing was ever heard of it."""
        return self.queues.get(name) or Stream()

    def apply(self, event: Recorded, now: int, queues: Queues, units: Units, settings: Settings) -> None:
        """Fold one event. Call after the queues and units have folded it."""
        match event.body:
            case Sampled(host=host):
                self.host = host or self.host
                zone = zone_of(settings)
                for name in queues.queues:
                    self._tick(name, now, queues, units, settings, zone)
            case TaskSubmitted(task=task, queue=name, kind=kind, due=due):
                stream = self._kept(name)
                stream.arrivals.beat(now)
                if len(stream.tasks) < _OPEN:
                    stream.tasks[task] = OpenTask(kind, max(now, due))
            case TaskStarted(task=task, queue=name):
                _started(self._kept(name), task)
            case TaskReleased(task=task, queue=name):
                released = self._kept(name).tasks.get(task)
                if released:
                    released.taken = False
            case TaskFinished(task=task, queue=name, unit=unit, service_ms=spent):
                _ended(self._kept(name), task, unit, spent, now, good=True)
            case TaskFailed(task=task, queue=name, unit=unit, service_ms=spent):
                _ended(self._kept(name), task, unit, spent, now, good=False)
            case (
                TaskDied(task=task, queue=name)
                | TaskCancelled(task=task, queue=name)
                | TaskMoved(task=task, queue=name)
            ):
                self._kept(name).tasks.pop(task, None)
            case _:
                return

    def _kept(self, name: str) -> Stream:
        stream = self.queues.get(name)
        if stream is None:
            stream = self.queues[name] = Stream()
        return stream

    def _tick(
        self, name: str, now: int, queues: Queues, units: Units, settings: Settings, zone: Zone
    ) -> None:
        stream, queue = self._kept(name), queues.queues[name]
        waiting = queue.pending > len(queue.due)
        stream.busy_since = (stream.busy_since or now) if waiting else 0
        living = len(serving(units, settings, name))
        stream.minutes.tick(now, waiting, living, self.host.cpu if self.host else 0, zone)
        rate = stream.minutes.present_rate()
        slow = rate > 0 and queue.backlog / rate > settings.limits.queue_drain_s
        stream.draining = stream.draining + 1 if slow else 0


def serving(units: Units, settings: Settings, queue: str) -> list[Unit]:
    """Return the living units of a queue's pools, by name."""
    pools = {worker.name for worker in settings.workers if worker.queue == queue}
    return [unit for name, unit in sorted(units.units.items()) if unit.alive and unit.pool in pools]


def _keep(values: list[T], value: T) -> None:
    values.append(value)
    if len(values) > 2 * _ENDS:
        del values[:-_ENDS]


def _started(stream: Stream, task: str) -> None:
    known = stream.tasks.get(task)
    kind = known.kind if known else ""
    if known:
        known.taken = True
    if kind not in stream.mix and len(stream.mix) >= _KINDS:
        return
    _keep(stream.claims, kind)
    first = not stream.mix
    stream.mix = {name: share * (1 - _MIX_WEIGHT) for name, share in stream.mix.items()}
    stream.mix[kind] = 1.0 if first else stream.mix.get(kind, 0.0) + _MIX_WEIGHT


def _ended(stream: Stream, task: str, unit: str, ms: int, now: int, good: bool) -> None:
    known = stream.tasks.get(task)
    kind = known.kind if known else ""
    usual = stream.times.get(kind, float(ms))
    _keep(stream.ends, End(now, unit, kind, ms, usual, good))
    stream.minutes.ended(good)
    if not good:
        if known:
            known.taken = False
        return
    stream.done.beat(now)
    stream.tasks.pop(task, None)
    if kind in stream.times or len(stream.times) < _KINDS:
        stream.times[kind] = usual + _TIME_WEIGHT * (ms - usual)

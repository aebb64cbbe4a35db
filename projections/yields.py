"""What a pool gets done at which size while there was more to do than it could: the runs that differ."""

from msgspec import Struct, field

from events.envelope import Recorded
from events.observations import Sampled
from events.settings import Settings
from events.tasks import TaskFinished
from projections.queues import Queues
from projections.units import Units

SPAN_US = 300_000_000
_SETUPS = 12


class Setup(Struct):
    """One size of a pool: how many spans of five minutes, in how many stretches, and what they brought."""

    units: int
    slots: int
    batch: int
    spans: int = 0
    stretches: int = 0
    mean: float = 0.0
    spread: float = 0.0

    def add(self, done: int) -> None:
        """Count a span (Welford)."""
        self.spans += 1
        apart = done - self.mean
        self.mean += apart / self.spans
        self.spread += apart * (done - self.mean)

    @property
    def variance(self) -> float:
        """The variance of the mean."""
        return self.spread / (self.spans - 1) / self.spans if self.spans > 1 else float("inf")


class Pool(Struct):
    """A pool's setups by name, and the span that is under way."""

    setups: dict[str, Setup] = {}
    now: str = ""
    since: int = 0
    done: int = 0
    busy: bool = True
    last: str = ""


class Yields(Struct):
    """All task pools by name; `pool_of` finds a unit's."""

    pools: dict[str, Pool] = {}
    pool_of: dict[str, str] = field(default_factory=dict)

    def apply(self, event: Recorded, now: int, units: Units, queues: Queues, settings: Settings) -> None:
        """Fold one event. Call after units and queues have folded it."""
        match event.body:
            case TaskFinished(unit=unit):
                pool = self.pools.get(self.pool_of.get(unit, ""))
                if pool:
                    pool.done += 1
            case Sampled():
                for worker in settings.workers:
                    if not worker.queue:
                        continue
                    pool = self.pools.setdefault(worker.name, Pool())
                    names = [*worker.names, *worker.units]
                    for name in names:
                        self.pool_of[name] = worker.name
                    living = sum(units.get(name).alive for name in dict.fromkeys(names))
                    queue = queues.queues.get(worker.queue)
                    waits = queue is not None and queue.pending > 0
                    self._tick(pool, (living, worker.slots, worker.batch), waits, now)
            case _:
                return

    def _tick(self, pool: Pool, size: tuple[int, int, int], waits: bool, now: int) -> None:
        name = "x".join(map(str, size))
        pool.busy = pool.busy and waits and size[0] > 0
        if name != pool.now:
            pool.now, pool.since, pool.done, pool.busy, pool.last = name, now, 0, waits, ""
            return
        if now - pool.since < SPAN_US:
            return
        if pool.busy and (name in pool.setups or len(pool.setups) < _SETUPS):
            setup = pool.setups.setdefault(name, Setup(*size))
            setup.stretches += pool.last != name
            setup.add(pool.done)
            pool.last = name
        pool.since, pool.done, pool.busy = now, 0, waits

"""The most memory that a process of each pool used on each of the last days."""

from msgspec import Struct

from events.envelope import Recorded
from events.observations import Sampled
from events.settings import Settings
from projections.units import Units, worker_of

_DAY_US = 86_400_000_000
_DAYS = 30


class Peak(Struct):
    """One pool: bytes by day since 1970, and how many looks they rest on."""

    days: dict[str, int] = {}
    looks: int = 0

    @property
    def highest(self) -> int:
        """The most of all days."""
        return max(self.days.values(), default=0)


class Peaks(Struct):
    """All pools by name."""

    pools: dict[str, Peak] = {}

    def apply(self, event: Recorded, now: int, units: Units, settings: Settings) -> None:
        """Fold one event. Call after the units have folded it."""
        if not isinstance(event.body, Sampled):
            return
        day = str(now // _DAY_US)
        for sample in event.body.units:
            worker = worker_of(settings, units.get(sample.unit).pool)
            if worker is None or not sample.memory:
                continue
            peak = self.pools.get(worker.name)
            if peak is None:
                peak = self.pools[worker.name] = Peak()
            peak.looks += 1
            peak.days[day] = max(peak.days.get(day, 0), sample.memory)
            while len(peak.days) > _DAYS:
                del peak.days[min(peak.days, key=int)]

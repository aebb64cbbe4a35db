"""How much CPU each unit uses: what is usual for it, and since when it uses nearly all of a core."""

from msgspec import Struct

from events.envelope import Recorded
from events.observations import Sampled
from events.settings import Limits
from projections.units import Unit, Units

# So many ticks make up what is usual; before, nothing is.
KNOWN = 60
_WEIGHT = 1 / 120


class Load(Struct):
    """One generation. `usual` is the mean of the ticks in which it was not high; times are forest microseconds.

    `high_since` is when it began to use `limits.cpu_percent` of a core and did not fall below since, `idle_since` when
    it did so without a task at hand; 0 means not now.
    """

    generation: int = 0
    ticks: int = 0
    usual: float = 0.0
    high_since: int = 0
    idle_since: int = 0

    def see(self, cpu: int, busy: bool, high: float, now: int) -> None:
        """Take what a tick says; `cpu` and `high` in tenths of a percent of one core."""
        if cpu < high:
            self.ticks += 1
            self.usual += (cpu - self.usual) * max(_WEIGHT, 1 / self.ticks)
            self.high_since = self.idle_since = 0
            return
        self.high_since = self.high_since or now
        self.idle_since = 0 if busy else self.idle_since or now


class Loads(Struct):
    """All units by name."""

    units: dict[str, Load] = {}

    def of(self, unit: Unit) -> Load:
        """Return the load of the unit's present generation."""
        load = self.units.get(unit.name)
        return load if load and load.generation == unit.generation else Load(unit.generation)

    def apply(self, event: Recorded, now: int, units: Units, limits: Limits) -> None:
        """Fold one event. Call after the units have folded it."""
        if not isinstance(event.body, Sampled):
            return
        for unit in units.units.values():
            sample = unit.sample
            if not unit.alive or sample is None or sample.status == "?":
                continue
            load = self.units.get(unit.name)
            if load is None or load.generation != unit.generation:
                load = self.units[unit.name] = Load(unit.generation)
            load.see(sample.cpu, sample.in_flight > 0, 10 * limits.cpu_percent, now)

"""Many workers under suspicion at once may have one cause: then nobody is restarted for it. And who was, when."""

from msgspec import Struct

from events.decisions import Decided, RestartUnit
from events.envelope import Recorded
from events.observations import Sampled
from events.outcomes import WorkerStartOrdered
from events.settings import Limits, Settings
from projections.ailments import Ailments
from projections.health import Health
from projections.units import SECOND, Units

# The whole forest beside its pools.
FOREST = "forest"
_MINUTE = 60 * SECOND
_LEAST = 3


class Suspicion(Struct):
    """Since when each unit is suspect, which pools (or the forest) are frozen, and when units were ended for it.

    Forest microseconds; `kills` by pool within the last minute.
    """

    since: dict[str, int] = {}
    frozen: dict[str, int] = {}
    kills: dict[str, list[int]] = {}

    def apply(
        self, event: Recorded, now: int, units: Units, health: Health, ailments: Ailments, settings: Settings
    ) -> None:
        """Fold one event. Call after the others have folded it."""
        match event.body:
            case Sampled():
                self._tick(now, units, health, ailments, settings)
            case Decided(elf="healing", mode="act", action=RestartUnit(drain=False), target=name):
                pool = units.get(name).pool
                self.kills = {
                    one: recent
                    for one, times in self.kills.items()
                    if (recent := [at for at in times if at > now - _MINUTE])
                }
                self.kills.setdefault(pool, []).append(now)
            case WorkerStartOrdered(unit=name):
                # What was seen of the old process says nothing about the new one.
                self.since.pop(name, None)
            case _:
                return

    def last_kill(self, pool: str) -> int:
        """Return when a unit of the pool was last ended for its health, 0 for not within a minute."""
        return max(self.kills.get(pool, ()), default=0)

    def recent_kills(self, now: int) -> int:
        """Return how many units of the forest were ended within the last minute."""
        return sum(at > now - _MINUTE for times in self.kills.values() for at in times)

    def holds(self, pool: str) -> bool:
        """Tell whether suspicions in this pool may have a cause in common."""
        return FOREST in self.frozen or pool in self.frozen

    def _tick(self, now: int, units: Units, health: Health, ailments: Ailments, settings: Settings) -> None:
        groups: dict[str, list[str]] = {FOREST: []}
        suspect: dict[str, int] = {}
        for name, unit in units.units.items():
            if not unit.alive:
                continue
            groups[FOREST].append(name)
            groups.setdefault(unit.pool, []).append(name)
            signs = health.signs.get(name)
            if (signs and signs.silent) or ailments.get(name).dry_since:
                suspect[name] = self.since.get(name, now)
        self.since = suspect
        for group, names in groups.items():
            self._judge(group, names, now, settings.limits)
        for gone in self.frozen.keys() - groups.keys():
            del self.frozen[gone]

    def _judge(self, group: str, names: list[str], now: int, limits: Limits) -> None:
        sick = [name for name in names if name in self.since]
        if group in self.frozen:
            if len(sick) < limits.shared_over * len(names) or not sick:
                del self.frozen[group]
            return
        fresh = sum(now - self.since[name] <= limits.shared_s * SECOND for name in sick)
        least = _LEAST if len(names) > _LEAST else _LEAST - 1
        if len(names) >= _LEAST and fresh >= least and fresh >= limits.shared_share * len(names):
            self.frozen[group] = now

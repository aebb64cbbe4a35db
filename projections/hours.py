"""How much work each hour of the week brings: the last weeks' busy time, and arrivals by queue and kind."""

from collections.abc import Sequence
from math import sqrt

from msgspec import Struct, field

from events.envelope import Recorded
from events.observations import Sampled
from events.settings import Settings
from events.tasks import TaskFailed, TaskFinished, TaskSubmitted
from events.zones import Zone, offset_at

HOUR = 3_600_000_000
WEEK = 168
# So many weeks are remembered, and so many kinds of tasks told apart.
WEEKS = 8
KINDS = 24


class Hours(Struct):
    """`busy` and `arrivals[queue/kind]` by hour of the week (0 is Monday's first), a value for each week seen."""

    busy: dict[str, list[int]] = field(default_factory=dict)
    arrivals: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    hour: int = 0
    seen: bool = False
    busy_now: int = 0
    arrived_now: dict[str, int] = field(default_factory=dict)

    def apply(self, event: Recorded, now: int, settings: Settings) -> None:
        """Fold one event. Busy time is in milliseconds of handlers and counts where a task ends."""
        body = event.body
        if now // HOUR != self.hour:
            self._turn(now // HOUR, zone_of(settings))
        match body:
            case Sampled():
                self.seen = True
            case TaskFinished(service_ms=spent) | TaskFailed(service_ms=spent):
                self.busy_now += int(spent)
            case TaskSubmitted(queue=queue, kind=kind):
                key = f"{queue}/{kind}"
                if key in self.arrivals or len(self.arrivals) < KINDS:
                    self.arrived_now[key] = self.arrived_now.get(key, 0) + 1
            case _:
                return

    def _turn(self, hour: int, zone: Zone) -> None:
        """Close an hour; one in which nobody looked says nothing."""
        if self.seen and self.hour:
            slot = str(slot_of(self.hour * HOUR, zone))
            _keep(self.busy.setdefault(slot, []), self.busy_now)
            for key in self.arrived_now:
                self.arrivals.setdefault(key, {})
            for key, bins in self.arrivals.items():
                _keep(bins.setdefault(slot, []), self.arrived_now.get(key, 0))
        self.hour, self.seen, self.busy_now = hour, False, 0
        self.arrived_now = {}

    def load_at(self, at: int, zone: Zone) -> float | None:
        """Return the upper 90 % bound of busy milliseconds in the hour of `at`; None before two weeks were seen."""
        return upper(self.busy.get(str(slot_of(at, zone)), ()))


def upper(values: Sequence[int]) -> float | None:
    """Return mean + 1.2816 s sqrt(1 + 1/n): what one more value stays below nine times in ten."""
    count = len(values)
    if count < 2:
        return None
    mean = sum(values) / count
    spread = sqrt(sum((value - mean) ** 2 for value in values) / (count - 1))
    return mean + 1.2816 * spread * sqrt(1 + 1 / count)


def slot_of(at: int, zone: Zone) -> int:
    """Return the hour of the week that local clocks show at an instant (microseconds)."""
    seconds = at // 1_000_000
    local = (seconds + offset_at(zone, seconds)) // 3600
    # The first of January 1970 was a Thursday.
    return (local + 72) % WEEK


def zone_of(settings: Settings) -> Zone:
    """Return the node's own zone."""
    name = settings.timezone
    return next((zone for zone in settings.zones if zone.name == name), Zone(name=name))


def _keep(values: list[int], value: int) -> None:
    values.append(value)
    del values[:-WEEKS]

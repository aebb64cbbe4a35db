"""Conditions with hysteresis: each fires once when its share of memory is reached, and again only after it fell."""

import re
from collections.abc import Iterator

from msgspec import Struct, field

from events.decisions import Decided, Remind
from events.envelope import Recorded
from events.observations import Sampled
from events.settings import Settings, WorkerSettings
from projections.health import memory_percent
from projections.reminders import Reminder, Reminders, schedule_of
from projections.units import Units, worker_of

APART = 600_000_000
# A gauge is armed again when the share has fallen by so many points (the seed's 80 % fires, 70 % arms).
BACK = 10.0
_GARBAGE = re.compile(r"\bGC\b|GC実行|ガベージ|ガーベジ|garbage", re.IGNORECASE)
_WORDS = {"ja": "GC実行", "en": "collect garbage"}


class Gauge(Struct):
    """One condition of one unit. Times are forest microseconds, 0 means never."""

    armed: bool = True
    fired: int = 0


class Condition(Struct, frozen=True):
    """What to tell which unit from which share of its memory limit on."""

    name: str
    unit: str
    percent: float
    text: str
    worker: str

    @property
    def key(self) -> str:
        """What the decision is about."""
        return f"{self.name}-{self.unit}"


class Gauges(Struct):
    """All gauges by `reminder-unit`."""

    items: dict[str, Gauge] = field(default_factory=dict)

    def apply(
        self, event: Recorded, now: int, units: Units, reminders: Reminders, settings: Settings
    ) -> None:
        """Fold one event; call after the units and the reminders have folded it."""
        match event.body:
            case Sampled():
                for condition in conditions(units, reminders, settings):
                    unit = units.units[condition.unit]
                    percent = memory_percent(unit, settings)
                    if percent is not None and percent < condition.percent - BACK:
                        self.items.setdefault(condition.key, Gauge()).armed = True
            case Decided(action=Remind(due=0), target=key):
                gauge = self.items.setdefault(key, Gauge())
                gauge.armed, gauge.fired = False, now
            case _:
                return

    def fires(self, condition: Condition, percent: float, now: int) -> bool:
        """Tell whether it is time to say it."""
        gauge = self.items.get(condition.key, Gauge())
        apart = not gauge.fired or now - gauge.fired >= APART
        return gauge.armed and apart and percent >= condition.percent


def conditions(units: Units, reminders: Reminders, settings: Settings) -> Iterator[Condition]:
    """Yield what is watched: reminders by a condition, and the request for garbage of every limited task worker."""
    asked: set[str] = set()
    for item in reminders.items.values():
        if not item.due:
            asked.add(item.worker)
            for name in _living(units, item.worker):
                percent = schedule_of(item.when).percent
                yield Condition(item.name, name, percent, item.text, item.worker)
    percent = settings.limits.memory_gc_percent
    for worker in settings.workers:
        if worker.memory_limit and worker.queue and worker.name not in asked:
            for name in _living(units, worker.name):
                words = _WORDS.get(settings.language, _WORDS["en"])
                yield Condition(f"memory-{worker.name}", name, percent, words, worker.name)


def asks_for_garbage(text: str, worker: WorkerSettings | None) -> bool:
    """Tell whether a reminder is one that a runner can carry out itself: to collect garbage."""
    return worker is not None and bool(worker.queue) and bool(_GARBAGE.search(text))


def garbage_of(item: Reminder, settings: Settings) -> bool:
    """Tell the same of a reminder by the clock."""
    return asks_for_garbage(item.text, worker_of(settings, item.worker))


def _living(units: Units, pool: str) -> list[str]:
    return sorted(unit.name for unit in units.units.values() if unit.alive and unit.pool == pool)

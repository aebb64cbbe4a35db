"""Which reminders there are, when each was due last and when it is due next."""

from functools import cache

from msgspec import Struct, field

from events.decisions import Decided, Remind
from events.envelope import Recorded
from events.reminders import ReminderAdded, ReminderRemoved
from events.settings import ReminderSettings, Settings, SettingsAdopted
from events.zones import Zone
from projections.schedule import Schedule, latest_until, next_after
from projections.when import Unreadable, parse_when

# What comes later than this after its time is late, and says so.
LATE = 60_000_000


class Reminder(Struct):
    """One reminder. `since` is its last time, or when it became known; `due` its next one, 0 by a condition."""

    name: str
    worker: str
    when: str
    text: str
    zone: Zone
    since: int
    due: int
    by_hand: bool = False
    told: int = 0


class Reminders(Struct):
    """All reminders by name; `removed` are those of the configuration that somebody does not want."""

    items: dict[str, Reminder] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)

    def apply(self, event: Recorded, now: int) -> None:
        """Fold one event."""
        match event.body:
            case SettingsAdopted(settings=settings):
                self._adopt(settings, now)
            case ReminderAdded() as added if event.source.startswith("operator."):
                self._add(added, now)
            case ReminderRemoved(reminder=name) if event.source.startswith("operator."):
                gone = self.items.pop(name, None)
                if gone and not gone.by_hand:
                    self.removed.append(name)
            case Decided(action=Remind(reminder=name, due=due)):
                item = self.items.get(name)
                if item and item.due:
                    item.since = item.told = due
                    item.due = next_after(schedule_of(item.when), item.zone, due)
            case _:
                return

    def late_due(self, item: Reminder, now: int) -> tuple[int, int]:
        """Return which of the times up to `now` is to be told, the last, and how many seconds late that is."""
        due = latest_until(schedule_of(item.when), item.zone, item.due, now)
        return due, (now - due) // 1_000_000 if now - due > LATE else 0

    def _adopt(self, settings: Settings, now: int) -> None:
        zones = {zone.name: zone for zone in settings.zones}
        wanted = {each.name: each for each in settings.reminders if each.name not in self.removed}
        for name in [name for name, item in self.items.items() if not item.by_hand and name not in wanted]:
            del self.items[name]
        for name, each in wanted.items():
            zone = zones.get(each.zone, Zone(name=each.zone))
            known = self.items.get(name)
            if known is None:
                self.items[name] = _new(each, zone, now)
            elif known.zone != zone:
                known.zone = zone
                known.due = next_after(schedule_of(known.when), zone, known.since)

    def _add(self, added: ReminderAdded, now: int) -> None:
        """Take what a person said; what cannot be read as a time is no reminder."""
        try:
            parse_when(added.when)
        except Unreadable:
            return
        each = ReminderSettings(
            name=added.reminder, worker=added.worker, when=added.when, text=added.text, zone=added.zone.name
        )
        if added.reminder in self.removed:
            self.removed.remove(added.reminder)
        self.items[added.reminder] = _new(each, added.zone, now)
        self.items[added.reminder].by_hand = True


def _new(each: ReminderSettings, zone: Zone, now: int) -> Reminder:
    due = next_after(schedule_of(each.when), zone, now)
    return Reminder(each.name, each.worker, each.when, each.text, zone, now, due)


@cache
def schedule_of(when: str) -> Schedule:
    """Read a text that was checked before it became a reminder or a job."""
    return parse_when(when)

"""Jobs by the clock: when each is due, how its last run ended, how often it has failed in a row."""

from msgspec import Struct, field

from events.decisions import ClearAlert, Decided, Escalate, RaiseAlert, RunJob
from events.envelope import Recorded
from events.jobs import JobFinished
from events.settings import JobSettings, Settings, SettingsAdopted
from events.zones import Zone
from projections.reminders import LATE, schedule_of
from projections.schedule import latest_until, next_after

CAUSE = "job"


class Job(Struct):
    """One job. `said` is how many failures in a row people have heard of."""

    name: str
    every: str
    kind: str
    escalate: bool
    zone: Zone
    since: int
    due: int
    running: str = ""
    failures: int = 0
    said: int = 0
    outcome: str = ""
    ended: int = 0
    took_ms: int = 0
    tail: str = ""


class Jobs(Struct):
    """All jobs by name."""

    items: dict[str, Job] = field(default_factory=dict)

    def apply(self, event: Recorded, now: int) -> None:
        """Fold one event."""
        match event.body:
            case SettingsAdopted(settings=settings):
                self._adopt(settings, now)
            case Decided(target=name) as decided if name in self.items:
                self._decided(event.id, self.items[name], decided)
            case JobFinished(job=name) as finished if name in self.items:
                self._finished(self.items[name], finished, now)
            case _:
                return

    def late_due(self, job: Job, now: int) -> tuple[int, int]:
        """Return which of the times up to `now` is to be run, the last, and how many seconds late that is."""
        due = latest_until(schedule_of(job.every), job.zone, job.due, now)
        return due, (now - due) // 1_000_000 if now - due > LATE else 0

    def _adopt(self, settings: Settings, now: int) -> None:
        zones = {zone.name: zone for zone in settings.zones}
        before, self.items = self.items, {}
        for each in settings.jobs:
            zone = zones.get(each.zone, Zone(name=each.zone))
            known = before.get(each.name)
            if known is None:
                self.items[each.name] = _new(each, zone, now)
                continue
            if (known.every, known.zone) != (each.every, zone):
                known.every, known.zone = each.every, zone
                known.due = next_after(schedule_of(known.every), zone, now)
            known.kind, known.escalate = each.kind, each.escalate
            self.items[each.name] = known

    def _decided(self, decision: str, job: Job, decided: Decided) -> None:
        match decided.action:
            case RunJob(due=due):
                job.since = due
                job.due = next_after(schedule_of(job.every), job.zone, due)
                if decided.mode == "act":
                    job.running = decision
            case RaiseAlert(cause=cause) | Escalate(cause=cause) if cause == CAUSE:
                job.said = job.failures
            case ClearAlert(cause=cause) if cause == CAUSE:
                job.said = 0
            case _:
                return

    def _finished(self, job: Job, finished: JobFinished, now: int) -> None:
        if finished.decision == job.running:
            job.running = ""
        job.outcome, job.ended, job.took_ms = finished.outcome, now, finished.took_ms
        job.tail = finished.tail[-300:]
        if finished.ok:
            job.failures = 0
        elif finished.outcome != "interrupted":
            job.failures += 1


def _new(each: JobSettings, zone: Zone, now: int) -> Job:
    due = next_after(schedule_of(each.every), zone, now)
    return Job(each.name, each.every, each.kind, each.escalate, zone, now, due)

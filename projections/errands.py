"""What the herald and the foreman have been told to do and have not finished, and what is needed to do it."""

from msgspec import Struct, field

from events.decisions import Decided, Remind, RunJob
from events.envelope import Recorded
from events.observations import WorkerExited
from events.outcomes import EffectFailed, EffectVerified, WorkerStarted, WorkerStartOrdered
from events.reminders import RequestAnswered
from events.settings import Settings, SettingsAdopted
from projections.jobs import Jobs
from projections.reminders import Reminders


class OpenReminder(Struct):
    """A reminder that is being delivered; `answers` by unit."""

    decision: str
    target: str
    at: int
    remind: Remind
    answers: dict[str, RequestAnswered] = field(default_factory=dict)


class Deliveries(Struct):
    """The herald's fold: open reminders by decision, who lives, which reminders there are."""

    position: int = 0
    settings: Settings = field(default_factory=lambda: Settings(node=""))
    reminders: Reminders = field(default_factory=Reminders)
    now: int = 0
    living: dict[str, str] = field(default_factory=dict)
    open: dict[str, OpenReminder] = field(default_factory=dict)

    def apply(self, event: Recorded) -> None:
        """Fold one event; the position moves last."""
        body = event.body
        if event.source.startswith("node."):
            self.now = max(self.now, event.time)
        self.reminders.apply(event, self.now)
        match body:
            case SettingsAdopted(settings=settings):
                self.settings = settings
            case Decided(action=Remind() as remind, mode="act"):
                self.open[event.id] = OpenReminder(event.id, body.target, event.time, remind)
            case RequestAnswered(request=request) if request in self.open:
                self.open[request].answers[body.unit] = body
            case EffectVerified(decision=decision) | EffectFailed(decision=decision):
                self.open.pop(decision, None)
            case WorkerStartOrdered(unit=unit, pool=pool) | WorkerStarted(unit=unit, pool=pool):
                self.living[unit] = pool
            case WorkerExited(unit=unit):
                self.living.pop(unit, None)
            case _:
                pass
        self.position = event.position

    def units_of(self, remind: Remind) -> list[str]:
        """Return the living processes that a reminder is for."""
        if remind.unit:
            return [remind.unit] if remind.unit in self.living else []
        return sorted(unit for unit, pool in self.living.items() if pool == remind.worker)


class OpenRun(Struct, frozen=True):
    """A run that was ordered and has not been seen to end."""

    decision: str
    run: RunJob


class Runs(Struct):
    """The foreman's fold: open runs by decision, and how the jobs are."""

    position: int = 0
    open: dict[str, OpenRun] = field(default_factory=dict)
    jobs: Jobs = field(default_factory=Jobs)
    now: int = 0

    def apply(self, event: Recorded) -> None:
        """Fold one event; the position moves last."""
        if event.source.startswith("node."):
            self.now = max(self.now, event.time)
        self.jobs.apply(event, self.now)
        match event.body:
            case Decided(action=RunJob() as run, mode="act"):
                self.open[event.id] = OpenRun(event.id, run)
            case EffectVerified(decision=decision) | EffectFailed(decision=decision):
                self.open.pop(decision, None)
            case _:
                pass
        self.position = event.position

"""The Time elf reminds, runs jobs, announces what comes and proposes when to maintain."""

from collections.abc import Sequence

from msgspec import Struct, field

from actors.elves import Draft, View
from actors.elves.time_advice import AHEAD, EVERY, announce, maintenance, restarts
from actors.elves.time_jobs import due_jobs, escalations
from actors.elves.time_publications import refusals
from actors.elves.time_reminders import by_memory, by_the_clock
from events.decisions import Decided, Prepare, ProposeMaintenance, ProposeRestart
from events.envelope import Recorded
from events.event import Event
from events.jobs import JobFinished, PublicationOpened, PublicationRefused
from events.observations import Sampled
from events.outcomes import EffectFailed, EffectVerified
from events.reminders import ReminderAdded, ReminderRemoved
from events.settings import SettingsAdopted
from events.tasks import OF_TASKS
from projections.drift import Drifts
from projections.gauges import Gauges
from projections.hours import HOUR, Hours
from projections.jobs import Jobs
from projections.reminders import Reminders
from projections.units import Units


class TimeState(Struct):
    """What has a time: reminders, jobs, the week's hours, the wear of units."""

    reminders: Reminders = field(default_factory=Reminders)
    gauges: Gauges = field(default_factory=Gauges)
    jobs: Jobs = field(default_factory=Jobs)
    units: Units = field(default_factory=Units)
    hours: Hours = field(default_factory=Hours)
    drifts: Drifts = field(default_factory=Drifts)
    prepared: dict[str, int] = field(default_factory=dict)
    proposed: int = 0
    refused: str = ""


class TimeElf:
    """Rules: remind, condition, job, job_failure, prepare, maintenance, restart_advice, publication."""

    name = "time"
    version = "1"
    state_type = TimeState
    triggers: tuple[type[Event], ...] = (
        Sampled,
        SettingsAdopted,
        ReminderAdded,
        ReminderRemoved,
        JobFinished,
        PublicationOpened,
        PublicationRefused,
        EffectVerified,
        EffectFailed,
    )

    def initial(self) -> TimeState:
        """See `Policy.initial`."""
        return TimeState()

    def fold(self, state: TimeState, event: Recorded, view: View) -> None:
        """See `Policy.fold`."""
        now = view.timeline.now
        body = event.body
        state.units.apply(event, now, view.settings)
        state.hours.apply(event, now, view.settings)
        state.drifts.apply(event, now)
        if type(body) in OF_TASKS:
            return
        ours = isinstance(body, Decided) and body.elf == self.name and body.epoch == view.timeline.epoch
        if isinstance(body, Decided):
            if not ours:
                return
            self._said(state, body, now)
        state.reminders.apply(event, now)
        state.jobs.apply(event, now)
        state.gauges.apply(event, now, state.units, state.reminders, view.settings)
        if isinstance(body, PublicationRefused):
            state.refused = body.error
        elif isinstance(body, PublicationOpened):
            state.refused = ""

    def decide(self, state: TimeState, view: View) -> Sequence[Draft]:
        """See `Policy.decide`."""
        now = view.timeline.now
        drafts = [
            *by_the_clock(state.reminders, view),
            *by_memory(state.gauges, state.units, state.reminders, view, now),
            *due_jobs(state.jobs, view),
            *escalations(state.jobs, view),
            *refusals(state.refused, view),
            *announce(state.hours, state.prepared, view),
            *restarts(state.drifts, state.hours, view),
        ]
        if not state.proposed or now - state.proposed >= EVERY:
            worn = sorted(name for name, wear in state.drifts.units.items() if wear.drift()[0])
            drafts.extend(maintenance(state.hours, state.reminders, state.jobs, worn, view))
        return drafts

    def due(self, state: TimeState, view: View) -> int:
        """See `Policy.due`: when the next reminder, job or announcement is due."""
        now = view.timeline.now
        hour = (now // HOUR + 1) * HOUR
        times = [
            *(item.due for item in state.reminders.items.values()),
            *(job.due for job in state.jobs.items.values()),
            *([hour - AHEAD, hour + HOUR - AHEAD] if state.hours.arrivals else []),
        ]
        return min((time for time in times if time > now), default=0)

    def _said(self, state: TimeState, decided: Decided, now: int) -> None:
        """Remember what was announced and proposed, in whatever mode: it is said once."""
        match decided.action:
            case Prepare(queue=queue, kind=kind, at=at):
                state.prepared[f"{queue}/{kind}"] = at
            case ProposeMaintenance():
                state.proposed = now
            case ProposeRestart(generation=generation):
                wear = state.drifts.units.get(decided.target)
                if wear:
                    wear.said = generation
            case _:
                return

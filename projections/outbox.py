"""What people are to be told, by channel: it follows from the log, and so does what has been said already."""

from msgspec import Struct, field

from events.controls import AlertAcknowledged, AlertSilenced
from events.decisions import AssignTask, Decided, Escalate, Notify, RaiseAlert, RestartAgent
from events.envelope import Recorded
from events.jobs import JobFinished, Notified
from events.settings import Settings, SettingsAdopted
from projections.alerts import Alerts
from projections.timeline import Timeline

ESCALATION = "escalation"
# So many messages may wait for one channel; older ones are let go and counted.
WAITING = 500


class Notice(Struct, frozen=True):
    """One message. `time` in microseconds; `report` is a file that belongs to it."""

    id: str
    topic: str
    time: int
    text: str
    report: str = ""


class Outbox(Struct):
    """Waiting notices by channel and id, oldest first; `dropped` counts what was let go since the last one sent."""

    position: int = 0
    settings: Settings = field(default_factory=lambda: Settings(node=""))
    waiting: dict[str, dict[str, Notice]] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    timeline: Timeline = field(default_factory=Timeline)
    alerts: Alerts = field(default_factory=lambda: Alerts({}))

    def apply(self, event: Recorded) -> None:
        """Fold one event; the position moves last."""
        self.timeline.apply(event)
        match event.body:
            case SettingsAdopted(settings=settings):
                self.settings = settings
                known = {channel.name for channel in settings.channels}
                self.waiting = {name: left for name, left in self.waiting.items() if name in known}
            case Decided() as decided:
                self._decided(event, decided)
            case AlertAcknowledged() | AlertSilenced() as said if event.source.startswith("operator."):
                self.alerts.answer(said, self.timeline.now)
            case JobFinished(to=to) as finished if to:
                text = f"{finished.job}: {finished.tail}"
                self._put(Notice(event.id, "report", event.time, text, finished.report), "", to)
            case Notified(channel=channel, notice=notice, ok=ok):
                self.waiting.get(channel, {}).pop(notice, None)
                if ok:
                    self.dropped.pop(channel, None)
            case _:
                pass
        self.position = event.position

    def _decided(self, event: Recorded, decided: Decided) -> None:
        match decided.action:
            case RaiseAlert(cause=cause) | Escalate(cause=cause):
                if self.alerts.silent(cause, decided.target, self.timeline.now):
                    return
            case _:
                pass
        topic, names = topic_of(decided, self.settings)
        if topic or names:
            self._put(Notice(event.id, topic, event.time, decided.text), topic, names)

    def _put(self, notice: Notice, topic: str, names: tuple[str, ...]) -> None:
        for channel in self.settings.channels:
            if channel.name not in names and topic not in channel.topics:
                continue
            waiting = self.waiting.setdefault(channel.name, {})
            waiting[notice.id] = notice
            if len(waiting) > WAITING:
                del waiting[next(iter(waiting))]
                self.dropped[channel.name] = self.dropped.get(channel.name, 0) + 1


def topic_of(decided: Decided, settings: Settings) -> tuple[str, tuple[str, ...]]:
    """Return the topic of a decision and the channels that it names itself; nothing for what concerns nobody."""
    if decided.mode == "advise":
        return "proposal", ()
    if decided.mode != "act":
        return "", ()
    match decided.action:
        case RaiseAlert(severity="critical" | "warning" as severity):
            return severity, ()
        case Escalate():
            return "escalation", (ESCALATION,)
        case Notify(channel=channel, topic=topic):
            # The log's word is `memory_leak`, that of channels `leak`.
            return topic.removeprefix("memory_"), (channel,) if channel else ()
        case AssignTask(previous=previous) if previous:
            return "reassigned", ()
        case RestartAgent():
            agent = next((agent for agent in settings.agents if agent.name == decided.target), None)
            if agent is None or agent.restarts:
                return "", ()
            return "owner", (agent.owner,) if agent.owner else ()
        case _:
            return "", ()

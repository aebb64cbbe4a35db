"""What is known of each agent's health: beats and answers, what came of restarts and canaries, what it has proven."""

from msgspec import Struct, field

from events.agents import AgentIntentSet, AgentJoined
from events.decisions import Decided, MarkAgent, PingAgent, RestartAgent, VerifyAgent
from events.envelope import Recorded
from events.observations import LeaseTaken, Sampled
from events.outcomes import EffectFailed, EffectVerified
from events.settings import Settings
from events.tasks import OF_TASKS
from projections.agent_tasks import AgentTasks, End
from projections.agents import Agent, Agents
from projections.brake import Brake
from projections.units import SECOND

_GAPS = 16
# However uneven an agent's beats, it is suspect after this many times the usual wait.
_PATIENCE = 1.5


class Trial(Struct):
    """The last ping, restart or canary: its decision, when it was ordered, and whether it passed (None: still open)."""

    decision: str = ""
    at: int = 0
    passed: bool | None = None
    error: str = ""

    def open(self, now: int, limit: int) -> bool:
        """Tell whether its outcome can still come; one that never comes is a failure."""
        return bool(self.decision) and self.passed is None and now - self.at < limit

    def ok(self) -> bool:
        """Tell whether it passed."""
        return bool(self.decision) and self.passed is True


class Record(Struct):
    """One agent's health. Times are forest microseconds, 0 for never.

    `heard_at` is when the node last heard of it as far as ticks tell, `gaps` are silences that ended by themselves.
    `verified` and `failed` count tasks since it was taken back, `failures` recoveries in a row that came to nothing.
    """

    heard_at: int = 0
    silence: int = 0
    gaps: list[int] = field(default_factory=list)
    cause: str = ""
    unanswered: int = 0
    answered_at: int = 0
    ping: Trial = field(default_factory=Trial)
    restart: Trial = field(default_factory=Trial)
    canary: Trial = field(default_factory=Trial)
    failures: int = 0
    verified: int = 0
    failed: int = 0
    proven: bool = False
    hollow: str = ""
    taken_back_at: int = 0


class Care(Struct):
    """All agents with their health. `epoch_at` is when this node began to listen, `tick_at` when it last looked."""

    agents: Agents = field(default_factory=Agents)
    tasks: AgentTasks = field(default_factory=AgentTasks)
    brake: Brake = field(default_factory=Brake)
    records: dict[str, Record] = {}
    epoch_at: int = 0
    tick_at: int = 0

    def record(self, name: str) -> Record:
        """Return an agent's record, a blank one where nothing was ever heard of it."""
        return self.records.get(name) or Record()

    def _kept(self, name: str) -> Record:
        record = self.records.get(name)
        if record is None:
            record = self.records[name] = Record()
        return record

    def apply(self, event: Recorded, now: int, epoch: int, settings: Settings) -> None:
        """Fold one event."""
        body = event.body
        end = self.tasks.apply(event, epoch)
        if end:
            self._ended(end)
        if type(body) in OF_TASKS:
            return
        states = {}
        if isinstance(body, Decided) and isinstance(body.action, MarkAgent):
            states = {name: agent.state for name, agent in self.agents.agents.items()}
        self.agents.apply(event, now, epoch)
        match body:
            case LeaseTaken():
                self.epoch_at = self.tick_at = now
                self.brake.restarted()
            case Sampled():
                self._tick(body, now, settings)
            case AgentJoined(agent=name) if event.source == f"agent.{name}":
                record = self._kept(name)
                record.heard_at, record.silence = now, 0
            case AgentIntentSet(agent=name, intent="run"):
                self._kept(name).failures = 0
            case EffectVerified() | EffectFailed():
                self._outcome(body, now)
            case Decided() if body.epoch == epoch and body.mode == "act":
                self._decided(event.id, body, now, states.get(body.target, ""), settings)
            case _:
                return

    def silent(self, agent: Agent) -> int:
        """Return for how long nothing was heard of an agent at the last tick, in microseconds."""
        record = self.record(agent.name)
        heard = max(record.heard_at, record.answered_at, agent.joined_at, self.epoch_at)
        return max(0, self.tick_at - heard)

    def patience(self, agent: Agent, settings: Settings) -> int:
        """Return how long a silence may be: longer for uneven beats, longer while the node itself is late."""
        least = settings.limits.agent_suspect_s * SECOND
        gaps = sorted(self.record(agent.name).gaps)
        usual = _PATIENCE * gaps[len(gaps) * 9 // 10] if gaps else 0.0
        return int(max(least, min(usual, _PATIENCE * least))) + self.slack()

    def stall_limits(self, agent: Agent, settings: Settings) -> tuple[int, int]:
        """Return how long a task may stand still before its agent is suspect, and before it is down (microseconds)."""
        limits = settings.limits
        suspect, down = limits.agent_stall_s * SECOND, limits.agent_no_progress_s * SECOND
        sample = agent.sample
        if sample and sample.stall_ms * 1000 > suspect:
            # Only then is it worth knowing what such tasks take; the last resort holds whatever they take.
            usual = 3000 * self.tasks.p99_ms(agent.name)
            down = min(max(down, usual), limits.silence_s * SECOND)
            suspect = min(max(suspect, usual), down)
        return int(suspect) + self.slack(), int(down) + self.slack()

    def slack(self) -> int:
        """Return what is added to each limit while the node itself is late, in microseconds."""
        return 2000 * self.brake.lag_ms

    def _tick(self, sampled: Sampled, now: int, settings: Settings) -> None:
        lag = max((sample.lag_ms for sample in sampled.agents), default=0)
        self.brake.tick(now, lag, settings.sample_s, settings.limits)
        self.tick_at = now
        told = {sample.agent for sample in sampled.agents}
        for name, agent in self.agents.agents.items():
            if agent.sample is None or agent.sample.beat_age_ms < 0 or not agent.run:
                continue
            record = self._kept(name)
            # What a frame does not name is unchanged: one that was young is young.
            age = agent.sample.beat_age_ms * 1000
            if age < record.silence and record.silence >= SECOND:
                record.gaps = [*record.gaps, record.silence][-_GAPS:]
            record.silence = age
            # An age that is told is exact, and may show that a beat which seemed young was not.
            exact = name in told and age > 0
            record.heard_at = now - age if exact else max(record.heard_at, now - age)

    def _ended(self, end: End) -> None:
        record = self._kept(end.agent)
        if end.good:
            record.verified += 1
            return
        record.failed += 1
        if end.hollow:
            record.hollow = end.key

    def _outcome(self, outcome: EffectVerified | EffectFailed, now: int) -> None:
        record = self.records.get(outcome.target)
        if record is None:
            return
        passed = isinstance(outcome, EffectVerified)
        for trial in (record.ping, record.restart, record.canary):
            if trial.decision == outcome.decision and trial.passed is None:
                trial.passed = passed
                trial.error = "" if isinstance(outcome, EffectVerified) else outcome.error[:200]
                if trial is record.ping:
                    record.unanswered = 0 if passed else record.unanswered + 1
                if passed:
                    record.answered_at = now

    def _decided(self, decision: str, decided: Decided, now: int, before: str, settings: Settings) -> None:
        name = decided.target
        match decided.action:
            case PingAgent():
                record = self._kept(name)
                if record.ping.decision and record.ping.passed is None:
                    record.unanswered += 1
                record.ping = Trial(decision, now)
            case RestartAgent():
                self._kept(name).restart = Trial(decision, now)
            case VerifyAgent():
                record = self._kept(name)
                record.canary, record.hollow = Trial(decision, now), ""
            case MarkAgent() as mark:
                self._marked(mark, decided, now, before, settings)
            case _:
                return

    def _marked(self, mark: MarkAgent, decided: Decided, now: int, before: str, settings: Settings) -> None:
        name = decided.target
        record = self._kept(name)
        match mark.state:
            case "suspect" if before in ("alive", "probation", "paused"):
                record.cause, record.unanswered, record.ping = decided.reason, 0, Trial()
                record.canary = Trial()
            case "probing":
                self.brake.suspected(name, now)
            case "alive" | "probation" | "paused":
                self.brake.dropped(name)
                if mark.state == "probation" and before == "recovering":
                    record.verified = record.failed = 0
                    record.taken_back_at = now
                if decided.rule == "promote":
                    record.proven, record.failures = True, 0
            case "down":
                record.cause = decided.reason
                self.brake.downed(name, now, settings.limits)
                self.brake.dropped(name)
                record.restart, record.canary, record.hollow = Trial(), Trial(), ""
                record.failures += mark.until > 0
            case "recovering":
                record.restart, record.canary = Trial(), Trial()
            case _:
                return

"""Who the remote agents are and how they stand: configuration, people's wishes, their own word, what was decided."""

from msgspec import Struct

from events.agents import (
    AgentAdded,
    AgentIntentSet,
    AgentJoined,
    AgentLeft,
    AgentRevoked,
    AgentSample,
    AgentState,
    Phase,
    PhaseEntered,
)
from events.decisions import Decided, MarkAgent
from events.envelope import Recorded
from events.observations import Sampled
from events.settings import AgentSettings, SettingsAdopted


class Agent(Struct):
    """One agent. Times are forest microseconds, 0 for never; `limit` is what its state allows, 0 for no bound."""

    name: str
    settings: AgentSettings
    known: bool = True
    state: AgentState = "absent"
    since: int = 0
    limit: int = 0
    until: int = 0
    intent: str = "run"
    run: str = ""
    offered: int = 0
    joined_at: int = 0
    seen_at: int = 0
    phase: Phase = "monitor"
    sample: AgentSample | None = None

    @property
    def wip(self) -> int:
        """How many tasks it may hold now, all rules taken together."""
        if self.intent != "run" or self.state not in ("alive", "probation") or not self.run:
            return 0
        wip = min(self.settings.wip, self.offered or self.settings.wip)
        return min(wip, self.limit) if self.limit else wip


class Agents(Struct):
    """All agents by name, in the order of the configuration, those added by hand behind."""

    agents: dict[str, Agent] = {}

    def apply(self, event: Recorded, now: int, epoch: int) -> None:
        """Fold one event; a decision counts if the node that leads wrote it."""
        match event.body:
            case SettingsAdopted(settings=settings):
                self._configure({item.name: item for item in settings.agents})
            case AgentAdded(agent=name):
                self._get(name).known = True
            case AgentRevoked(agent=name):
                agent = self._get(name)
                agent.known, agent.run, agent.state, agent.since = False, "", "retired", now
            case AgentJoined() as joined if event.source == f"agent.{joined.agent}":
                self._joined(joined, now)
            case AgentLeft(agent=name, run=run) if event.source == f"agent.{name}":
                agent = self._get(name)
                if agent.run == run:
                    agent.run, agent.state, agent.since = "", "absent", now
            case AgentIntentSet(agent=name, intent=intent):
                agent = self._get(name)
                agent.intent = intent
                if intent == "retire":
                    agent.state, agent.since = "retired", now
                elif agent.state == "retired":
                    agent.state, agent.since = ("alive" if agent.run else "absent"), now
            case Sampled(agents=samples):
                for sample in samples:
                    self._sampled(sample, now)
            case Decided(action=MarkAgent() as mark, target=name) as decided:
                if decided.epoch == epoch and decided.mode == "act":
                    agent = self._get(name)
                    agent.state, agent.since = mark.state, now
                    agent.limit, agent.until = mark.wip, mark.until
            case PhaseEntered(agent=name, phase=phase):
                self._get(name).phase = phase
            case _:
                return

    def _configure(self, given: dict[str, AgentSettings]) -> None:
        before = self.agents
        self.agents = {}
        for name, settings in given.items():
            agent = before.pop(name, None) or Agent(name, settings)
            agent.settings = settings
            self.agents[name] = agent
        self.agents.update(before)

    def _get(self, name: str) -> Agent:
        agent = self.agents.get(name)
        if agent is None:
            agent = self.agents[name] = Agent(name, AgentSettings(name=name))
        return agent

    def _joined(self, joined: AgentJoined, now: int) -> None:
        agent = self._get(joined.agent)
        if not agent.known:
            return
        agent.run, agent.offered, agent.joined_at, agent.seen_at = joined.run, joined.wip, now, now
        if agent.state == "absent":
            agent.state, agent.since = "alive", now

    def _sampled(self, sample: AgentSample, now: int) -> None:
        agent = self.agents.get(sample.agent)
        if agent is None:
            return
        agent.sample = sample
        if sample.beat_age_ms >= 0:
            agent.seen_at = max(agent.seen_at, now - sample.beat_age_ms * 1000)

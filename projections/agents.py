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
from events.decisions import ClearAlert, Decided, MarkAgent, RaiseAlert
from events.envelope import Recorded
from events.observations import LeaseTaken, Sampled
from events.settings import AgentSettings, SettingsAdopted

SHARED_CAUSE = "shared_cause"


class Agent(Struct):
    """One agent. Times are forest microseconds, 0 for never; `limit` is what its state allows, 0 for no bound.

    An agent that is no full `member` was lost and has not been promoted since: however it comes back, it comes back
    step by step.
    """

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
    member: bool = True
    sample: AgentSample | None = None

    @property
    def wip(self) -> int:
        """How many tasks it may hold now, all rules taken together."""
        if self.intent != "run" or self.state not in ("alive", "probation") or not self.run:
            return 0
        wip = self.settings.wip
        if self.offered and self.offered < wip:
            wip = self.offered
        return self.limit if self.limit and self.limit < wip else wip

    def takes(self, priority: str) -> bool:
        """Tell whether its state lets it have a task of this priority: on probation none of the high ones."""
        return self.state != "probation" or priority != "high"

    @property
    def serves(self) -> bool:
        """Whether its program is there and nobody sent it away."""
        return bool(self.run) and self.state not in ("absent", "retired")


class Agents(Struct):
    """All agents by name, in the order of the configuration, those added by hand behind.

    While several are silent at once and it may be the node itself, they are `frozen`: nothing is taken from one.
    """

    agents: dict[str, Agent] = {}
    frozen: bool = False

    def apply(self, event: Recorded, now: int, epoch: int) -> None:
        """Fold one event; a decision counts if the node that leads wrote it."""
        match event.body:
            case SettingsAdopted(settings=settings):
                self._configure({item.name: item for item in settings.agents})
            case AgentAdded(agent=name):
                agent = self._get(name)
                if not agent.known:
                    agent.known, agent.state, agent.since = True, "absent", now
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
                elif agent.state == "retired" and agent.known:
                    agent.state, agent.since = ("alive" if agent.run else "absent"), now
                    agent.member = True
                if intent == "run":
                    agent.until = 0
            case Sampled(agents=samples):
                for sample in samples:
                    self._sampled(sample, now)
            case LeaseTaken():
                # What another node saw of them says nothing about what this one will see.
                for agent in self.agents.values():
                    agent.sample = None
            case Decided(action=MarkAgent() as mark, target=name) as decided:
                if decided.epoch == epoch and decided.mode == "act":
                    self._marked(self._get(name), mark, now)
            case Decided(action=RaiseAlert(cause=cause) | ClearAlert(cause=cause)) as decided:
                if cause == SHARED_CAUSE and decided.epoch == epoch and decided.mode == "act":
                    self.frozen = isinstance(decided.action, RaiseAlert)
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
            agent.state, agent.since = ("alive" if agent.member else "down"), now

    def _marked(self, agent: Agent, mark: MarkAgent, now: int) -> None:
        if not agent.serves:
            # It left, or a person sent it away, while this was on its way.
            return
        if agent.state != mark.state:
            agent.state, agent.since = mark.state, now
        agent.limit, agent.until = mark.wip, mark.until
        if mark.state in ("alive", "down"):
            agent.member = mark.state == "alive"

    def _sampled(self, sample: AgentSample, now: int) -> None:
        agent = self.agents.get(sample.agent)
        if agent is None:
            return
        agent.sample = sample
        if sample.beat_age_ms >= 0:
            agent.seen_at = max(agent.seen_at, now - sample.beat_age_ms * 1000)

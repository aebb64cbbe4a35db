"""Agents of stories: what ticks say of them, what people and the agents themselves do."""

from typing import Any

from actors.elves import Policy
from actors.elves.healing_elf import HealingElf
from events.agents import AgentIntent, AgentIntentSet, AgentJoined, AgentLeft, AgentSample
from events.decisions import AssignTask, Decided, MarkAgent, PingAgent
from events.observations import Sampled
from events.outcomes import EffectFailed, EffectVerified
from events.settings import AgentSettings, QueueSettings, Settings
from events.tasks import TaskFailed, TaskFinished, TaskStarted, TaskSubmitted
from tests.elves import Given, settings


def of_agents(*names: str, wip: int = 3, **changes: Any) -> Settings:
    """Return settings with these agents and a dispatched queue `d`, and no workers."""
    given: dict[str, Any] = {
        "queues": (QueueSettings(name="d", serve="dispatch"),),
        "workers": (),
        "agents": tuple(AgentSettings(name=name, wip=wip, restarts=True, canary=True) for name in names),
    }
    return settings(**(given | changes))


class Agents(Given):
    """One elf, Healing by default, and agents that are well unless `silent`, `closed` or `stall` say otherwise.

    With `replies` each ping is answered at once.
    """

    def __init__(
        self, *names: str, adopted: Settings | None = None, policy: Policy[Any] | None = None
    ) -> None:
        super().__init__(policy or HealingElf(), adopted or of_agents(*names))
        self.names = names
        self.age: dict[str, float] = dict.fromkeys(names, 0.0)
        self.silent: set[str] = set()
        self.closed: set[str] = set()
        self.stall: dict[str, float] = {}
        self.lag_ms = 0
        self.replies = False
        self.log: list[Decided] = []
        self._tasks = 0
        self._claims: dict[str, int] = {}
        for name in names:
            self.join(name)
        self.look(s=60)
        assert self.log == []

    def join(self, name: str, s: float = 0.0, run: str = "r1") -> "Agents":
        """Let an agent's program begin."""
        self.age[name] = 0.0
        self.silent.discard(name)
        self.closed.discard(name)
        joined = AgentJoined(agent=name, run=run, pid=1, host="h", release="1", wip=3)
        self.say(joined, s=s, source=f"agent.{name}")
        return self._heed()

    def leave(self, name: str, run: str = "r1") -> "Agents":
        """Let an agent's program end in order."""
        self.say(AgentLeft(agent=name, run=run), source=f"agent.{name}")
        return self._heed()

    def order(self, name: str, intent: AgentIntent) -> "Agents":
        """Let a person say what an agent shall do."""
        self.say(AgentIntentSet(agent=name, intent=intent), source="operator.cli")
        return self._heed()

    def look(self, s: float = 5.0, every: float = 5.0) -> "Agents":
        """Let time pass in ticks, earlier ones where the elf asks for them."""
        end = self.now + int(s * 1_000_000)
        while self.now < end:
            step = min(every, (end - self.now) / 1e6, self.due or every)
            for name in self.names:
                self.age[name] = self.age[name] + step if name in self.silent else 0.0
                if name in self.stall:
                    self.stall[name] += step
            self.say(Sampled(full=False, agents=tuple(self._sample(name) for name in self.names)), s=step)
            self._heed()
            if self.replies:
                self._reply()
        return self

    def _reply(self) -> None:
        for name in self.names:
            record = self.mind.own.care.record(name)
            if self.state(name) == "probing" and record.ping.passed is None:
                self.say(EffectVerified(decision=record.ping.decision, target=name), s=0.1)
                self._heed()

    def _sample(self, name: str) -> AgentSample:
        held = self.stall.get(name, -0.001)
        return AgentSample(
            agent=name,
            beat_age_ms=round(self.age[name] * 1000),
            holds=int(name in self.stall),
            stall_ms=round(held * 1000),
            connected=name not in self.closed,
            lag_ms=self.lag_ms,
        )

    def _heed(self) -> "Agents":
        # A batch is answered when it is read: decide until there is nothing new.
        for _ in range(9):
            found = self.then()
            self.log += found
            if not found:
                return self
        raise AssertionError(f"decides the same for ever: {self.log[-3:]}")

    def answer(self, decided: Decided, passed: bool = True, s: float = 0.0) -> "Agents":
        """Let a ping, a restart or a canary pass or fail."""
        target = decided.target
        decision = next(event.id for event in reversed(self.events) if event.body == decided)
        outcome = EffectVerified(decision=decision, target=target) if passed else None
        self.say(outcome or EffectFailed(decision=decision, target=target, error="no answer"), s=s)
        return self._heed()

    def asked(self, kind: type = PingAgent) -> Decided:
        """Return the last act of a kind."""
        return next(decided for decided in reversed(self.log) if isinstance(decided.action, kind))

    def state(self, name: str) -> str:
        """Return an agent's state."""
        found: str = self.mind.own.care.agents.agents[name].state
        return found

    def wip(self, name: str) -> int:
        """Return how many tasks an agent may have."""
        found: int = self.mind.own.care.agents.agents[name].wip
        return found

    def told(self, name: str) -> list[str]:
        """Return what was decided about an agent, each as rule and state or act."""
        return [
            f"{decided.rule} {decided.action.state}"
            if isinstance(decided.action, MarkAgent)
            else f"{decided.rule} {type(decided.action).__name__}"
            for decided in self.log
            if decided.target == name
        ]

    def work(
        self, name: str, good: bool = True, ms: int = 1000, result: Any = "done", s: float = 0.0
    ) -> "Agents":
        """Let an agent be given a task, claim it and end it."""
        self._tasks += 1
        task = f"t{self._tasks}"
        self.take(name, task, s=s)
        return self.end(name, task, good, ms, result)

    def end(self, name: str, task: str, good: bool = True, ms: int = 1000, result: Any = "done") -> "Agents":
        """Let an agent end a task that it took."""
        common: dict[str, Any] = {
            "task": task,
            "queue": "d",
            "unit": name,
            "generation": 1,
            "attempt": 1,
            "claim": self._claims[task],
            "service_ms": ms,
        }
        end: TaskFinished | TaskFailed = (
            TaskFinished(**common, result=result) if good else TaskFailed(**common, kind="error", error="no")
        )
        self.say(end, source=f"agent.{name}")
        return self._heed()

    def take(self, name: str, task: str, s: float = 0.0) -> int:
        """Let an agent be given a task and claim it; return the claim."""
        self.say(TaskSubmitted(task=task, queue="d", kind="k"), s=s, source="client.c")
        self.assign(name, task, after=len(self.events))
        return self.claim(name, task)

    def assign(self, name: str, task: str, lease: int = 1, after: int = 1) -> None:
        """Let Balance give an agent a task; `after` is where its submission stands."""
        given = AssignTask(
            task=task, queue="d", agent=name, lease=lease, attempt=1, submitted=after, after=after
        )
        decided = Decided(
            elf="balance",
            rule="assign",
            target=name,
            action=given,
            reason="policy",
            text="",
            trigger=1,
            as_of=1,
            epoch=self.mind.view.timeline.epoch,
            ordinal=0,
            size=1,
            policy="balance",
            version="1",
            settings="",
        )
        self.say(decided)

    def claim(self, name: str, task: str, lease: int = 1) -> int:
        """Let an agent claim a task; return the claim."""
        started = TaskStarted(
            task=task, queue="d", unit=name, generation=1, pid=1, attempt=1, nonce="n", lease=lease
        )
        self.say(started, source=f"agent.{name}")
        self._claims[task] = len(self.events)
        return self._claims[task]

"""Agents and tasks for the tests of distribution: a ledger to play with, and an elf with agents."""

from typing import Any

from actors.elves.balance_elf import BalanceElf
from events.agents import AgentJoined
from events.decisions import AssignTask, Decided, MarkAgent
from events.event import Event
from events.settings import AgentSettings, DistributionSettings, QueueSettings, Settings
from events.tasks import TaskFailed, TaskFinished, TaskStarted, TaskSubmitted
from projections.dispatch import Dispatch
from tests.elves import SECOND, Given
from tests.elves import settings as plain

NOW = 1_700_000_000 * SECOND
NAMES = ("CC01", "CC02", "CC03")


def settings(*agents: AgentSettings, policy: str = "pull_best", **parameters: float) -> Settings:
    """Return a forest with one dispatched queue `q`, one pulled queue `p` and these agents."""
    return plain(
        queues=(QueueSettings(name="q", serve="dispatch"), QueueSettings(name="p")),
        agents=agents or tuple(AgentSettings(name=name) for name in NAMES),
        distribution=DistributionSettings(policy=policy, parameters=parameters),
    )


def ledger(*agents: AgentSettings, at: int = NOW) -> Dispatch:
    """Return a ledger with these agents alive."""
    made = Dispatch()
    made.configure(settings(*agents), at)
    for name in list(made.order):
        made.join(name, at)
    return made


class Balance(Given):
    """The Balance elf with agents that joined; positions and leases are looked up in its own fold."""

    def __init__(self, adopted: Settings | None = None, joined: bool = True) -> None:
        super().__init__(BalanceElf(), adopted or settings())
        if joined:
            for name in self.dispatch.order:
                self.joined(name)

    @property
    def dispatch(self) -> Dispatch:
        """What the elf has folded."""
        folded: Dispatch = self.mind.own.dispatch
        return folded

    def joined(self, name: str, run: str = "r1") -> "Balance":
        """Let an agent's program join."""
        body = AgentJoined(agent=name, run=run, pid=1, host="h", release="1", wip=9)
        self.say(body, source=f"agent.{name}")
        return self

    def marked(self, name: str, state: Any, wip: int = 0) -> "Balance":
        """Let Healing put an agent into a state."""
        self.say(healing(name, MarkAgent(state=state, wip=wip), self.mind.view.timeline.epoch))
        return self

    def asked(self, *tasks: str, queue: str = "q", **fields: Any) -> "Balance":
        """Submit tasks."""
        for task in tasks:
            self.say(TaskSubmitted(task=task, queue=queue, **fields), source="client.c")
        return self

    def claim(self, task: str, agent: str = "", lease: int = 0) -> int:
        """Claim a task, as the agent that was given it unless said otherwise; returns the position."""
        known = self.dispatch.tasks.get(f"q/{task}")
        agent = agent or (known.agent if known else "")
        lease = lease or (known.lease if known else 1)
        self.say(
            TaskStarted(
                task=task, queue="q", unit=agent, generation=1, pid=1, attempt=1, nonce="n", lease=lease
            ),
            source=f"agent.{agent}",
        )
        return len(self.events)

    def finish(self, task: str, agent: str, claim: int, service_ms: int = 1000) -> "Balance":
        """Finish a task."""
        self.say(finished(task, agent, claim, service_ms), source=f"agent.{agent}")
        return self

    def fails(self, task: str, agent: str, claim: int, retry_in_s: float = 0.0) -> "Balance":
        """Fail a task."""
        body = TaskFailed(
            task=task,
            queue="q",
            unit=agent,
            generation=1,
            attempt=1,
            claim=claim,
            kind="error",
            error="no",
            service_ms=1000,
            retry_in_s=retry_in_s,
        )
        self.say(body, source=f"agent.{agent}")
        return self

    def given(self) -> list[tuple[str, str, str]]:
        """Ask, read what was decided, return task, agent and reason of each assignment."""
        found = []
        for decided in self.then():
            if isinstance(decided.action, AssignTask):
                found.append((decided.action.task, decided.action.agent, decided.reason))
        return found


def finished(task: str, agent: str, claim: int, service_ms: int = 1000) -> Event:
    """Return the end of a task."""
    return TaskFinished(
        task=task, queue="q", unit=agent, generation=1, attempt=1, claim=claim, service_ms=service_ms
    )


def healing(name: str, action: MarkAgent, epoch: int) -> Decided:
    """Return a decision of Healing about an agent."""
    return Decided(
        elf="healing",
        rule="care",
        target=name,
        action=action,
        reason="test",
        text="",
        trigger=1,
        as_of=1,
        epoch=epoch,
        ordinal=0,
        size=1,
        policy="healing",
        version="1",
        settings="",
    )

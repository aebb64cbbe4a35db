"""What the node must know to serve its agents: their tasks, what was left of attempts, acts that are still open."""

from typing import Any

from msgspec import Struct, field

from events.agents import HandedOver
from events.decisions import Decided, GiveUpTask, PingAgent, RestartAgent, VerifyAgent
from events.envelope import Recorded
from events.event import Event
from events.outcomes import EffectFailed, EffectVerified
from events.settings import Settings, SettingsAdopted
from projections.assignments import Task
from projections.dispatch import Dispatch
from projections.timeline import Timeline

ACTS = (PingAgent, RestartAgent, VerifyAgent)


class Note(Struct, frozen=True):
    """The newest hand-over note of a task and where it stands."""

    position: int
    agent: str
    attempt: int
    note: dict[str, Any]


class OpenAct(Struct, frozen=True):
    """An act on an agent without an outcome yet."""

    decision: str
    agent: str


class Given(Struct, frozen=True):
    """A decision to give a task up that nobody has carried out yet."""

    decision: str
    action: GiveUpTask


class Agency(Struct):
    """The fold of the node's agents. `touched` is the task that the last event spoke of, as it was before."""

    position: int = 0
    timeline: Timeline = field(default_factory=Timeline)
    settings: Settings = field(default_factory=lambda: Settings(node=""))
    dispatch: Dispatch = field(default_factory=Dispatch)
    notes: dict[str, Note] = {}
    acts: dict[str, OpenAct] = {}
    given_up: dict[str, Given] = {}
    touched: Task | None = None

    def apply(self, event: Recorded) -> None:
        """Fold one event; the position moves last, so that a fold cut short is recognised."""
        self.timeline.apply(event)
        body = event.body
        key = key_of(body) if isinstance(body, Event) else ""
        before = self.dispatch.tasks.get(key) if key else None
        self.touched = _copy(before) if before else None
        if isinstance(body, SettingsAdopted):
            self.settings = body.settings
        self.dispatch.apply(event, self.timeline.now, self.timeline.epoch, self.settings)
        match body:
            case HandedOver():
                self._noted(event, body)
            case Decided(action=GiveUpTask() as action) if self._acts(body):
                self.given_up[f"{action.queue}/{action.task}"] = Given(event.id, action)
            case Decided(action=PingAgent() | RestartAgent() | VerifyAgent(), target=name) if self._acts(
                body
            ):
                self.acts[name] = OpenAct(event.id, name)
            case (
                EffectVerified(decision=decision, target=name) | EffectFailed(decision=decision, target=name)
            ):
                if name in self.acts and self.acts[name].decision == decision:
                    del self.acts[name]
            case _:
                pass
        if key and key not in self.dispatch.tasks:
            self.notes.pop(key, None)
            self.given_up.pop(key, None)
        self.position = event.position

    def _acts(self, decided: Decided) -> bool:
        return decided.epoch == self.timeline.epoch and decided.mode == "act"

    def _noted(self, event: Recorded, handed: HandedOver) -> None:
        """Keep a note of the node, or of an agent that has had the task."""
        key = f"{handed.queue}/{handed.task}"
        task = self.dispatch.tasks.get(key)
        by_node = event.source.startswith("node.")
        if task and (by_node or event.source.removeprefix("agent.") in task.leases):
            self.notes[key] = Note(event.position, handed.agent, handed.attempt, handed.note)


def key_of(body: Event) -> str:
    """Return `queue/task` of an event about a task, nothing for another one."""
    task, queue = getattr(body, "task", ""), getattr(body, "queue", "")
    return f"{queue}/{task}" if task and queue else ""


def _copy(task: Task) -> Task:
    """Return what concerns others once the task has moved on."""
    return Task(
        task.queue,
        task.task,
        state=task.state,
        agent=task.agent,
        lease=task.lease,
        claim=task.claim,
        claimer=task.claimer,
        attempts=task.attempts,
    )

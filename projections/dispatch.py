"""Tasks that the node gives to agents, folded from the log: only the word of who holds a task counts."""

from events.decisions import AssignTask, Decided, GiveUpTask
from events.envelope import Recorded
from events.observations import Sampled
from events.settings import Settings, SettingsAdopted
from events.tasks import (
    TaskCancelled,
    TaskDied,
    TaskDropped,
    TaskEvent,
    TaskFailed,
    TaskFinished,
    TaskMoved,
    TaskReleased,
    TaskStarted,
    TaskSubmitted,
)
from projections.ledger import Ledger

_OF_TASKS = (
    TaskSubmitted,
    TaskStarted,
    TaskFinished,
    TaskFailed,
    TaskReleased,
    TaskDied,
    TaskDropped,
    TaskCancelled,
    TaskMoved,
)


class Dispatch(Ledger, dict=True):
    """The ledger as the log tells it; `counts` says how many claims and ends were accepted, fenced, foreign, late."""

    def apply(self, event: Recorded, now: int, epoch: int, settings: Settings) -> None:
        """Fold one event; `settings` are those in force at it."""
        body = event.body
        if isinstance(body, _OF_TASKS):
            # Most events are of tasks that workers pull; they end here.
            if body.queue in self.queues or f"{body.queue}/{body.task}" in self.tasks:
                self._of_task(event, body, now, settings.distribution.learning)
            return
        match body:
            case Decided(action=AssignTask() as given):
                if body.epoch == epoch and body.mode == "act":
                    self._assigned(body, given, now)
            case Decided(action=GiveUpTask() as given_up):
                task = self.tasks.get(f"{given_up.queue}/{given_up.task}")
                if task and body.epoch == epoch and body.mode == "act":
                    task.given_up_at = now
                    self._tell_task(task.key)
            case SettingsAdopted(settings=adopted):
                self.agents.apply(event, now, epoch)
                self.configure(adopted, now)
            case Sampled(agents=()):
                return
            case _:
                self.agents.apply(event, now, epoch)
                for name in _agents_of(body):
                    self._sync(name, now)

    def _of_task(self, event: Recorded, body: TaskEvent, now: int, learning: int) -> None:
        match body:
            case TaskSubmitted():
                if body.queue in self.queues:
                    self._submitted(event, body, now)
            case TaskStarted() | TaskFinished() | TaskFailed() | TaskReleased():
                self._said(event, body, now, learning)
            case TaskDied() | TaskDropped() | TaskCancelled() | TaskMoved():
                self.drop(f"{body.queue}/{body.task}", now)
            case _:
                return

    def _submitted(self, event: Recorded, body: TaskSubmitted, now: int) -> None:
        self.submit(
            body.queue,
            body.task,
            event.position,
            now,
            kind=body.kind,
            priority=body.priority,
            complexity=body.complexity,
            timeout_s=body.timeout_s,
            due=body.due,
        )

    def _said(
        self,
        event: Recorded,
        body: TaskStarted | TaskFinished | TaskFailed | TaskReleased,
        now: int,
        learning: int,
    ) -> None:
        key = f"{body.queue}/{body.task}"
        role, _, agent = event.source.partition(".")
        agent = agent if role == "agent" else ""
        match body:
            case TaskStarted():
                self.start(key, agent, body.lease, event.position, now)
            case TaskFinished():
                self.finish(key, agent, body.claim, body.service_ms, now, event.position, learning)
            case TaskFailed():
                wait = round(body.retry_in_s * 1e6)
                at = event.position
                self.fail(key, agent, body.claim, body.service_ms, now, wait, at, body.error, body.kind)
            case TaskReleased():
                self.release(key, agent, body.claim, now, event.position)

    def _assigned(self, body: Decided, given: AssignTask, now: int) -> None:
        task = self.tasks.get(f"{given.queue}/{given.task}")
        if task is None or given.lease != len(task.leases) + 1:
            self._count("void")
        elif given.after != task.after or given.submitted != task.submitted or task.state == "spent":
            # Something happened to the task before this decision was read: it holds for nobody.
            task.leases.append("")
            self._count("void")
        else:
            self.assign(task.key, given.agent, now, moved=body.rule == "redistribute")


def _agents_of(body: object) -> list[str]:
    """Return the agents that an event may concern."""
    if isinstance(body, Sampled):
        return [sample.agent for sample in body.agents]
    name = getattr(body, "agent", "") or getattr(body, "target", "")
    return [name] if name else []

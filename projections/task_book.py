"""What becomes of tasks, in log order: which claims are legitimate, which ends count, which of them are the last."""

from msgspec import Struct

from events.decisions import AssignTask
from events.tasks import (
    TaskCancelled,
    TaskDied,
    TaskFailed,
    TaskFinished,
    TaskMoved,
    TaskReleased,
    TaskStarted,
    TaskSubmitted,
)

Key = tuple[str, str]
"""Queue and id of a task."""

Result = TaskFinished | TaskFailed | TaskReleased
Closing = TaskDied | TaskCancelled


class Open(Struct, gc=False):
    """A task without an end. `asked` and `claim` are positions, `submitted`, `claimed` and `assigned` times.

    `over` says that the last claim has its result, `moved` that the next submission only follows the task.
    """

    asked: int
    submitted: int
    type: str
    priority: str
    claim: int = 0
    claimed: int = 0
    unit: str = ""
    agent: bool = False
    over: bool = False
    moved: bool = False
    leases: tuple[str, ...] = ()
    assigned: int = 0


class Verdict(Struct, frozen=True, gc=False):
    """What an end means: `effective` for the claim in force, `final` for its task; `task` as it was before.

    `fenced` is one that names the claim in force and was not written by the agent that claimed.
    """

    effective: bool
    final: bool
    task: Open | None
    fenced: bool = False


_NOTHING = Verdict(False, False, None)
_FENCED = Verdict(False, False, None, True)


class TaskBook:
    """All tasks without an end. `touched` names those that changed since it was last emptied."""

    def __init__(self) -> None:
        self.tasks: dict[Key, Open] = {}
        self.touched: set[Key] = set()

    def submitted(self, position: int, time: int, body: TaskSubmitted) -> None:
        """Take a submission: a life of its own, unless it only brings a moved task to its new queue."""
        key = (body.queue, body.task)
        self.touched.add(key)
        known = self.tasks.get(key)
        if known is not None and known.moved:
            return
        self.tasks[key] = Open(position, time, body.kind, body.priority)

    def assigned(self, time: int, action: AssignTask) -> None:
        """Take the decision that gives a lease of a task to an agent."""
        key = (action.queue, action.task)
        task = self.tasks.get(key)
        if task is not None and 0 < action.lease <= 1_000:
            self.touched.add(key)
            # Leases count up by one; what lies between was decided and never written.
            before = task.leases[: action.lease - 1]
            missing = action.lease - 1 - len(before)
            task.leases = (*before, *([""] * missing), action.agent)
            task.assigned = time

    def claimed(self, position: int, time: int, source: str, body: TaskStarted) -> bool:
        """Take a claim; False when an agent claims a lease that was never its own."""
        key = (body.queue, body.task)
        task = self.tasks.get(key)
        agent = source.startswith("agent.")
        if task is None:
            return not agent
        if agent and (body.lease < 1 or task.leases[body.lease - 1 : body.lease] != (source[6:],)):
            return False
        self.touched.add(key)
        task.claim, task.claimed, task.unit = position, time, body.unit
        task.agent, task.over = agent, False
        return True

    def ended(self, source: str, body: Result) -> Verdict:
        """Take a result: it counts if it names the claim in force, is the first one and comes from who claimed."""
        key = (body.queue, body.task)
        task = self.tasks.get(key)
        if task is None or task.over or not task.claim or task.claim != body.claim:
            return _NOTHING
        if task.agent and source != f"agent.{task.unit}":
            return _FENCED
        self.touched.add(key)
        if isinstance(body, TaskFinished):
            del self.tasks[key]
            return Verdict(True, True, task)
        task.over = True
        return Verdict(True, False, task)

    def closed(self, body: Closing) -> Verdict:
        """Take the end of a task that has no result; a claim without one ends with it."""
        key = (body.queue, body.task)
        task = self.tasks.pop(key, None)
        if task is None:
            return _NOTHING
        self.touched.add(key)
        return Verdict(bool(task.claim) and not task.over, True, task)

    def moved(self, body: TaskMoved) -> None:
        """Take a task to another queue; it waits since it was first submitted."""
        old, new = (body.queue, body.task), (body.to, body.task)
        task = self.tasks.pop(old, None)
        if task is None:
            return
        self.touched |= {old, new}
        there = self.tasks.get(new)
        if there is None:
            self.tasks[new] = Open(task.asked, task.submitted, task.type, task.priority, moved=True)
        else:
            there.asked, there.submitted = task.asked, task.submitted

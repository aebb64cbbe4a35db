"""What waits, who has what, whose word counts: the transitions of tasks and agents, with or without a log."""

from bisect import bisect_left, insort
from functools import cached_property
from typing import Protocol

from msgspec import Struct, field

from events.agents import AgentState
from events.settings import Settings
from events.tasks import FailureKind
from projections.agents import Agent, Agents
from projections.assignments import Task
from projections.records import Load, Record
from projections.sizes import Sizes

LOST = ("down", "retired", "absent")


class Watcher(Protocol):
    """Whoever keeps an index of this fold; told of each change after it."""

    def task(self, key: str) -> None:
        """A task began or ceased to wait."""

    def agent(self, name: str) -> None:
        """Something about an agent changed."""

    def size(self, name: str) -> None:
        """The size of `queue/kind` changed."""

    def everything(self) -> None:
        """Agents or settings changed as a whole."""


class Ledger(Struct, dict=True):
    """Open tasks by `queue/task`, records by agent, `queues` with their attempts. Indexes live outside the fields."""

    agents: Agents = field(default_factory=lambda: Agents({}))
    order: list[str] = field(default_factory=list)
    resorts: list[str] = field(default_factory=list)
    queues: dict[str, int] = field(default_factory=dict)
    timeouts: dict[str, float] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    sizes: Sizes = field(default_factory=lambda: Sizes({}, {}))
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Made while a change is under way, an index would count it twice.
        _ = self.held, self.claims, self.at_work

    def configure(self, settings: Settings, now: int = 0) -> None:
        """Adopt settings: agents in their order, queues that the node serves."""
        for item in settings.agents:
            if item.name in self.agents.agents:
                self.agents.agents[item.name].settings = item
            else:
                self.agents.agents[item.name] = Agent(item.name, item)
        named = [item.name for item in settings.agents]
        self.order = named + sorted(set(self.agents.agents) - set(named))
        resorts = [(item.fallback, item.name) for item in settings.agents if item.fallback]
        self.resorts = [name for _, name in sorted(resorts)]
        served = [queue for queue in settings.queues if queue.serve == "dispatch"]
        self.queues = {queue.name: queue.max_attempts for queue in served}
        self.timeouts = {queue.name: queue.timeout_s for queue in served}
        for name in self.order:
            self._sync(name, now)
        for watcher in self.watchers:
            watcher.everything()

    def join(self, name: str, now: int) -> None:
        """Let an agent's program be there."""
        self.mark(name, "alive", now)

    def mark(self, name: str, state: AgentState, now: int, wip: int = 0, until: int = 0) -> None:
        """Put an agent into a state."""
        agent = self.agents.agents[name]
        agent.run = agent.run or "run"
        agent.state, agent.since, agent.limit, agent.until = state, now, wip, until
        self._sync(name, now)

    def submit(
        self,
        queue: str,
        task: str,
        position: int,
        now: int,
        *,
        kind: str = "",
        priority: str = "middle",
        complexity: int = 0,
        timeout_s: float = 0.0,
        due: int = 0,
    ) -> str:
        """Take a task; one that is known begins its life anew, with its leases kept so that old ones stay fenced."""
        known = self.tasks.get(f"{queue}/{task}")
        if known:
            self._let_go(known)
        made = Task(queue, task, kind, priority, complexity, timeout_s, position, now, due, position)
        if known:
            made.leases, made.fence = known.leases, len(known.leases) + 1
        key = made.key
        self.tasks[key] = made
        size = made.size
        self.sizes.heard(queue, size, now)
        self._tell_size(size)
        self._tell_task(key)
        return key

    def assign(self, key: str, agent: str, now: int, moved: bool = False) -> int:
        """Give a task to an agent; returns the lease. Unless `moved` on purpose, one taken back was never claimed."""
        task = self.tasks[key]
        if task.state == "assigned" and not moved:
            self.record(task.agent).erred(now, self._may_eject(task.agent, now))
            task.avoid = task.agent
        self._let_go(task)
        lease = task.assign(agent, now)
        self._hold(task)
        self._tell_task(key)
        return lease

    def start(self, key: str, agent: str, lease: int, position: int, now: int) -> bool:
        """Take a claim; tells whether it counts."""
        task = self._named(key, position)
        if task is None:
            return False
        problem = task.may_claim(agent, lease)
        if problem:
            self._count(problem)
            return False
        if task.state == "assigned" and task.agent == agent:
            task.start(agent, lease, position, now)
            self._runs(task, key)
            self._tell_agent(agent)
        else:
            self._let_go(task)
            task.start(agent, lease, position, now)
            self._hold(task)
            self._tell_task(key)
        self.record(agent).freed_at = now
        return True

    def finish(
        self,
        key: str,
        agent: str,
        claim: int,
        service_ms: int,
        now: int,
        position: int = 0,
        learning: int = 1,
    ) -> bool:
        """Take a result; tells whether it is the task's effective end. `learning` as in `DistributionSettings`."""
        task = self._ended(key, agent, claim, position)
        if task is None:
            return False
        self._count("accepted")
        record, size = self._credit(task, agent, True, service_ms, now), task.size
        compared = self.sizes.compared(task.queue, size, service_ms, learning)
        if compared:
            record.ran(*compared)
        self.sizes.finished(task.queue, size, service_ms * record.speed, now)
        if task.state != "running":
            self._tell_size(size)
        self._remove(task)
        return True

    def fail(
        self,
        key: str,
        agent: str,
        claim: int,
        service_ms: int,
        now: int,
        wait_us: int = 0,
        position: int = 0,
        error: str = "",
        kind: FailureKind = "error",
    ) -> bool:
        """Take an attempt's bad end; tells whether it counts."""
        task = self._ended(key, agent, claim, position)
        if task is None:
            return False
        record = self._credit(task, agent, False, service_ms, now)
        record.erred(now, self._may_eject(agent, now))
        task.avoid, task.failure, task.error = agent, kind, error[:300]
        self._attempt_over(task, agent, now + wait_us if wait_us else 0)
        return True

    def release(self, key: str, agent: str, claim: int, now: int, position: int = 0) -> bool:
        """Take a task back whose attempt does not count, or that was never claimed; tells whether it may."""
        task = self.tasks.get(key)
        if task and not claim and task.state == "assigned" and task.agent == agent:
            task.after = position or task.after
            self._requeue(task)
            return True
        task = self._ended(key, agent, claim, position)
        if task is None:
            return False
        task.attempts -= 1
        self.record(agent).freed_at = now
        self._attempt_over(task, agent, 0)
        return True

    def drop(self, key: str, now: int) -> None:
        """Forget a task that was cancelled, moved or given up."""
        task = self.tasks.get(key)
        if task:
            if task.held:
                self.record(task.agent).freed_at = now
            self._remove(task)

    def record(self, name: str) -> Record:
        """Return an agent's record."""
        return self.records.get(name) or self.records.setdefault(name, Record())

    def holds(self, name: str) -> list[Task]:
        """Return what an agent has, claimed or not, the oldest assignment first."""
        held = [self.tasks[key] for key in self.held.get(name, ())]
        return sorted(held, key=lambda task: (task.assigned_at, task.submitted))

    def owns(self, agent: str, queue: str, task: str, lease: int) -> bool:
        """Tell whether this lease of the task is the one that holds, and this agent's."""
        found = self.tasks.get(f"{queue}/{task}")
        return bool(found and found.held and found.agent == agent and found.lease == lease)

    def load(self, name: str) -> Load:
        """Return an agent's load by the printed formulas."""
        return self.record(name).load(len(self.held.get(name, ())))

    @cached_property
    def held(self) -> dict[str, dict[str, None]]:
        """The keys of what each agent has."""
        found: dict[str, dict[str, None]] = {}
        for key, task in self.tasks.items():
            if task.held:
                found.setdefault(task.agent, {})[key] = None
        return found

    @cached_property
    def claims(self) -> dict[str, int]:
        """How many tasks each agent has claimed and not ended."""
        found: dict[str, int] = {}
        for task in self.tasks.values():
            if task.state == "running":
                found[task.agent] = found.get(task.agent, 0) + 1
        return found

    @cached_property
    def at_work(self) -> dict[str, list[tuple[int, str]]]:
        """Since when which tasks run, the longest first, by the size of their kind."""
        found: dict[str, list[tuple[int, str]]] = {}
        for key, task in self.tasks.items():
            if task.state == "running":
                insort(found.setdefault(task.size, []), (task.started_at, key))
        return found

    @cached_property
    def watchers(self) -> list[Watcher]:
        """The indexes that are told of every change."""
        return []

    def _tell_task(self, key: str) -> None:
        for watcher in self.watchers:
            watcher.task(key)

    def _tell_size(self, size: str) -> None:
        for watcher in self.watchers:
            watcher.size(size)

    def _tell_agent(self, name: str) -> None:
        for watcher in self.watchers:
            watcher.agent(name)

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def _named(self, key: str, position: int) -> Task | None:
        task = self.tasks.get(key)
        if task is None:
            self._count("late")
        elif position:
            task.after = position
        return task

    def _ended(self, key: str, agent: str, claim: int, position: int) -> Task | None:
        """Return the task if this agent may end this claim of it."""
        task = self._named(key, position)
        if task is None or task.is_owner(agent, claim):
            return task
        self._count("fenced" if agent in task.leases else "foreign")
        return None

    def _credit(self, task: Task, agent: str, ok: bool, service_ms: int, now: int) -> Record:
        record = self.record(agent)
        record.ended(ok, (now - task.assigned_at) / 1e6, now)
        record.worked(service_ms, now)
        record.freed_at = now
        return record

    def _attempt_over(self, task: Task, agent: str, ready: int) -> None:
        if not task.close():
            self._tell_task(task.key)
            self._tell_agent(agent)
            return
        task.ready = ready
        self._requeue(task)

    def _requeue(self, task: Task) -> None:
        self._let_go(task)
        task.wait(task.ready)
        if task.attempts >= self.queues.get(task.queue, 3):
            task.state = "spent"
        self._tell_task(task.key)

    def _remove(self, task: Task) -> None:
        key = task.key
        del self.tasks[key]
        if task.held:
            self._let_go(task)
        else:
            self._tell_task(key)

    def _hold(self, task: Task) -> None:
        key, agent = task.key, task.agent
        self.held.setdefault(agent, {})[key] = None
        if task.state == "running":
            self._runs(task, key)
        self._tell_agent(agent)

    def _runs(self, task: Task, key: str) -> None:
        """Count what begins; its kind's size stays what it is, as only what has run for a while tells of that."""
        self.claims[task.agent] = self.claims.get(task.agent, 0) + 1
        insort(self.at_work.setdefault(task.size, []), (task.started_at, key))

    def _let_go(self, task: Task) -> None:
        if task.held:
            key, agent = task.key, task.agent
            self.held[agent].pop(key, None)
            if task.state == "running":
                self.claims[agent] -= 1
                self._stopped(task, key)
            self._tell_agent(agent)

    def _stopped(self, task: Task, key: str) -> None:
        size = task.size
        tasks = self.at_work[size]
        del tasks[bisect_left(tasks, (task.started_at, key))]
        if not tasks:
            del self.at_work[size]
        self._tell_size(size)

    def _may_eject(self, name: str, now: int) -> bool:
        """Never less than half of the agents that are there stay in use."""
        up = [other for other in self.order if self.agents.agents[other].wip]
        out = sum(self.record(other).quarantined_until > now for other in up if other != name)
        return (out + 1) * 2 <= len(up)

    def _sync(self, name: str, now: int) -> None:
        """Draw the consequences of an agent's new state."""
        agent = self.agents.agents.get(name)
        if agent is None:
            return
        if name not in self.order:
            self.order.append(name)
            for watcher in self.watchers:
                watcher.everything()
        record = self.record(name)
        up = agent.wip > 0
        if record.up and not up:
            record.left_at = now
        if up and not record.up:
            record.was_away(now)
            # Who was only paused or asked after starts where it stood.
            record.back_at = now if record.since and record.fell else 0
            record.fell = False
            record.since = record.since or now
            record.freed_at = now
        if agent.state == "down" and record.state != "down":
            record.went_down(now)
        record.fell = record.fell or agent.state in LOST
        record.up, record.state = up, agent.state
        if agent.state in LOST or not agent.known:
            for task in self.holds(name):
                self._lose(task, now)
        self._tell_agent(name)

    def _lose(self, task: Task, now: int) -> None:
        """Take a task from an agent that is away; its claim still counts until somebody else's."""
        if task.state == "running":
            self.record(task.agent).worked((now - task.started_at) // 1000, now)
            task.failure, task.error = "crash", f"{task.agent} went away with it"
        task.avoid, task.lost = task.agent, True
        task.ready = 0
        self._requeue(task)

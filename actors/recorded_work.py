"""A log as a scenario: what arrived and how long it took, who worked how fast, who was away, how often who failed."""

import math
from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from msgspec import UNSET, Struct, field
from msgspec.structs import replace

from actors.simulator.scenario import Choice, Job, Player, Scenario, Window
from events.decisions import AssignTask, Decided
from events.envelope import Recorded
from events.observations import Sampled
from events.settings import DistributionSettings, Settings, SettingsAdopted
from events.tasks import (
    TaskCancelled,
    TaskDied,
    TaskDropped,
    TaskEvent,
    TaskFailed,
    TaskFinished,
    TaskMoved,
    TaskSubmitted,
)
from projections.assignments import Task
from projections.dispatch import Dispatch
from projections.ledger import LOST
from projections.timeline import Timeline

SECOND = 1_000_000
# A learned speed rests on so many pseudo-tasks of average speed, too.
_PRIOR = 5
_ROUNDS = 8
# For ever, in seconds: an agent that was never back.
_NEVER = 1e9


class Work(Struct):
    """One task as it was. Times in microseconds since 1970, 0 for never; `took_ms` by its last agent."""

    body: TaskSubmitted
    at: int
    ended: int = 0
    agent: str = ""
    took_ms: int = 0
    gone: bool = False
    failed_by: tuple[str, ...] = ()


class Recording(Struct, frozen=True, kw_only=True):
    """What was recorded: seconds since the first arrival, which was at `began` (microseconds since 1970).

    `ended` is NaN for a task without an effective end. `choices` are the policies that were in force, from when on.
    """

    scenario: Scenario
    ended: tuple[float, ...]
    choices: tuple[tuple[float, Choice], ...]
    began: int
    settings: Settings

    @property
    def counted(self) -> list[bool]:
        """Tell which tasks have an end that can be compared."""
        return [not math.isnan(end) for end in self.ended]

    @property
    def in_force(self) -> Choice:
        """The policy at the end of the log."""
        return self.choices[-1][1]


class Recorder(Struct, dict=True):
    """Takes a log event by event; `recording` is what it comes to."""

    timeline: Timeline = field(default_factory=Timeline)
    settings: Settings = field(default_factory=lambda: Settings(node=""))
    dispatch: Dispatch = field(default_factory=Dispatch)
    works: list[Work] = field(default_factory=list)
    open: dict[str, Work] = field(default_factory=dict)
    chosen: list[tuple[int, DistributionSettings]] = field(default_factory=list)
    away: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    heard: dict[str, int] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    pauses_ms: list[float] = field(default_factory=list)

    def take(self, event: Recorded) -> None:
        """Take one event."""
        body = event.body
        self.timeline.apply(event)
        if isinstance(body, SettingsAdopted):
            self.settings = body.settings
            chosen = replace(body.settings.distribution, canary=UNSET)
            if not self.chosen or self.chosen[-1][1] != chosen:
                self.chosen.append((event.time, chosen))
        before = self._held(body)
        self.dispatch.apply(event, self.timeline.now, self.timeline.epoch, self.settings)
        if isinstance(body, TaskEvent):
            self._task(event, body, before)
        elif not (isinstance(body, Sampled) and not body.agents) and not _delivers(body):
            for name in list(self.dispatch.agents.agents):
                self._look(name, event.time)

    def _held(self, body: object) -> Task | None:
        """Return the task that an attempt's end is about, as it was before it."""
        if isinstance(body, TaskFinished | TaskFailed):
            task = self.dispatch.tasks.get(f"{body.queue}/{body.task}")
            if task and task.is_owner(body.unit, body.claim):
                return task
        return None

    def _task(self, event: Recorded, body: TaskEvent, task: Task | None) -> None:
        key = f"{body.queue}/{body.task}"
        match body:
            case TaskSubmitted() if key in self.dispatch.tasks:
                work = self.open[key] = Work(body, event.time)
                self.works.append(work)
            case TaskFinished() | TaskFailed() if task is not None:
                self._ended(event, body, task)
            case TaskCancelled() | TaskDropped() | TaskMoved() | TaskDied():
                known = self.open.pop(key, None)
                if known:
                    known.gone = True
            case _:
                return

    def _ended(self, event: Recorded, body: TaskFinished | TaskFailed, task: Task) -> None:
        agent, at = body.unit, event.time
        self.ends[agent] = self.ends.get(agent, 0) + 1
        idle_since = max(task.assigned_at, self.heard.get(agent, 0))
        self.pauses_ms.append(max(0.0, (at - idle_since) / 1000 - body.service_ms))
        self.heard[agent] = at
        if isinstance(body, TaskFailed):
            self.errors[agent] = self.errors.get(agent, 0) + 1
            failed = self.open.get(f"{body.queue}/{body.task}")
            if failed:
                failed.failed_by += (agent,)
        else:
            work = self.open.pop(f"{body.queue}/{body.task}", None)
            if work:
                work.ended, work.agent, work.took_ms = at, agent, body.service_ms
        self._look(agent, at)

    def _look(self, name: str, at: int) -> None:
        """Note when an agent goes and comes back; what a paused one holds it still ends."""
        agent = self.dispatch.agents.agents.get(name)
        if agent is None:
            return
        away = agent.wip == 0 and (agent.state in LOST or not self.dispatch.held.get(name))
        if away and name not in self.left:
            if agent.state == "down":
                at = max(at - self._detection_us, self.heard.get(name, 0))
            self.left[name] = at
        elif not away and name in self.left:
            self.away.setdefault(name, []).append((self.left.pop(name), at))

    @property
    def _detection_us(self) -> int:
        return round(detection_s(self.settings) * SECOND)

    def recording(self) -> Recording | None:
        """Return all that can be simulated; None without any finished task."""
        works = sorted((work for work in self.works if not work.gone), key=lambda work: work.at)
        ended = [work for work in works if work.ended]
        players = [name for name in self.dispatch.order if self.ends.get(name)]
        if not ended or not players:
            return None
        began = works[0].at
        pause = median(self.pauses_ms)
        speeds = learned_speeds([(_kind(work), work.agent, work.took_ms + pause) for work in ended])
        sizes = _sizes(works, speeds, pause)
        agents = self.dispatch.agents.agents
        first = max([at for at, _ in self.chosen if at <= began], default=0)
        return Recording(
            scenario=Scenario(
                jobs=tuple(
                    Job(
                        arrival=(work.at - began) / SECOND,
                        size=max(1e-6, size),
                        kind=work.body.kind,
                        priority=work.body.priority,
                        complexity=work.body.complexity,
                        queue=work.body.queue,
                        failed_by=work.failed_by,
                        done_by=work.agent,
                    )
                    for work, size in zip(works, sizes, strict=True)
                ),
                players=tuple(
                    Player(
                        name=name,
                        speed=speeds.get(name, 1.0),
                        error_rate=self.errors.get(name, 0) / self.ends[name],
                        outages=self._outages(name, began),
                        skills=agents[name].settings.skills,
                        priorities=agents[name].settings.priorities,
                        fallback=agents[name].settings.fallback,
                        wip=min(agents[name].settings.wip, agents[name].offered or agents[name].settings.wip),
                    )
                    for name in players
                ),
                choices=(),
                detection_s=detection_s(self.settings),
                max_attempts=max(self.dispatch.queues.values(), default=3),
                limits=self.settings.limits,
            ),
            ended=tuple((work.ended - began) / SECOND if work.ended else math.nan for work in works),
            choices=tuple(
                (max(0.0, (at - began) / SECOND), Choice(policy=given.policy, parameters=given.parameters))
                for at, given in self.chosen
                if at >= first
            ),
            began=began,
            settings=self.settings,
        )

    def _outages(self, name: str, began: int) -> tuple[Window, ...]:
        windows = [*self.away.get(name, ())]
        if name in self.left:
            windows.append((self.left[name], 0))
        found: list[Window] = []
        for start, end in windows:
            if end and end <= began:
                continue
            stop = (end - began) / SECOND if end else _NEVER
            found.append((max(0.0, (start - began) / SECOND), stop))
        return tuple(found)


def recorded(chunks: Iterable[Sequence[Recorded]]) -> Recording | None:
    """Read a log from its beginning; None without any finished task of an agent."""
    recorder = Recorder()
    for chunk in chunks:
        for event in chunk:
            recorder.take(event)
    return recorder.recording()


def detection_s(settings: Settings) -> float:
    """Return how long it takes until an agent that went away is known to be away."""
    limits = settings.limits
    return limits.agent_suspect_s + limits.agent_pings * limits.agent_ping_s


def learned_speeds(rows: Sequence[tuple[str, str, float]]) -> dict[str, float]:
    """Return each agent's speed, 1 on average, from (kind, agent, milliseconds): a task takes kind x 1 / speed.

    Two-way fit of the logarithms by turns; an agent of few tasks stays near the average.
    """
    logs = [(kind, agent, math.log(max(1.0, ms))) for kind, agent, ms in rows]
    slow: dict[str, float] = {agent: 0.0 for _, agent, _ in logs}
    for _ in range(_ROUNDS):
        kinds = _means((kind, value - slow[agent]) for kind, agent, value in logs)
        slow = _means(((agent, value - kinds[kind]) for kind, agent, value in logs), _PRIOR)
        middle = sum(slow[agent] for _, agent, _ in logs) / len(logs)
        slow = {agent: value - middle for agent, value in slow.items()}
    return {agent: math.exp(-value) for agent, value in slow.items()}


def _means(pairs: Iterator[tuple[str, float]], prior: int = 0) -> dict[str, float]:
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    for name, value in pairs:
        sums[name] = sums.get(name, 0.0) + value
        counts[name] = counts.get(name, 0) + 1
    return {name: total / (counts[name] + prior) for name, total in sums.items()}


def _sizes(works: Sequence[Work], speeds: dict[str, float], pause_ms: float) -> list[float]:
    """Return seconds of work at speed 1: as measured, else the mean of the kind, else of all."""
    sizes = [
        (work.took_ms + pause_ms) / 1000 * speeds.get(work.agent, 1.0) if work.ended else math.nan
        for work in works
    ]
    known = [(_kind(work), size) for work, size in zip(works, sizes, strict=True) if work.ended]
    kinds = _means(iter(known))
    every = sum(size for _, size in known) / len(known)
    return [
        kinds.get(_kind(work), every) if math.isnan(size) else size
        for work, size in zip(works, sizes, strict=True)
    ]


def _kind(work: Work) -> str:
    return f"{work.body.queue}/{work.body.kind}"


def _delivers(body: object) -> bool:
    return isinstance(body, Decided) and isinstance(body.action, AssignTask)

"""The balancer with a log: the Balance elf itself decides, and everything that happens stands in an ordinary log."""

from collections import deque
from collections.abc import Iterator

from actors.elves import Policy
from actors.elves.balance_elf import BalanceElf, BalanceState
from actors.elves.decider import Decider
from actors.elves.deliberation import Mind, decision_id, digest_of, due_of, new_mind
from actors.policies import POLICIES
from actors.simulator.engine import QUEUE, Placed
from actors.simulator.lean import NODE, settings_of
from actors.simulator.players import SECOND, Given
from actors.simulator.scenario import Choice, Job, Scenario
from actors.snapshots import pure_zone
from actors.version import version
from events.agents import AgentJoined, AgentState
from events.codec import encode
from events.decisions import AssignTask, Decided, GiveUpTask, MarkAgent
from events.envelope import Recorded
from events.event import Event
from events.log import envelope
from events.observations import (
    DeciderResumed,
    LeaseTaken,
    NodeStarted,
    NodeStopped,
    NodeStopping,
    Sampled,
)
from events.settings import SettingsAdopted
from events.subjects import subject_of
from events.tasks import TaskDied, TaskFailed, TaskFinished, TaskStarted, TaskSubmitted

_SOURCE = f"node.{NODE}"
# Who says that a simulated agent is away or back: no elf of a node, so replay does not ask it again.
DETECTOR = "simulator"


class ScribeBalancer:
    """See `engine.Balancer`. `events` is the log."""

    def __init__(self, scenario: Scenario, choice: Choice) -> None:
        self.decisions = 0
        self.events: list[Recorded] = []
        self._placed: deque[Placed] = deque()
        self._gave_up: set[str] = set()
        self._policy: Policy[BalanceState] = BalanceElf()
        self._mind: Mind[BalanceState] = new_mind(self._policy)
        self._decider = Decider(self._policy, self._mind)
        self._epoch = self._decider.epoch = 1
        self._marks = 0
        self._tick_us, self._ticked = round(scenario.tick_s * SECOND), scenario.begin
        self._attempts: dict[str, int] = {}
        settings = settings_of(scenario, choice)
        self._digest = digest_of(settings)
        for body in (
            LeaseTaken(holder=NODE),
            NodeStarted(
                node=NODE,
                release=version(),
                pure_zone=pure_zone(),
                pid=0,
                boot="simulated",
                python="simulated",
            ),
            SettingsAdopted(origin="file", digest=self._digest, settings=settings),
        ):
            self._say(body, _SOURCE, scenario.begin)

    def submit(self, number: int, job: Job, now: int) -> str:
        """See `Balancer.submit`."""
        queue = job.queue or QUEUE
        body = TaskSubmitted(
            task=f"t{number}", queue=queue, kind=job.kind, priority=job.priority, complexity=job.complexity
        )
        self._pass(now)
        self._say(body, _SOURCE, now)
        return f"{queue}/t{number}"

    def joined(self, name: str, now: int) -> None:
        """See `Balancer.joined`."""
        self._tick(now)
        known = self._mind.own.dispatch.agents.agents[name]
        self._say(
            AgentJoined(
                agent=name,
                run=f"r{len(self.events)}",
                pid=0,
                host=NODE,
                release=version(),
                wip=known.settings.wip,
            ),
            f"agent.{name}",
            now,
        )
        if known.state == "down":
            self._mark(name, "alive", "back", now)

    def gone(self, name: str, now: int) -> None:
        """See `Balancer.gone`."""
        self._mark(name, "down", "away", now)

    def claim(self, given: Given, agent: str, now: int) -> int:
        """See `Balancer.claim`."""
        self._tick(now)
        attempt = self._attempts[given.key] = self._attempts.get(given.key, 0) + 1
        body = TaskStarted(
            task=_task(given),
            queue=_queue(given),
            unit=agent,
            generation=1,
            pid=0,
            attempt=attempt,
            nonce=f"n{len(self.events)}",
            lease=given.lease,
        )
        position = self._say(body, f"agent.{agent}", now)
        task = self._mind.own.dispatch.tasks.get(given.key)
        return position if task is not None and task.claim == position else 0

    def finish(self, given: Given, agent: str, service_ms: int, now: int) -> bool:
        """See `Balancer.finish`."""
        self._tick(now)
        counts = self._mind.own.dispatch.counts
        before = counts.get("accepted", 0)
        body = TaskFinished(
            task=_task(given),
            queue=_queue(given),
            unit=agent,
            generation=1,
            attempt=self._attempts[given.key],
            claim=given.claim,
            service_ms=service_ms,
        )
        self._say(body, f"agent.{agent}", now)
        return counts.get("accepted", 0) > before

    def fail(self, given: Given, agent: str, service_ms: int, now: int) -> bool:
        """See `Balancer.fail`."""
        self._tick(now)
        body = TaskFailed(
            task=_task(given),
            queue=_queue(given),
            unit=agent,
            generation=1,
            attempt=self._attempts[given.key],
            claim=given.claim,
            kind="error",
            error="failed by chance",
            service_ms=service_ms,
        )
        self._say(body, f"agent.{agent}", now)
        return given.key in self._gave_up

    def place(self, now: int) -> Iterator[Placed]:
        """See `Balancer.place`."""
        self._tick(now)
        while self._placed:
            yield self._placed.popleft()

    def wakes(self, now: int) -> int:
        """See `Balancer.wakes`."""
        return due_of(self._policy, self._mind)

    def close(self, now: int) -> None:
        """End the log in order: the other elves were away all the time."""
        self._say(NodeStopping(node=NODE, reason="the simulation is over"), _SOURCE, now)
        for policy in POLICIES:
            if policy.name != self._policy.name:
                body = DeciderResumed(elf=policy.name, after=self._epoch, error="not part of the simulation")
                self._say(body, _SOURCE, now)
        self._say(NodeStopped(node=NODE, reason="the simulation is over"), _SOURCE, now)

    def _tick(self, now: int) -> None:
        """Let forest time reach this moment: only the node's own events move it."""
        self._pass(now)
        if self._mind.view.timeline.now < now:
            self._say(Sampled(full=False), _SOURCE, now)

    def _pass(self, now: int) -> None:
        """Write the ticks that a node would have written until this moment."""
        while self._tick_us and self._ticked + self._tick_us <= now:
            self._ticked += self._tick_us
            self._say(Sampled(full=False), _SOURCE, self._ticked)

    def _mark(self, name: str, state: AgentState, reason: str, now: int) -> None:
        self._tick(now)
        self._marks += 1
        body = Decided(
            elf=DETECTOR,
            rule="detected",
            target=name,
            action=MarkAgent(state=state),
            reason=reason,
            text=f"{name} is {reason}",
            trigger=len(self.events),
            as_of=len(self.events),
            epoch=self._epoch,
            ordinal=0,
            size=1,
            policy=DETECTOR,
            version="1",
            settings=self._digest,
        )
        self._say(body, _SOURCE, now)

    def _say(self, body: Event, source: str, now: int, id: str = "") -> int:
        """Write an event and what the elf decides on it; return the event's position."""
        first = self._write(body, source, now, id)
        waiting: deque[Recorded] = deque([first])
        while waiting:
            for decided in self._decider.take(waiting.popleft()):
                waiting.append(self._write(decided, _SOURCE, now, decision_id(decided)))
                follows = self._obey(decided)
                if follows is not None:
                    waiting.append(self._write(follows, _SOURCE, now))
        return first.position

    def _write(self, body: Event, source: str, now: int, id: str = "") -> Recorded:
        position = len(self.events) + 1
        made = envelope(id or f"s{position}", now, source, body)
        event = Recorded(position, subject_of(source, body), made.id, now, source, "", "", body, encode(made))
        self.events.append(event)
        return event

    def _obey(self, decided: Decided) -> Event | None:
        """Carry a decision out; return what follows at once."""
        if decided.mode != "act":
            return None
        match decided.action:
            case AssignTask() as given:
                self.decisions += 1
                self._placed.append(Placed(f"{given.queue}/{given.task}", given.agent, given.lease))
            case GiveUpTask() as given_up:
                self.decisions += 1
                self._gave_up.add(f"{given_up.queue}/{given_up.task}")
                return TaskDied(
                    task=given_up.task,
                    queue=given_up.queue,
                    unit="",
                    attempts=given_up.attempts,
                    kind="error",
                    error=given_up.error,
                )
            case _:
                pass
        return None


def _queue(given: Given) -> str:
    return given.key.partition("/")[0]


def _task(given: Given) -> str:
    return given.key.partition("/")[2]

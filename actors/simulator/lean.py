"""The balancer without a log: the fold's own transitions and the policies' own index, nothing written."""

from collections import deque
from collections.abc import Iterator, Sequence

from actors.elves.balance_drafts import policy_of
from actors.elves.distribution import board_of
from actors.simulator.engine import QUEUE, Placed
from actors.simulator.players import SECOND, Given
from actors.simulator.scenario import Choice, Job, Scenario
from events.settings import LEARNING, AgentSettings, DistributionSettings, QueueSettings, Settings
from projections.dispatch import Dispatch

NODE = "simulator"


def settings_of(scenario: Scenario, choice: Choice) -> Settings:
    """Return the settings that a node would adopt for this scenario."""
    names = dict.fromkeys(job.queue or QUEUE for job in scenario.jobs) or {QUEUE: None}
    return Settings(
        node=NODE,
        limits=scenario.limits,
        queues=tuple(
            QueueSettings(name=name, serve="dispatch", max_attempts=scenario.max_attempts) for name in names
        ),
        agents=tuple(
            AgentSettings(
                name=player.name,
                skills=player.skills,
                priorities=player.priorities,
                fallback=player.fallback,
                wip=player.wip,
            )
            for player in scenario.players
        ),
        distribution=chosen(choice),
    )


def chosen(choice: Choice) -> DistributionSettings:
    """Return what a node that is started now would adopt for a choice."""
    return DistributionSettings(policy=choice.policy, parameters=choice.parameters, learning=LEARNING)


class LeanBalancer:
    """See `engine.Balancer`. A simulation of 12,000 tasks takes less than a second.

    `later` are other choices that come into force at a time, in seconds, in order.
    """

    def __init__(
        self, scenario: Scenario, choice: Choice, later: Sequence[tuple[float, Choice]] = ()
    ) -> None:
        self.decisions = 0
        self._later = deque((scenario.begin + round(at * SECOND), then) for at, then in later)
        self.fold = Dispatch()
        settings = settings_of(scenario, choice)
        self.fold.configure(settings, 0)
        self._board = board_of(self.fold, policy_of(self.fold, settings.distribution))
        self._position = 0

    def submit(self, number: int, job: Job, now: int) -> str:
        """See `Balancer.submit`."""
        self._position += 1
        return self.fold.submit(
            job.queue or QUEUE,
            f"t{number}",
            self._position,
            now,
            kind=job.kind,
            priority=job.priority,
            complexity=job.complexity,
        )

    def joined(self, name: str, now: int) -> None:
        """See `Balancer.joined`."""
        self.fold.join(name, now)

    def gone(self, name: str, now: int) -> None:
        """See `Balancer.gone`."""
        self.fold.mark(name, "down", now)

    def claim(self, given: Given, agent: str, now: int) -> int:
        """See `Balancer.claim`."""
        self._position += 1
        good = self.fold.start(given.key, agent, given.lease, self._position, now)
        return self._position if good else 0

    def finish(self, given: Given, agent: str, service_ms: int, now: int) -> bool:
        """See `Balancer.finish`."""
        return self.fold.finish(given.key, agent, given.claim, service_ms, now, learning=LEARNING)

    def fail(self, given: Given, agent: str, service_ms: int, now: int) -> bool:
        """See `Balancer.fail`."""
        if not self.fold.fail(given.key, agent, given.claim, service_ms, now):
            return False
        task = self.fold.tasks.get(given.key)
        if task is None or task.state != "spent":
            return False
        self.decisions += 1
        self.fold.drop(given.key, now)
        return True

    def place(self, now: int) -> Iterator[Placed]:
        """See `Balancer.place`."""
        while self._later and self._later[0][0] <= now:
            self._turn(self._later.popleft()[1])
        pick = self._board.pick(now)
        while pick is not None:
            self.decisions += 1
            lease = self.fold.assign(pick.key, pick.agent, now)
            yield Placed(pick.key, pick.agent, lease)
            pick = self._board.pick(now)

    def _turn(self, choice: Choice) -> None:
        self._board = board_of(self.fold, policy_of(self.fold, chosen(choice)))

    def wakes(self, now: int) -> int:
        """See `Balancer.wakes`."""
        return self._board.wakes(now)

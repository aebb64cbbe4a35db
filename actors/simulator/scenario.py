"""What is simulated: tasks, agents with their speeds and failures, and the policies to compare."""

from msgspec import Struct

from events.settings import Limits

BEGIN = 1_767_225_600_000_000
"""Forest time at which a simulation begins unless told otherwise: 2026-01-01, in microseconds."""

Window = tuple[float, float]
"""From when to when, in seconds since the first arrival."""


class ScenarioError(ValueError):
    """A scenario or a trace cannot be used; one line that says what to try."""

    code = 2


class Job(Struct, frozen=True, kw_only=True, gc=False):
    """One task. `arrival` in seconds since the first one, `size` in seconds of work at speed 1.

    What is known of it from a log happens again: each of `failed_by` fails it as often as named, `done_by` does not.
    """

    arrival: float
    size: float
    kind: str = ""
    priority: str = "middle"
    complexity: int = 0
    queue: str = ""
    failed_by: tuple[str, ...] = ()
    done_by: str = ""


class Player(Struct, frozen=True, kw_only=True):
    """One agent: it works off `speed` seconds of work a second, alone on one task at a time.

    `error_rate` is the share of its finished tasks that fail, `outages` is when it is away: what it was at is lost.
    """

    name: str
    speed: float = 1.0
    error_rate: float = 0.0
    outages: tuple[Window, ...] = ()
    skills: tuple[str, ...] = ()
    priorities: tuple[str, ...] = ()
    fallback: int = 0
    wip: int = 1

    def away(self, horizon: float) -> float:
        """How many seconds of the first `horizon` it is away."""
        return sum(min(end, horizon) - min(start, horizon) for start, end in self.outages)

    def capacity(self, horizon: float) -> float:
        """Seconds of work it can finish well in a second, over the first `horizon` seconds."""
        present = 1.0 - self.away(horizon) / horizon if horizon > 0 else 1.0
        return self.speed * present * (1.0 - self.error_rate)


class Choice(Struct, frozen=True, kw_only=True):
    """A distribution policy and its parameters where they differ from its own."""

    policy: str
    parameters: dict[str, float] = {}


class Scenario(Struct, frozen=True, kw_only=True):
    """Everything a simulation depends on: the same scenario gives the same outcome.

    An agent's outage is known `detection_s` seconds after it began, and a little later by chance: up to
    `jitter_s`. The first `warmup` share of the tasks does not count in the response times; neither do tasks that arrive
    before `judged_from`, nor work until then.
    """

    jobs: tuple[Job, ...]
    players: tuple[Player, ...]
    choices: tuple[Choice, ...]
    seed: int = 1
    detection_s: float = 30.0
    jitter_s: float = 0.0
    max_attempts: int = 1_000
    warmup: float = 0.0
    judged_from: float = 0.0
    limits: Limits = Limits()
    begin: int = BEGIN
    tick_s: float = 0.0

    @property
    def horizon(self) -> float:
        """When the last task arrives."""
        return self.jobs[-1].arrival if self.jobs else 0.0


def rescaled(jobs: list[Job], mean_size: float = 0.0) -> list[Job]:
    """Return the tasks from arrival 0 on, in order, with sizes of this mean (0 leaves them)."""
    ordered = sorted(jobs, key=lambda job: job.arrival)
    if not ordered:
        return []
    first = ordered[0].arrival
    factor = mean_size * len(ordered) / sum(job.size for job in ordered) if mean_size else 1.0
    return [_moved(job, job.arrival - first, job.size * factor) for job in ordered]


def at_horizon(jobs: list[Job], horizon: float) -> list[Job]:
    """Return tasks that start at 0 with all arrivals stretched so that the last one comes at the horizon."""
    last = jobs[-1].arrival
    factor = horizon / last if last > 0 else 0.0
    return [_moved(job, job.arrival * factor, job.size) for job in jobs]


def _moved(job: Job, arrival: float, size: float) -> Job:
    return Job(arrival=arrival, size=size, kind=job.kind, priority=job.priority, complexity=job.complexity)


def ranked(jobs: list[Job], low: int, high: int) -> list[Job]:
    """Return the tasks with complexities from `low` to `high` by rank.

    Ranked is the complexity that they have; where none has one, what the last two of their kind took.
    """
    told = any(job.complexity for job in jobs)
    ranks: list[float] = [job.complexity for job in jobs] if told else _guesses(jobs)
    complexity = [0] * len(jobs)
    for rank, number in enumerate(sorted(range(len(jobs)), key=ranks.__getitem__)):
        complexity[number] = round(low + (high - low) * rank / max(1, len(jobs) - 1))
    return [
        Job(arrival=job.arrival, size=job.size, kind=job.kind, priority=job.priority, complexity=one)
        for job, one in zip(jobs, complexity, strict=True)
    ]


def _guesses(jobs: list[Job]) -> list[float]:
    last: dict[str, list[float]] = {}
    guesses: list[float] = []
    total = 0.0
    for number, job in enumerate(jobs):
        known = last.setdefault(job.kind, [])
        guesses.append(sum(known) / len(known) if known else total / number if number else job.size)
        known.append(job.size)
        del known[:-2]
        total += job.size
    return guesses

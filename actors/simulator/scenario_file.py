"""Reads scenario.toml: everything a simulation needs, or one line that names what is wrong."""

import math
import random
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from actors.elves.distribution import distribution
from actors.simulator.generators import Generator, generate
from actors.simulator.scenario import (
    Choice,
    Job,
    Player,
    Scenario,
    ScenarioError,
    Window,
    at_horizon,
    ranked,
    rescaled,
)
from actors.simulator.traces import Columns, Format, read_trace

FEWEST_ATTEMPTS, MOST_AGENTS, MOST_TASKS = 1, 10_000, 10_000_000


class _Failing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    up_s: float
    down_s: float


class _Agent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    count: int = 1
    speed: float = 1.0
    error_rate: float = 0.0
    outages: list[tuple[float | str, float | str]] | _Failing = []
    skills: tuple[str, ...] = ()
    priorities: tuple[Literal["high", "middle", "low"], ...] = ()
    fallback: int = 0
    wip: int = 1


class _Trace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    file: str
    format: Format | None = None
    columns: Columns = Columns()
    skip: int = 0
    every: int = 1
    limit: int = 0


class _Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str = ""
    parameters: dict[str, float] = {}


class _File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    agent: list[_Agent] = []
    trace: _Trace | None = None
    generator: Generator | None = None
    policies: list[str] = []
    policy: _Policy = _Policy()
    parameters: dict[str, dict[str, float]] = {}
    seed: int = 1
    load: float = 0.0
    mean_size_s: float = 0.0
    complexity: tuple[int, int] | None = None
    detection_s: float = 30.0
    jitter_s: float = 0.0
    max_attempts: int = 100
    warmup: float = 0.0


def read_scenario(path: Path) -> Scenario:
    """Return what the file describes, its trace read. Raises ScenarioError."""
    try:
        said = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8-sig")), _File)
    except OSError as problem:
        why = (problem.strerror or str(problem)).lower()
        raise ScenarioError(
            f"expected a scenario in {path}, got: {why}; try examples/scenario.toml"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ScenarioError(f"{path}: expected TOML, got: {problem}; try examples/scenario.toml") from None
    except msgspec.ValidationError as problem:
        raise ScenarioError(f"{path}: {_readable(str(problem))}; try docs/simulator.md") from None
    try:
        return _Reader(said, path.absolute().parent).scenario()
    except ScenarioError as problem:
        text = str(problem.args[0])
        raise ScenarioError(text if problem.args[1:] else f"{path}: {text}") from None


def _readable(text: str) -> str:
    """Turn "Expected `float`, got `str` - at `$.agent[0].speed`" into `agent[0].speed: expected float, got str`."""
    what, _, where = text.replace("`", "").partition(" - at ")
    key = where.removeprefix("$").removeprefix(".")
    return f"{key}: {what[:1].lower()}{what[1:]}" if key else f"{what[:1].lower()}{what[1:]}"


class _Reader:
    """Checks what a file says and makes the scenario of it."""

    def __init__(self, said: _File, folder: Path) -> None:
        self._said = said
        self._folder = folder

    def scenario(self) -> Scenario:
        """Return the scenario."""
        said = self._said
        self._check()
        choices = self._choices()
        make, mean = self._work()
        jobs, players = self._fitted(make, mean)
        if said.complexity:
            jobs = ranked(jobs, *said.complexity)
        return Scenario(
            jobs=tuple(jobs),
            players=players,
            choices=choices,
            seed=said.seed,
            detection_s=said.detection_s,
            jitter_s=said.jitter_s,
            max_attempts=said.max_attempts,
            warmup=said.warmup,
        )

    def _check(self) -> None:
        said = self._said
        if not said.agent:
            raise ScenarioError(
                "expected at least one [[agent]], got none; try [[agent]] with a name and a speed"
            )
        if (said.trace is None) == (said.generator is None):
            got = "neither" if said.trace is None else "both"
            raise ScenarioError(f"expected [trace] or [generator], got {got}; try one of them")
        _within("seed", said.seed, 0, 2**63 - 1)
        _within("load", said.load, 0.0, 100.0)
        _within("mean_size_s", said.mean_size_s, 0.0, 1e9)
        _within("detection_s", said.detection_s, 0.0, 1e9)
        _within("jitter_s", said.jitter_s, 0.0, 1e9)
        _within("max_attempts", said.max_attempts, FEWEST_ATTEMPTS, 1_000_000)
        _within("warmup", said.warmup, 0.0, 0.9)
        if said.complexity and not 0 <= said.complexity[0] <= said.complexity[1] <= 100:
            raise ScenarioError(
                f"complexity: expected two numbers from 0 to 100 in order, got {list(said.complexity)};"
                " try [10, 50]"
            )
        for place, agent in enumerate(said.agent):
            _within(f"agent[{place}].speed", agent.speed, 1e-6, 1e6)
            _within(f"agent[{place}].error_rate", agent.error_rate, 0.0, 1.0)
            _within(f"agent[{place}].wip", agent.wip, 1, 1000)
            _within(f"agent[{place}].fallback", agent.fallback, 0, 1000)
            _within(f"agent[{place}].count", agent.count, 1, MOST_AGENTS)
        if said.generator:
            made = said.generator
            _within("generator.tasks", made.tasks, 1, MOST_TASKS)
            _within("generator.kinds", made.kinds, 1, 100_000)
            _within("generator.mean_size_s", made.mean_size_s, 1e-3, 1e9)
            _within("generator.rate", made.rate, 0.0, 1e6)
            _within("generator.cv", made.cv, 0.0, 100.0)
            _within("generator.kind_cv", made.kind_cv, 0.0, 100.0)
            _within("generator.high", made.high, 0.0, 1.0)
            _within("generator.low", made.low, 0.0, 1.0 - made.high)
            if made.profile and (min(made.profile) < 0 or sum(made.profile) <= 0):
                raise ScenarioError(
                    "generator.profile: expected weights of at least 0 that are not all 0, got others;"
                    " try one for each hour of the day"
                )
            if not (made.rate or said.load):
                raise ScenarioError("expected generator.rate or load, got neither; try load = 0.8")

    def _choices(self) -> tuple[Choice, ...]:
        said = self._said
        names = said.policies or [said.policy.name or "pull_best"]
        if said.policies and said.policy.name:
            raise ScenarioError("expected policies or policy.name, got both; try policies alone")
        for name in said.parameters:
            if name not in names:
                raise ScenarioError(
                    f"parameters.{name}: expected one of {', '.join(names)}, got another policy"
                )
        choices = []
        for name in dict.fromkeys(names):
            parameters = {**said.policy.parameters, **said.parameters.get(name, {})}
            try:
                distribution(name, parameters)
            except ValueError as problem:
                raise ScenarioError(f"policy {name}: {problem}") from None
            choices.append(Choice(policy=name, parameters=parameters))
        return tuple(choices)

    def _work(self) -> tuple[Callable[[float], list[Job]], float]:
        """Return what makes the work at a rate (0: as recorded), and its mean size."""
        said = self._said
        if said.generator:
            made = said.generator
            return (lambda rate: rescaled(generate(made, rate or made.rate, said.seed))), made.mean_size_s
        jobs = self._recorded()
        return (lambda _: jobs), sum(job.size for job in jobs) / len(jobs)

    def _recorded(self) -> list[Job]:
        trace = self._said.trace
        assert trace is not None
        _within("trace.skip", trace.skip, 0, MOST_TASKS)
        _within("trace.every", trace.every, 1, MOST_TASKS)
        _within("trace.limit", trace.limit, 0, MOST_TASKS)
        try:
            read = read_trace(self._folder / trace.file, trace.format, trace.columns)
        except ScenarioError as problem:
            raise ScenarioError(str(problem), "trace") from None
        read.sort(key=lambda job: job.arrival)
        kept = read[trace.skip :: trace.every][: trace.limit or None]
        if not kept:
            raise ScenarioError(
                f"trace.skip: expected fewer than the {len(read)} tasks there are, got {trace.skip}"
            )
        jobs = rescaled(kept, self._said.mean_size_s)
        if sum(job.size for job in jobs) <= 0:
            raise ScenarioError(
                "expected tasks with a size, got none above 0; try another trace.columns.size"
            )
        return jobs

    def _fitted(
        self, make: Callable[[float], list[Job]], mean: float
    ) -> tuple[list[Job], tuple[Player, ...]]:
        """Fit arrivals to the load. Capacity depends on outages, those on the horizon, that on the capacity."""
        load = self._said.load
        if not load:
            jobs = make(0.0)
            return jobs, self._players(jobs[-1].arrival)
        capacity = sum(agent.speed * agent.count for agent in self._said.agent)
        jobs = make(load * capacity / mean)
        work = sum(job.size for job in jobs)
        for _ in range(3):
            horizon = work / (load * capacity)
            players = self._players(horizon)
            capacity = sum(player.capacity(horizon) for player in players)
            if capacity <= 0:
                raise ScenarioError("load: expected agents that can finish work, got none; try fewer outages")
        # A daily profile stays where it is: the rate changes, not the clock.
        profiled = self._said.generator is not None and self._said.generator.profile
        jobs = make(load * capacity / mean) if profiled else at_horizon(jobs, work / (load * capacity))
        return jobs, self._players(jobs[-1].arrival)

    def _players(self, horizon: float) -> tuple[Player, ...]:
        players: list[Player] = []
        chance = random.Random(self._said.seed)
        for place, agent in enumerate(self._said.agent):
            for number in range(agent.count):
                name = agent.name if agent.count == 1 else f"{agent.name}{number + 1}"
                if any(player.name == name for player in players):
                    raise ScenarioError(
                        f"agent[{place}].name: expected another name for each agent, got {name!r} twice"
                    )
                players.append(
                    Player(
                        name=name,
                        speed=agent.speed,
                        error_rate=agent.error_rate,
                        outages=_windows(agent.outages, horizon, chance, f"agent[{place}].outages"),
                        skills=agent.skills,
                        priorities=agent.priorities,
                        fallback=agent.fallback,
                        wip=agent.wip,
                    )
                )
        return tuple(players)


def _windows(
    said: Sequence[tuple[float | str, float | str]] | _Failing,
    horizon: float,
    chance: random.Random,
    key: str,
) -> tuple[Window, ...]:
    windows: list[Window] = []
    if isinstance(said, _Failing):
        _within(f"{key}.up_s", said.up_s, 1e-3, 1e12)
        _within(f"{key}.down_s", said.down_s, 1e-3, 1e12)
        now = 0.0
        while True:
            now += chance.expovariate(1 / said.up_s)
            if now >= horizon:
                return tuple(windows)
            end = now + chance.expovariate(1 / said.down_s)
            windows.append((now, end))
            now = end
    for start, end in sorted((_moment(a, horizon, key), _moment(b, horizon, key)) for a, b in said):
        if not (windows[-1][1] if windows else 0.0) <= start < end and horizon > 0:
            raise ScenarioError(
                f'{key}: expected windows one after the other, got others; try [["30%", "50%"]]'
            )
        windows.append((start, end))
    return tuple(windows)


def _moment(said: float | str, horizon: float, key: str) -> float:
    if isinstance(said, str):
        try:
            value = float(said.removesuffix("%")) / 100 * horizon
        except ValueError:
            value = math.nan
        if not said.endswith("%") or not math.isfinite(value):
            raise ScenarioError(f'{key}: expected seconds or a share like "30%", got {said!r}')
        return value
    if not math.isfinite(said):
        raise ScenarioError(f'{key}: expected seconds or a share like "30%", got {said}')
    return said


def _within(key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ScenarioError(f"{key}: expected a number from {low:g} to {high:g}, got {value:g}")

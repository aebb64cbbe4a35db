"""What a simulation shows: response times, how evenly agents worked, what was left over."""

import math
from collections.abc import Sequence

from msgspec import Struct

from actors.simulator.engine import Tally
from actors.simulator.scenario import Choice, Scenario


class AgentResult(Struct, frozen=True, kw_only=True):
    """One agent: tasks done, share of its time up that it was busy, share of all work, both in percent."""

    name: str
    done: int
    utilisation: float
    share: float


class Result(Struct, frozen=True, kw_only=True):
    """One policy. Times in seconds from submission to end; `spread` is max - min of utilisation in points.

    `share` is the largest share of the work that one agent did, in percent. `failed` attempts were repeated, `lost`
    tasks were taken from an agent that went away, `given_up` ones had no attempt left, `unfinished` ones never ended.
    """

    policy: str
    parameters: dict[str, float]
    mean: float
    p50: float
    p95: float
    p99: float
    spread: float
    share: float
    done: int
    unfinished: int
    given_up: int
    failed: int
    lost: int
    decisions: int
    seconds: float
    agents: tuple[AgentResult, ...]


class Outcome(Struct, frozen=True, kw_only=True):
    """What a scenario gives. `offered` is arriving work in percent of what the agents can do."""

    tasks: int
    horizon_s: float
    offered: float
    results: tuple[Result, ...]


def outcome_of(scenario: Scenario, results: Sequence[Result]) -> Outcome:
    """Put the results of all policies together."""
    horizon = scenario.horizon
    capacity = sum(player.capacity(horizon) for player in scenario.players)
    work = sum(job.size for job in scenario.jobs)
    offered = 100 * work / (capacity * horizon) if capacity > 0 and horizon > 0 else math.inf
    return Outcome(
        tasks=len(scenario.jobs),
        horizon_s=round(horizon, 3),
        offered=round(offered, 1) if math.isfinite(offered) else 0.0,
        results=tuple(results),
    )


def responses_of(scenario: Scenario, tally: Tally, counted: Sequence[bool] | None = None) -> list[float]:
    """Return the response time of every task, NaN for one that never ended or does not count."""
    skipped, since = int(len(scenario.jobs) * scenario.warmup), scenario.judged_from
    return [
        end - job.arrival
        if number >= skipped and job.arrival >= since and (counted is None or counted[number])
        else math.nan
        for number, (job, end) in enumerate(zip(scenario.jobs, tally.ends, strict=True))
    ]


def result_of(
    scenario: Scenario, choice: Choice, tally: Tally, seconds: float, counted: Sequence[bool] | None = None
) -> Result:
    """Judge one run. `seconds` is how long it took us, `counted` says which tasks' response times count."""
    responses = sorted(time for time in responses_of(scenario, tally, counted) if not math.isnan(time))
    horizon = scenario.horizon
    agents = _agents(scenario, tally, horizon)
    used = [agent.utilisation for agent in agents]
    unfinished = sum(map(math.isnan, tally.ends)) - tally.given_up
    return Result(
        policy=choice.policy,
        parameters=choice.parameters,
        mean=round(sum(responses) / len(responses), 3) if responses else 0.0,
        p50=round(quantile(responses, 0.5), 3),
        p95=round(quantile(responses, 0.95), 3),
        p99=round(quantile(responses, 0.99), 3),
        spread=round(max(used) - min(used), 2),
        share=max(agent.share for agent in agents),
        done=sum(tally.done),
        unfinished=unfinished,
        given_up=tally.given_up,
        failed=tally.failed,
        lost=tally.lost,
        decisions=tally.decisions,
        seconds=round(seconds, 3),
        agents=agents,
    )


def _agents(scenario: Scenario, tally: Tally, horizon: float) -> tuple[AgentResult, ...]:
    rows = []
    players = scenario.players
    worked = sum(busy * player.speed for busy, player in zip(tally.busy, players, strict=True))
    for player, busy, done in zip(players, tally.busy, tally.done, strict=True):
        up = horizon - scenario.judged_from - player.away(horizon) + player.away(scenario.judged_from)
        rows.append(
            AgentResult(
                name=player.name,
                done=done,
                utilisation=round(100 * busy / up, 2) if up > 0 else 0.0,
                share=round(100 * busy * player.speed / worked, 2) if worked else 0.0,
            )
        )
    return tuple(rows)


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return a quantile of ordered values by linear interpolation, 0 of none."""
    if not ordered:
        return 0.0
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)

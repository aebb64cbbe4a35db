"""Work whose kinds say little: sizes within a kind differ widely, and nobody may be favoured or left out for that."""

import pytest
from msgspec.structs import replace

from actors.simulator import Choice, Player, Scenario
from actors.simulator.engine import Engine
from actors.simulator.generators import Generator, generate
from actors.simulator.lean import LeanBalancer
from actors.simulator.report import result_of

SPEEDS = {"a": 1.4, "b": 1.0, "c": 0.6, "d": 0.8, "e": 1.2}
BEST, FIFO = Choice(policy="pull_best"), Choice(policy="pull_fifo")


def wide(kinds: int, seed: int = 11) -> Scenario:
    """Five unequal agents that are busy for 60 % of their time, with sizes of a coefficient of variation of 3."""
    made = Generator(tasks=3000, size="lognormal", cv=3.0, kinds=kinds)
    work = generate(made, 0.6 * sum(SPEEDS.values()) / 600, seed)
    players = tuple(Player(name=name, speed=speed) for name, speed in SPEEDS.items())
    return Scenario(jobs=tuple(work), players=players, choices=(), warmup=0.05)


@pytest.mark.parametrize("kinds", [1, 3])
def test_speeds_are_learnt_as_they_are_and_load_stays_even(kinds: int) -> None:
    scenario = wide(kinds)
    balancer = LeanBalancer(scenario, BEST)
    result = result_of(scenario, BEST, Engine(scenario, balancer).run(), 0.0)
    assert result.spread <= 20.0
    learnt = {name: balancer.fold.record(name).speed for name in SPEEDS}
    assert learnt["a"] / learnt["c"] == pytest.approx(SPEEDS["a"] / SPEEDS["c"], rel=0.35)
    assert all(0.4 < speed < 2.0 for speed in learnt.values()), learnt


def test_one_kind_of_everything_is_no_reason_to_leave_an_agent_out_that_fails_now_and_then() -> None:
    scenario = wide(1)
    hours = range(0, round(scenario.horizon), 18_000)
    weak = replace(scenario.players[2], outages=tuple((at + 14_400.0, at + 18_000.0) for at in hours))
    scenario = replace(scenario, players=(*scenario.players[:2], weak, *scenario.players[3:]))
    results = {}
    for choice in (BEST, FIFO):
        results[choice.policy] = result_of(
            scenario, choice, Engine(scenario, LeanBalancer(scenario, choice)).run(), 0.0
        )
    best, fifo = results["pull_best"], results["pull_fifo"]
    assert best.mean <= 1.1 * fifo.mean
    assert best.spread <= 20.0

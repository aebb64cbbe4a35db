"""The simulator agrees with the theory of queues."""

import math

import pytest

from actors.simulator import Choice, Player, Scenario, simulate_one
from actors.simulator.generators import Generator, generate
from actors.simulator.scenario import at_horizon, rescaled

FIFO = Choice(policy="pull_fifo")
TASKS = 10_000


def waiting(servers: int, load: float) -> float:
    """Erlang C: the mean wait in M/M/c in units of the mean service time."""
    offered = servers * load
    term = math.exp(servers * math.log(offered) - math.lgamma(servers + 1)) / (1 - load)
    below = sum(math.exp(n * math.log(offered) - math.lgamma(n + 1)) for n in range(servers))
    return term / (below + term) / (servers * (1 - load))


def simulated(servers: int, load: float, seed: int, size: str = "exponential") -> float:
    """The mean response in units of the mean service time; load and mean size are exactly what was asked for."""
    made = Generator(tasks=TASKS, size=size, mean_size_s=100.0)  # type: ignore[arg-type]
    jobs = at_horizon(rescaled(generate(made, 1.0, seed), 100.0), TASKS * 100.0 / (load * servers))
    players = tuple(Player(name=f"a{number}") for number in range(servers))
    played = Scenario(jobs=tuple(jobs), players=players, choices=(FIFO,), warmup=0.05)
    return simulate_one(played, FIFO).mean / 100.0


@pytest.mark.slow
@pytest.mark.parametrize(("servers", "load"), [(1, 0.5), (3, 0.7), (20, 0.8)])
def test_exponential_queues_agree_with_erlang_c(servers: int, load: float) -> None:
    found = [simulated(servers, load, seed) for seed in range(2)]
    assert sum(found) / len(found) == pytest.approx(1 + waiting(servers, load), rel=0.05)


@pytest.mark.slow
def test_fixed_sizes_wait_half_as_long() -> None:
    found = [simulated(1, 0.6, seed, "fixed") for seed in range(2)]
    assert sum(found) / len(found) == pytest.approx(1 + waiting(1, 0.6) / 2, rel=0.05)


def test_an_empty_system_only_works() -> None:
    jobs = tuple(generate(Generator(tasks=50, arrivals="steady", size="fixed", mean_size_s=10.0), 0.01, 1))
    played = Scenario(jobs=jobs, players=(Player(name="a", speed=2.0),), choices=(FIFO,))
    result = simulate_one(played, FIFO)
    assert (result.mean, result.p50, result.p99) == (5.0, 5.0, 5.0)
    assert result.agents[0].utilisation == pytest.approx(5.0, abs=0.2)

"""What happens to tasks and agents in virtual time."""

import pytest

from actors.simulator import Choice, Job, Player, Scenario, simulate, simulate_one
from actors.simulator.generators import Generator, generate
from actors.simulator.scenario import ranked

FIFO = Choice(policy="pull_fifo")
EVERY = ("pull_best", "pull_fair", "pull_fifo", "jsq", "seed_repaired", "seed")


def jobs(*given: tuple[float, float]) -> tuple[Job, ...]:
    return tuple(Job(arrival=arrival, size=size) for arrival, size in given)


def mixed(tasks: int = 400, seed: int = 3) -> Scenario:
    """Three unequal agents with the failures of the seed."""
    made = Generator(tasks=tasks, size="lognormal", cv=1.0, kinds=12, kind_cv=1.5, high=0.2, low=0.2)
    work = ranked(generate(made, 0.8 * 2.5 / 600, seed), 10, 50)
    horizon = work[-1].arrival
    return Scenario(
        jobs=tuple(work),
        players=(
            Player(name="CC01", speed=1.4),
            Player(name="CC02", outages=((0.3 * horizon, 0.5 * horizon),)),
            Player(name="CC03", speed=0.6, error_rate=0.2, outages=((1000.0, 1010.0), (9000.0, 20000.0))),
        ),
        choices=tuple(Choice(policy=name) for name in EVERY),
        seed=seed,
    )


def test_two_tasks_on_one_agent_run_one_after_the_other() -> None:
    played = Scenario(jobs=jobs((0, 10), (4, 10)), players=(Player(name="a", speed=2.0),), choices=(FIFO,))
    result = simulate_one(played, FIFO)
    assert result.done == 2
    assert result.mean == pytest.approx((5 + 6) / 2)


def test_an_outage_loses_the_progress_and_moves_the_task_when_it_is_known() -> None:
    players = (Player(name="a", outages=((5.0, 1000.0),)), Player(name="b", outages=((0.0, 1.0),)))
    played = Scenario(jobs=jobs((0, 10)), players=players, choices=(FIFO,), detection_s=30.0)
    result = simulate_one(played, FIFO)
    assert (result.done, result.lost) == (1, 1)
    assert result.agents[1].done == 1
    assert result.mean == pytest.approx(5 + 30 + 10)


def test_who_comes_back_before_anybody_noticed_begins_its_task_again() -> None:
    players = (Player(name="a", outages=((5.0, 8.0),)),)
    played = Scenario(jobs=jobs((0, 10)), players=players, choices=(FIFO,), detection_s=30.0)
    result = simulate_one(played, FIFO)
    assert (result.done, result.lost) == (1, 0)
    assert result.mean == pytest.approx(8 + 10)


def test_what_nobody_can_do_stays_unfinished() -> None:
    players = (Player(name="a", skills=("x",)),)
    work = (Job(arrival=0, size=10, kind="y"), Job(arrival=1, size=10, kind="x"))
    result = simulate_one(Scenario(jobs=work, players=players, choices=(FIFO,)), FIFO)
    assert (result.done, result.unfinished, result.given_up) == (1, 1, 0)


def test_errors_are_repeated_until_the_attempts_are_used_up() -> None:
    players = (Player(name="a", error_rate=1.0),)
    played = Scenario(jobs=jobs((0, 10), (1, 10)), players=players, choices=(FIFO,), max_attempts=3)
    result = simulate_one(played, FIFO)
    assert (result.done, result.given_up, result.failed, result.unfinished) == (0, 2, 6, 0)


def test_the_same_scenario_gives_the_same_outcome_and_another_seed_another() -> None:
    def figures(scenario: Scenario) -> list[tuple[object, ...]]:
        return [
            (result.policy, result.mean, result.p99, result.spread, result.decisions)
            for result in simulate(scenario).results
        ]

    assert figures(mixed()) == figures(mixed())
    assert figures(mixed()) != figures(mixed(seed=4))


def test_every_task_ends_under_every_policy() -> None:
    outcome = simulate(mixed())
    assert [result.policy for result in outcome.results] == list(EVERY)
    for result in outcome.results:
        assert (result.done, result.unfinished, result.given_up) == (400, 0, 0), result.policy
        assert result.p50 <= result.p95 <= result.p99
        assert result.decisions >= 400 + result.failed
        assert sum(agent.done for agent in result.agents) == 400
        assert sum(agent.share for agent in result.agents) == pytest.approx(100, abs=0.1)


def test_size_matters_under_load_and_nobody_starves() -> None:
    made = Generator(tasks=3000, size="lognormal", cv=0.5, kinds=30, kind_cv=3.0)
    played = Scenario(
        jobs=tuple(generate(made, 0.85 * 3 / 600, 5)),
        players=tuple(Player(name=f"a{number}") for number in range(3)),
        choices=(),
        warmup=0.05,
    )
    fifo = simulate_one(played, FIFO)
    best = simulate_one(played, Choice(policy="pull_best"))
    assert best.mean < 0.7 * fifo.mean
    assert best.p99 < 1.6 * fifo.p99
    assert best.spread < 20

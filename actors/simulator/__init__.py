"""The simulator: the node's own folds and policies against simulated agents in virtual time."""

import time

from actors.simulator.engine import Engine
from actors.simulator.lean import LeanBalancer
from actors.simulator.report import Outcome, Result, outcome_of, result_of
from actors.simulator.scenario import Choice, Job, Player, Scenario, ScenarioError

__all__ = [
    "Choice",
    "Job",
    "Outcome",
    "Player",
    "Result",
    "Scenario",
    "ScenarioError",
    "simulate",
    "simulate_one",
]


def simulate(scenario: Scenario) -> Outcome:
    """Play a scenario once for each of its policies."""
    return outcome_of(scenario, [simulate_one(scenario, choice) for choice in scenario.choices])


def simulate_one(scenario: Scenario, choice: Choice) -> Result:
    """Play a scenario under one policy. Raises ValueError for a parameter out of range."""
    began = time.perf_counter()
    tally = Engine(scenario, LeanBalancer(scenario, choice)).run()
    return result_of(scenario, choice, tally, time.perf_counter() - began)

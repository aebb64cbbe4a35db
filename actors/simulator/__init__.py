"""The simulator: the node's own folds and policies against simulated agents in virtual time."""

import time
from pathlib import Path

from actors.simulator.engine import Engine
from actors.simulator.lean import LeanBalancer
from actors.simulator.record import refuse_used, write_log
from actors.simulator.report import Outcome, Result, outcome_of, result_of
from actors.simulator.scenario import Choice, Job, Player, Scenario, ScenarioError
from actors.simulator.scribe import ScribeBalancer

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


def simulate(scenario: Scenario, log: Path | None = None) -> Outcome:
    """Play a scenario once for each of its policies; with `log` the data folder of a run is written there.

    Several policies get a folder each, below it. Raises ScenarioError, OSError.
    """
    choices = scenario.choices
    places = [log if log is None or len(choices) == 1 else log / choice.policy for choice in choices]
    for place in places:
        if place is not None:
            refuse_used(place)
    pairs = zip(choices, places, strict=True)
    return outcome_of(scenario, [simulate_one(scenario, choice, place) for choice, place in pairs])


def simulate_one(scenario: Scenario, choice: Choice, log: Path | None = None) -> Result:
    """Play a scenario under one policy. Raises ValueError for a parameter out of range."""
    began = time.perf_counter()
    if log is None:
        tally = Engine(scenario, LeanBalancer(scenario, choice)).run()
    else:
        scribe = ScribeBalancer(scenario, choice)
        tally = Engine(scenario, scribe).run()
        scribe.close(scribe.events[-1].time)
        write_log(scribe.events, log)
    return result_of(scenario, choice, tally, time.perf_counter() - began)

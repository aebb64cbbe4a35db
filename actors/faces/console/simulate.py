"""`elf simulate`: distribution policies on a scenario, in virtual time."""

from pathlib import Path

import msgspec

from actors.faces.console.failure import Exit
from actors.faces.console.output import note, show_json, show_table
from actors.simulator import Outcome, simulate_one
from actors.simulator.record import refuse_used
from actors.simulator.report import outcome_of
from actors.simulator.scenario_file import read_scenario


def simulate(scenario: Path, /, *, json: bool = False, log: Path | None = None) -> int:
    """Play a scenario under each of its policies against simulated agents; docs/simulator.md shows the format.

    Parameters
    ----------
    scenario
        A file like examples/scenario.toml: agents, a trace or a generator, policies.
    json
        Print {"tasks", "horizon_s", "offered", "results": [{"policy", "mean", "p50", "p95", "p99", ...}]}.
    log
        Write events and decisions into this new folder; elf replay, elf sql and elf why read it with --data.
        Several policies get a folder each, below it.
    """
    played = read_scenario(scenario)
    places = {
        choice.policy: log if log is None or len(played.choices) == 1 else log / choice.policy
        for choice in played.choices
    }
    for place in places.values():
        if place is not None:
            refuse_used(place)
    results = [simulate_one(played, choice, places[choice.policy]) for choice in played.choices]
    outcome = outcome_of(played, results)
    if json:
        show_json(msgspec.to_builtins(outcome))
    else:
        _show(outcome)
        for place in places.values():
            if place is not None:
                note(f"the log is in {place}; elf replay --data {place} decides it again")
    return Exit.FINE


def _show(outcome: Outcome) -> None:
    print(
        f"{outcome.tasks:,} tasks in {outcome.horizon_s / 3600:,.1f} h,"
        f" {outcome.offered:.1f} % of what the agents can do; times in seconds from submission to end"
    )
    headings = [
        "policy", "mean", "p50", "p95", "p99", "spread", "largest share",
        "done", "unfinished", "decisions", "failed", "lost", "computed in",
    ]  # fmt: skip
    rows = [
        [
            result.policy,
            result.mean,
            result.p50,
            result.p95,
            result.p99,
            f"{result.spread:.1f} pt",
            f"{result.share:.1f} %",
            result.done,
            result.unfinished + result.given_up,
            result.decisions,
            result.failed,
            result.lost,
            f"{result.seconds:.2f} s",
        ]
        for result in outcome.results
    ]
    show_table(headings, rows, numbers=range(1, len(headings)))

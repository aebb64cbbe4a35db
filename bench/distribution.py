"""Distribution policies on recorded work: `bench/distribution.py PATH_TO_DATA` prints cells and geometric means.

3 and 20 unequal agents at load 0.6, 0.8 and 0.9, without failures and with those of the seed: CC02 away for a fifth of
the time, CC03 up for 4 hours and down for 1 in the mean while one of ten of its tasks fails. The same failures meet
every policy; an outage is known after 30 to 40 seconds. Every figure is relative to `pull_fifo` in the same cell.
"""

import argparse
import json
import math
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from actors.simulator import Choice, Job, Player, Result, Scenario, simulate_one
from actors.simulator.scenario import Window, at_horizon, ranked
from bench.distribution_traces import work

TRACES = ("gentd26", "lcg", "azure_llm")
POLICIES = ("pull_fifo", "pull_fair", "pull_best", "jsq", "seed", "seed_repaired")
LOADS = (0.6, 0.8, 0.9)
FLEETS = {3: (1.4, 1.0, 0.6), 20: (1.4, 1.0, 0.6, *(1.5 - number / 16 for number in range(17)))}
MEAN_S = 600.0
ERROR_RATE = 0.10
WARMUP = 0.05

# Geometric means of the mean (and of p99) relative to central FIFO that the reference simulation gives for the shared
# traces: k3 clean, k3 seed, k20 clean, k20 seed. Its FIFO knows the agents' true speeds and serves the fastest first;
# its pull_best knows the sizes of tasks before they have ended (the delayed row: 50 tasks later).
REFERENCE = {
    "seed": ((1.49, 3.08, 3.80, 4.50), (2.53, 3.38, 12.1, 14.7)),
    "seed_repaired": ((1.04, 0.98, 1.04, 1.05), (1.31, 1.40, 1.40, 1.38)),
    "jsq": ((1.07, 0.98, 1.12, 1.12), (1.38, 1.39, 1.53, 1.53)),
    "pull_fair": ((1.01, 1.02, 1.04, 1.04), (1.00, 1.00, 1.03, 1.03)),
    "pull_best": ((0.46, 0.46, 0.55, 0.55), (1.09, 0.99, 1.35, 1.39)),
    "pull_best, sizes known 50 tasks later": ((0.49, 0.51, 0.57, 0.57), (1.15, 1.05, 1.40, 1.42)),
}
GROUPS = ((3, "clean"), (3, "seed"), (20, "clean"), (20, "seed"))


class Cell(Struct, frozen=True):
    """The mean over all failure plans of one policy on one trace, fleet, scenario and load. Minutes and points."""

    trace: str
    agents: int
    scenario: str
    load: float
    policy: str
    mean: float
    p99: float
    spread: float
    share: float
    unfinished: int


def fleet(agents: int, horizon: float, scenario: str, plan: int) -> tuple[Player, ...]:
    """Return the agents with the outages of one failure plan."""
    outages: dict[int, tuple[Window, ...]] = {}
    if scenario == "seed":
        outages[1] = ((0.30 * horizon, 0.50 * horizon),)
        chance = random.Random(77 + plan)
        windows: list[Window] = []
        now = chance.expovariate(1 / (4 * 3600.0))
        while now < horizon:
            end = now + chance.expovariate(1 / 3600.0)
            windows.append((now, end))
            now = end + chance.expovariate(1 / (4 * 3600.0))
        outages[2] = tuple(windows)
    return tuple(
        Player(
            name=f"CC{number + 1:02}",
            speed=speed,
            error_rate=ERROR_RATE if scenario == "seed" and number == 2 else 0.0,
            outages=outages.get(number, ()),
        )
        for number, speed in enumerate(FLEETS[agents])
    )


def scene(jobs: Sequence[Job], agents: int, scenario: str, load: float, plan: int) -> Scenario:
    """Return a scenario whose work is `load` of what the agents can do with all their failures."""
    demand = len(jobs) * MEAN_S / load
    horizon = demand / sum(FLEETS[agents])
    for _ in range(2):
        players = fleet(agents, horizon, scenario, plan)
        horizon = demand / sum(player.capacity(horizon) for player in players)
    return Scenario(
        jobs=tuple(at_horizon(list(jobs), horizon)),
        players=fleet(agents, horizon, scenario, plan),
        choices=(),
        seed=1000 + plan,
        detection_s=30.0,
        jitter_s=10.0,
        warmup=WARMUP,
    )


def cells(
    traces: dict[str, list[Job]],
    choices: Sequence[Choice],
    plans: int,
    fleets: Sequence[int] = (3, 20),
    scenarios: Sequence[str] = ("clean", "seed"),
) -> list[Cell]:
    """Play everything."""
    found = []
    for name, jobs in traces.items():
        for agents in fleets:
            for scenario in scenarios:
                for load in LOADS:
                    scenes = [
                        scene(jobs, agents, scenario, load, plan)
                        for plan in range(plans if scenario == "seed" else 1)
                    ]
                    for choice in choices:
                        results = [simulate_one(one, choice) for one in scenes]
                        found.append(_cell(name, agents, scenario, load, choice.policy, results))
                        print(_line(found), file=sys.stderr, flush=True)
    return found


def _cell(
    trace: str, agents: int, scenario: str, load: float, policy: str, results: Sequence[Result]
) -> Cell:
    def mean(name: str) -> float:
        return float(sum(getattr(result, name) for result in results) / len(results))

    return Cell(
        trace,
        agents,
        scenario,
        load,
        policy,
        mean("mean") / 60,
        mean("p99") / 60,
        mean("spread"),
        mean("share"),
        sum(result.unfinished + result.given_up for result in results),
    )


def _line(found: Sequence[Cell]) -> str:
    cell = found[-1]
    base = base_of(found, cell)
    return (
        f"{cell.trace:10} k={cell.agents:2} {cell.scenario:5} {cell.load:.1f} {cell.policy:14}"
        f" mean {cell.mean:8.1f} ({cell.mean / base.mean:5.2f})  p99 {cell.p99:8.1f} ({cell.p99 / base.p99:5.2f})"
        f"  spread {cell.spread:5.1f}  share {cell.share:5.1f} %"
        + (f"  UNFINISHED {cell.unfinished}" if cell.unfinished else "")
    )


def base_of(found: Sequence[Cell], cell: Cell) -> Cell:
    """Return the cell of `pull_fifo` beside this one."""
    place = (cell.trace, cell.agents, cell.scenario, cell.load)
    return next(
        one
        for one in found
        if (one.trace, one.agents, one.scenario, one.load) == place and one.policy == "pull_fifo"
    )


def ratios(found: Sequence[Cell], policy: str, agents: int, scenario: str, what: str) -> list[float]:
    """Return a policy's figures relative to `pull_fifo` in every cell of a fleet and scenario."""
    return [
        getattr(cell, what) / getattr(base_of(found, cell), what)
        for cell in found
        if (cell.policy, cell.agents, cell.scenario) == (policy, agents, scenario)
    ]


def geometric(values: Sequence[float]) -> float:
    """Return the geometric mean."""
    return math.exp(sum(map(math.log, values)) / len(values))


def summary(found: Sequence[Cell]) -> str:
    """Return the tables for RESULTS.md."""
    heads = [f"k{agents} {scenario}" for agents, scenario in GROUPS]
    lines = [
        "Geometric means relative to `pull_fifo` (in brackets the reference), and the worst cell:",
        "",
        "| policy | figure | " + " | ".join(heads) + " | worst cell |",
        "| --- | --- |" + " --- |" * (len(heads) + 1),
    ]
    for policy in dict.fromkeys(cell.policy for cell in found):
        for place, what in enumerate(("mean", "p99")):
            row, every = [], []
            for number, (agents, scenario) in enumerate(GROUPS):
                values = ratios(found, policy, agents, scenario, what)
                every += values
                known = REFERENCE.get(policy)
                beside = f" ({known[place][number]:.2f})" if known else ""
                row.append((f"{geometric(values):.2f}" if values else "-") + beside)
            lines.append(f"| {policy} | {what} | {' | '.join(row)} | {max(every):.2f} |")
    lines += [
        "",
        "| policy | largest spread, points | largest share of the work, k3; k20 | against `seed`, k3 seed; k20 seed |",
    ]
    lines.append("| --- | --- | --- | --- |")
    for policy in dict.fromkeys(cell.policy for cell in found):
        mine = [cell for cell in found if cell.policy == policy]
        shares = [f"{max((c.share for c in mine if c.agents == k), default=0):.0f} %" for k in (3, 20)]
        better = [_better(found, policy, agents) for agents in (3, 20)]
        lines.append(
            f"| {policy} | {max(cell.spread for cell in mine):.1f} | {'; '.join(shares)} | {'; '.join(better)} |"
        )
    return "\n".join(lines)


def _better(found: Sequence[Cell], policy: str, agents: int) -> str:
    seed = ratios(found, "seed", agents, "seed", "mean")
    mine = ratios(found, policy, agents, "seed", "mean")
    return f"{geometric(seed) / geometric(mine):.2f} x" if seed and mine else "-"


def main() -> None:
    """Read the arguments, play, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with gentd26, lcg and azure_llm")
    parser.add_argument("--traces", default=",".join(TRACES))
    parser.add_argument("--policies", default=",".join(POLICIES))
    parser.add_argument("--agents", default="3,20")
    parser.add_argument("--scenarios", default="clean,seed")
    parser.add_argument("--plans", type=int, default=5, help="failure plans")
    parser.add_argument("--part", choices=("middle", "first", "second"), default="middle")
    parser.add_argument("--set", action="append", default=[], help="pull_best's parameter=value")
    parser.add_argument("--json", type=Path, help="write all cells there")
    given = parser.parse_args()
    names = list(dict.fromkeys(["pull_fifo", *given.policies.split(",")]))
    own = {name: float(value) for name, _, value in (text.partition("=") for text in given.set)}
    choices = [Choice(policy=name, parameters=own if name == "pull_best" else {}) for name in names]
    traces: dict[str, list[Job]] = {}
    for name in given.traces.split(","):
        jobs = work(given.data, name, given.part)
        # The seed asks for a complexity and does not say what it is: 10 to 50 by rank of the estimated size.
        traces[name] = ranked(jobs, 10, 50)
    fleets = [int(text) for text in given.agents.split(",")]
    found = cells(traces, choices, given.plans, fleets, given.scenarios.split(","))
    print(summary(found))
    if given.json:
        given.json.write_text(
            json.dumps([{f: getattr(cell, f) for f in cell.__struct_fields__} for cell in found])
        )


if __name__ == "__main__":
    main()

"""Tuning on recorded work: `bench/tuning.py PATH_TO_DATA` searches on the first halves and judges on the second ones.

3 unequal agents, and 20, at load 0.8, clean and with the failures of the seed: see bench/distribution.py. `--judge`
has one candidate judged without a search, to see an over-tuned one refused.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from msgspec.structs import replace

from actors.simulator import Choice, Scenario
from actors.simulator.scenario import ranked
from actors.tuning import Guards, Verdict, confirm, search
from bench.distribution import scene
from bench.distribution_traces import work

TRACES = ("gentd26", "lcg", "azure_llm")


def scenes(
    data: Path, part: str, tasks: int, fleets: tuple[int, ...], kinds: tuple[str, ...]
) -> list[Scenario]:
    """Return every trace's part for every fleet, clean and with failures."""
    found = []
    for name in TRACES:
        jobs = ranked(work(data, name, part)[:tasks], 10, 50)
        for agents in fleets:
            for kind in kinds:
                found.append(replace(scene(jobs, agents, kind, 0.8, 0), warmup=0.05))
    return found


def show(verdict: Verdict, seconds: float) -> None:
    """Print what was found."""
    for what, it in (("in force", verdict.current), ("candidate", verdict.candidate)):
        print(
            f"{what:9}  mean {it.mean:.2f} x FIFO  p99 {it.p99:.2f} x  spread {it.spread:.1f}  share {it.share:.1f} %"
        )
    print(
        f"{verdict.choice}: saves {verdict.gain:.1%} ({verdict.low:.1%} to {verdict.high:.1%}), {verdict.tasks:,}"
        f" tasks, {verdict.windows} windows, {seconds:.0f} s: "
        + ("; ".join(f"refused, {text}" for text in verdict.objections) or "accepted")
    )


def main() -> None:
    """Read the arguments, search, judge, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with gentd26, lcg and azure_llm")
    parser.add_argument("--tasks", type=int, default=4000, help="of each trace")
    parser.add_argument("--count", type=int, default=27, help="candidates")
    parser.add_argument("--agents", default="3,20")
    parser.add_argument("--scenarios", default="clean,seed")
    parser.add_argument("--judge", action="append", default=[], help="pull_best's parameter=value")
    parser.add_argument(
        "--p99", type=float, default=1.45, help="the p99 that is allowed, in times that of pull_fifo"
    )
    given = parser.parse_args()
    fleets = tuple(int(text) for text in given.agents.split(","))
    kinds = tuple(given.scenarios.split(","))
    in_force = Choice(policy="pull_fifo")
    guards = Guards(share=100.0, p99=given.p99)
    began = time.perf_counter()
    if given.judge:
        own = {name: float(value) for name, _, value in (text.partition("=") for text in given.judge)}
        best = Choice(policy="pull_best", parameters=own)
        print("on the first halves:")
        show(confirm(scenes(given.data, "first", given.tasks, fleets, kinds), best, in_force, guards), 0)
    else:
        best = search(
            scenes(given.data, "first", given.tasks, fleets, kinds), in_force, given.count, guards,
            said=lambda text: print(text, file=sys.stderr, flush=True),
        )  # fmt: skip
    print("on the second halves:")
    verdict = confirm(scenes(given.data, "second", given.tasks, fleets, kinds), best, in_force, guards)
    show(verdict, time.perf_counter() - began)


if __name__ == "__main__":
    main()

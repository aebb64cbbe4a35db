"""Run seeds of the simulation.

python -m tests.simulation.run --seeds 200 --start 0
"""

import argparse
import logging
import os
import sys
import time
from collections import Counter
from multiprocessing import get_context

from tests.simulation.storm import Result, run


def quiet_run(seed: int) -> Result:
    """Run one seed; failures of actors are part of it and need no words."""
    logging.disable(logging.CRITICAL)
    return run(seed)


def show(result: Result) -> str:
    """Say how to see a broken seed again, with its last events."""
    return "\n".join(
        [
            f"seed {result.seed}: {result.broken}",
            *result.tail,
            f"again: make sim START={result.seed} SEEDS=1",
        ]
    )


def main() -> int:
    """Read the bounds, run on all cores, print; 0 when every seed kept every promise."""
    parser = argparse.ArgumentParser(description="Simulate whole forests with faults, one for each seed.")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    began = time.monotonic()
    seeds = range(given.start, given.start + given.seeds)
    sums: Counter[str] = Counter()
    with get_context("spawn").Pool(min(given.jobs, given.seeds)) as pool:
        for result in pool.imap_unordered(quiet_run, seeds, chunksize=5):
            sums.update(
                broken=bool(result.broken),
                events=result.events,
                decisions=result.decisions,
                kills=result.kills,
                hours=round(result.virtual_s),
            )
            if result.broken:
                print(show(result), flush=True)
    took = time.monotonic() - began
    print(
        f"{given.seeds} seeds in {took:.1f} s ({given.seeds / took:.1f} seeds/s), {sums['broken']} broken;"
        f" {sums['events']} events, {sums['decisions']} decisions, {sums['kills']} lives of nodes,"
        f" {sums['hours'] / 3600:.1f} h of their time"
    )
    return 1 if sums["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())

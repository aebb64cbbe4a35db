"""What simulations give, as digests: `bench/outcomes.py DATA > FILE` in two checkouts, compared by `diff`, shows every
changed assignment, end, speed or learnt size. Whoever makes the simulator or a policy faster changes none of them.
"""

import argparse
import sys
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from msgspec.structs import replace

from actors.elves.distribution import NAMES
from actors.simulator import Choice, Job, Scenario
from actors.simulator.engine import Engine, Placed
from actors.simulator.lean import LeanBalancer
from actors.simulator.scenario import ranked
from bench.distribution import TRACES, scene
from bench.distribution_traces import work
from events.codec import canonical

PRIORITIES = ("middle", "high", "middle", "low")
CHOICES = (
    *(Choice(policy=name) for name in NAMES),
    Choice(policy="pull_best", parameters={"weight": 2, "prefetch": 1, "known": 5}),
    Choice(policy="pull_best", parameters={"lost_first": 0, "flaky": 0, "lead": 0.5, "patience": 0.005}),
    Choice(policy="pull_best", parameters={"flaky": 0.01, "slow_start_s": 36_000}),
)


class Noting(LeanBalancer):
    """Digests who was given what when."""

    def __init__(self, scenario: Scenario, choice: Choice) -> None:
        super().__init__(scenario, choice)
        self.digest = blake2b(digest_size=8)

    def place(self, now: int) -> Iterator[Placed]:
        """See `Balancer.place`."""
        for placed in super().place(now):
            self.digest.update(canonical((placed, now)))
            yield placed


def scenes(jobs: list[Job]) -> Iterator[tuple[str, Scenario]]:
    """Yield few and many agents without failures, with those of the seed, with more at once and more errors."""
    mixed = [replace(job, priority=PRIORITIES[number % 4]) for number, job in enumerate(jobs)]
    for agents in (3, 20):
        yield f"{agents} clean", scene(jobs, agents, "clean", 0.8, 0)
        yield f"{agents} seed", scene(jobs, agents, "seed", 0.9, 1)
        made = scene(mixed, agents, "seed", 0.6, 2)
        players = (
            replace(one, wip=1 + number % 3, fallback=int(number == 0), error_rate=0.2 * (number % 5 == 0))
            for number, one in enumerate(made.players)
        )
        yield f"{agents} mixed", replace(made, players=tuple(players))


def main() -> None:
    """Read the arguments, play, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with gentd26, lcg and azure_llm")
    parser.add_argument("--tasks", type=int, default=1500, help="of each trace")
    given = parser.parse_args()
    for trace in TRACES:
        jobs = ranked(work(given.data, trace, "middle")[: given.tasks], 10, 50)
        for name, scenario in scenes(jobs):
            for choice in CHOICES:
                balancer = Noting(scenario, choice)
                tally = Engine(scenario, balancer).run()
                fold = balancer.fold
                balancer.digest.update(repr(tally).encode())
                balancer.digest.update(canonical((fold.records, fold.sizes, fold.counts)))
                print(
                    f"{trace} {name} {choice.policy} {choice.parameters}:"
                    f" {balancer.decisions} {balancer.digest.hexdigest()}"
                )


if __name__ == "__main__":
    main()

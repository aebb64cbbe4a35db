"""Made-up work: arrivals by chance at a rate that may follow the hours of the day, sizes from a distribution."""

import math
import random
from typing import Literal

from msgspec import Struct

from actors.simulator.scenario import Job

DAY_S = 86_400.0


class Generator(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How work is made up.

    `rate` is tasks a second over the day's mean, or `load` in the scenario sets it. `profile` weighs equal parts of
    the day. `cv` is the sizes' standard deviation over their mean. With `kinds`, kinds differ in their mean (by
    `kind_cv`) and tasks of one kind by the rest. `high` and `low` are the shares of these priorities.
    """

    tasks: int = 1000
    arrivals: Literal["poisson", "steady"] = "poisson"
    rate: float = 0.0
    profile: tuple[float, ...] = ()
    size: Literal["exponential", "lognormal", "fixed"] = "exponential"
    mean_size_s: float = 600.0
    cv: float = 1.0
    kinds: int = 1
    kind_cv: float = 0.0
    high: float = 0.0
    low: float = 0.0


def generate(made: Generator, rate: float, seed: int) -> list[Job]:
    """Return tasks at `rate` a second. The same seed gives the same tasks."""
    chance = random.Random(seed)
    kinds = [_factor(chance, made.kind_cv) for _ in range(made.kinds)]
    mean = sum(kinds) / len(kinds)
    jobs = []
    now = 0.0
    for number in range(made.tasks):
        if number:
            now = _later(
                now, 1.0 if made.arrivals == "steady" else chance.expovariate(1.0), rate, made.profile
            )
        kind = chance.randrange(made.kinds)
        draw = chance.random()
        jobs.append(
            Job(
                arrival=now,
                size=made.mean_size_s * kinds[kind] / mean * _size(chance, made),
                kind=f"k{kind}" if made.kinds > 1 else "",
                priority="high" if draw < made.high else "low" if draw >= 1 - made.low else "middle",
            )
        )
    return jobs


def _size(chance: random.Random, made: Generator) -> float:
    match made.size:
        case "exponential":
            return chance.expovariate(1.0)
        case "lognormal":
            return _factor(chance, made.cv)
        case "fixed":
            return 1.0


def _factor(chance: random.Random, cv: float) -> float:
    """A lognormal number of mean 1."""
    if cv <= 0:
        return 1.0
    sigma = math.sqrt(math.log(1 + cv * cv))
    return chance.lognormvariate(-sigma * sigma / 2, sigma)


def _later(now: float, amount: float, rate: float, profile: tuple[float, ...]) -> float:
    """Return when so many tasks' worth of rate has gone by, part of the day by part."""
    if not profile:
        return now + amount / rate
    part = DAY_S / len(profile)
    mean = sum(profile) / len(profile)
    while True:
        number = int(now // part)
        end = (number + 1) * part
        there = rate * profile[number % len(profile)] / mean
        if there > 0 and amount <= (end - now) * there:
            return now + amount / there
        amount -= (end - now) * there
        # A hair behind the edge, so that rounding never leaves us in front of it.
        now = end + 1e-6

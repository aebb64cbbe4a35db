"""No pattern in mere chance, the planted Friday found, weekends no pattern of working days."""

from math import exp
from random import Random

import pytest

from actors.elves.chances import binomial_tail, holm, normal_tail
from actors.elves.weekly import Pattern, patterns


def poisson(random: Random, mean: float) -> int:
    """Return a random count (Knuth)."""
    if mean > 60:
        return max(0, round(random.gauss(mean, mean**0.5)))
    limit, product, count = exp(-mean), random.random(), 0
    while product > limit:
        product *= random.random()
        count += 1
    return count


def month(random: Random, per_hour: float, weeks: int = 4, friday: float = 1.0) -> dict[str, list[int]]:
    """Return counts by hour of the week with a daily wave, Fridays so many times the others."""
    bins = {}
    for hour in range(168):
        wave = 0.5 + (8 <= hour % 24 < 20)
        mean = per_hour * wave * (friday if hour // 24 == 4 else 1.0)
        bins[str(hour)] = [poisson(random, mean) for _ in range(weeks)]
    return bins


@pytest.mark.parametrize("per_hour", [0.2, 2.0, 20.0])
def test_no_pattern_is_claimed_on_a_hundred_random_months(per_hour: float) -> None:
    claims = [patterns({"q": month(Random(seed), per_hour)}) for seed in range(100)]
    assert [claim for claim in claims if claim] == []


def test_a_planted_friday_is_found_in_nearly_every_month() -> None:
    found = 0
    for seed in range(100):
        claimed = patterns({"q": month(Random(1000 + seed), 4.0, friday=1.5)})
        found += any(item.day == 4 for item in claimed)
        assert all(item.day == 4 for item in claimed)
    assert found >= 95


def test_the_claim_says_when_and_how_sure() -> None:
    (claim,) = patterns({"q": month(Random(1), 10.0, friday=1.5)})
    assert claim.when == "Fridays"
    assert claim.low < 1.5 < claim.high
    bins = month(Random(2), 10.0)
    for hour in range(108, 114):
        bins[str(hour)] = [value * 2 for value in bins[str(hour)]]
    (claim,) = patterns({"q": bins})
    assert claim.when == "Fridays from 12 to 18 h"
    assert 1.7 < claim.ratio < 2.3


def test_quiet_weekends_make_no_working_day_special() -> None:
    bins = month(Random(3), 10.0)
    for hour in range(120, 168):
        bins[str(hour)] = [value // 10 for value in bins[str(hour)]]
    assert patterns({"q": bins}) == []


def test_bursts_are_no_pattern() -> None:
    random = Random(4)
    claims: list[Pattern] = []
    for _ in range(50):
        bins = {
            str(hour): [poisson(random, 3.0) + (40 if random.random() < 0.03 else 0) for _ in range(5)]
            for hour in range(168)
        }
        claims += patterns({"q": bins})
    assert len(claims) <= 1


def test_three_weeks_are_too_few() -> None:
    assert patterns({"q": month(Random(5), 10.0, weeks=3, friday=3.0)}) == []


def test_chances() -> None:
    assert normal_tail(1.959964) == pytest.approx(0.025, abs=1e-6)
    assert binomial_tail(8, 10, 0.5) == pytest.approx(56 / 1024)
    assert binomial_tail(0, 10, 0.5) == 1.0
    assert binomial_tail(1100, 10_000, 0.1) == pytest.approx(0.00045, rel=0.1)
    assert holm({"a": 0.001, "b": 0.02, "c": 0.04}, 0.05) == {"a", "b", "c"}
    assert holm({"a": 0.001, "b": 0.03, "c": 0.04}, 0.05) == {"a"}

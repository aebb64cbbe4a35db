"""How surprising is a count? Binomial tails, many tests at once, ratios with their intervals."""

from collections.abc import Mapping
from math import erfc, exp, lgamma, log, sqrt
from typing import TypeVar

K = TypeVar("K")

_EXACT = 2000


def normal_tail(z: float) -> float:
    """Return the probability of a standard normal value above z."""
    return 0.5 * erfc(z / sqrt(2.0))


def binomial_tail(count: int, of: int, share: float) -> float:
    """Return the probability of `count` or more of `of`, each with probability `share`."""
    if count <= 0:
        return 1.0
    if share <= 0.0 or count > of:
        return 0.0
    if share >= 1.0:
        return 1.0
    if of > _EXACT:
        return normal_tail((count - 0.5 - of * share) / sqrt(of * share * (1.0 - share)))
    whole = lgamma(of + 1)
    terms = (
        whole - lgamma(hit + 1) - lgamma(of - hit + 1) + hit * log(share) + (of - hit) * log(1.0 - share)
        for hit in range(count, of + 1)
    )
    return min(1.0, sum(exp(term) for term in terms))


def holm(chances: Mapping[K, float], level: float) -> set[K]:
    """Return which findings stand when all of them are tested at once (Holm 1979)."""
    standing: set[K] = set()
    ordered = sorted(chances, key=lambda key: (chances[key], repr(key)))
    for place, key in enumerate(ordered):
        if chances[key] > level / (len(ordered) - place):
            break
        standing.add(key)
    return standing


def ratio_interval(first: float, second: float, ratio: float, dispersion: float = 1.0) -> tuple[float, float]:
    """Return the 95 % interval of a ratio of two rates that rest on these counts."""
    if first <= 0 or second <= 0:
        return 0.0, float("inf")
    spread = 1.96 * sqrt(dispersion * (1.0 / first + 1.0 / second))
    return ratio * exp(-spread), ratio * exp(spread)

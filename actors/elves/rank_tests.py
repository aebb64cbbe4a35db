"""Does a series grow? Mann-Kendall's test and Theil and Sen's slope, which mind no wild value."""

from collections.abc import Sequence
from statistics import median

from msgspec import Struct

# A correlation beyond this many standard errors counts (5 %).
_SIGNIFICANT = 1.96


class Trend(Struct, frozen=True):
    """`z` is Mann-Kendall's standardised statistic, `slope` the median slope for one step."""

    z: float
    slope: float


def trend(values: Sequence[float], corrected: bool = True) -> Trend:
    """Return the trend; `corrected` widens the variance by the autocorrelation of the ranks (Hamed and Rao 1998)."""
    n = len(values)
    if n < 4:
        return Trend(0.0, 0.0)
    score, slopes = 0, []
    for first in range(n - 1):
        base = values[first]
        for second in range(first + 1, n):
            rise = values[second] - base
            score += (rise > 0) - (rise < 0)
            slopes.append(rise / (second - first))
    slope = median(slopes)
    variance = _variance(values)
    if corrected and variance > 0:
        variance *= _widened([value - slope * place for place, value in enumerate(values)])
    if variance <= 0:
        return Trend(0.0, slope)
    return Trend((score - (score > 0) + (score < 0)) / variance**0.5, slope)


def _variance(values: Sequence[float]) -> float:
    n = len(values)
    counts: dict[float, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    ties = sum(count * (count - 1) * (2 * count + 5) for count in counts.values())
    return (n * (n - 1) * (2 * n + 5) - ties) / 18


def _widened(values: Sequence[float]) -> float:
    """Return the factor of the variance, 1 at least: growth is not to be found more easily in a smooth series."""
    n = len(values)
    ranks = _ranks(values)
    mean = sum(ranks) / n
    apart = [rank - mean for rank in ranks]
    whole = sum(value * value for value in apart)
    if whole <= 0:
        return 1.0
    added = 0.0
    for lag in range(1, n // 4 + 1):
        rho = sum(apart[place] * apart[place + lag] for place in range(n - lag)) / whole
        if abs(rho) > _SIGNIFICANT / n**0.5:
            added += (n - lag) * (n - lag - 1) * (n - lag - 2) * rho
    return max(1.0, 1.0 + 2.0 * added / (n * (n - 1) * (n - 2)))


def _ranks(values: Sequence[float]) -> list[float]:
    """Return each value's rank, the mean rank among equals."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for place in order[start : end + 1]:
            ranks[place] = (start + end) / 2
        start = end + 1
    return ranks

"""Does a day of the week, or a part of it, bring more work than the others? Only what chance hardly brings is claimed.

Working days are compared with working days, Saturday with Sunday, a part of a day with the same part of other days.
Counts that scatter more than chance (Poisson) widen the test by their dispersion from week to week, and the day must
lie above the others in every week, in all but one where six or more were seen.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from actors.elves.chances import binomial_tail, holm, normal_tail, ratio_interval

LEAST_WEEKS = 4
LEAST_RATIO = 1.3
LEVEL = 0.002
_MANY_WEEKS = 6
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# From hour to hour: the whole day and its four parts.
PARTS = ((0, 24), (0, 6), (6, 12), (12, 18), (18, 24))


class Pattern(Struct, frozen=True, kw_only=True):
    """`day` (0 is Monday) from hour `start` to `end` brings `ratio` times the work of the other days of its kind."""

    key: str
    day: int
    start: int
    end: int
    ratio: float
    low: float
    high: float
    n: int
    weeks: int
    chance: float

    @property
    def when(self) -> str:
        """Say when."""
        hours = "" if (self.start, self.end) == (0, 24) else f" from {self.start} to {self.end} h"
        return f"{DAYS[self.day]}s{hours}"


def weeks_of(bins: Mapping[str, Sequence[int]]) -> int:
    """Return how many weeks every hour of the week was seen."""
    return min((len(bins.get(str(hour), ())) for hour in range(168)), default=0)


def patterns(series: Mapping[str, Mapping[str, Sequence[int]]]) -> list[Pattern]:
    """Return the patterns of all series at once; each maps the hour of the week to a count for each week seen."""
    found: dict[tuple[str, int, int], Pattern] = {}
    for key in sorted(series):
        weeks = weeks_of(series[key])
        if weeks >= LEAST_WEEKS:
            for item in _tested(key, series[key], weeks):
                found[key, item.day, item.start * 24 + item.end] = item
    standing = holm({place: item.chance for place, item in found.items()}, LEVEL)
    claimed = [item for place, item in found.items() if place in standing and item.ratio >= LEAST_RATIO]
    return [item for item in claimed if not _within(item, claimed)]


def _within(item: Pattern, claimed: Sequence[Pattern]) -> bool:
    """Tell whether a whole day says it all, or a part of the day says it more sharply."""
    for other in claimed:
        if other is item or (other.key, other.day) != (item.key, item.day):
            continue
        whole = other.end - other.start == 24
        if whole and item.ratio < other.ratio * 1.25:
            return True
        if item.end - item.start == 24 and not whole and other.ratio >= item.ratio * 1.25:
            return True
    return False


def _tested(key: str, bins: Mapping[str, Sequence[int]], weeks: int) -> Iterator[Pattern]:
    counts = [[list(bins[str(day * 24 + hour)][-weeks:]) for hour in range(24)] for day in range(7)]
    dispersion = _dispersion(counts)
    for day in range(7):
        others = [other for other in (range(5) if day < 5 else range(5, 7)) if other != day]
        for start, end in PARTS:
            mine = sum(sum(counts[day][hour]) for hour in range(start, end))
            theirs = sum(sum(counts[other][hour]) for other in others for hour in range(start, end))
            share = 1.0 / (1 + len(others))
            whole = mine + theirs
            above = [
                sum(counts[day][hour][week] for hour in range(start, end)) * len(others)
                > sum(counts[other][hour][week] for other in others for hour in range(start, end))
                for week in range(weeks)
            ]
            if not mine or not theirs or sum(above) < weeks - (weeks >= _MANY_WEEKS):
                # It stays among the tests that were made: their number is what the level is shared by.
                yield _nothing(key, day, start, end)
                continue
            z = (mine - whole * share) / (whole * share * (1.0 - share) * dispersion) ** 0.5
            ratio = mine / theirs * len(others)
            low, high = ratio_interval(mine, theirs, ratio, dispersion)
            yield Pattern(
                key=key,
                day=day,
                start=start,
                end=end,
                ratio=round(ratio, 3),
                low=round(low, 3),
                high=round(high, 3),
                n=mine,
                weeks=weeks,
                chance=max(normal_tail(z), binomial_tail(mine, whole, share)),
            )


def _nothing(key: str, day: int, start: int, end: int) -> Pattern:
    return Pattern(
        key=key, day=day, start=start, end=end, ratio=0.0, low=0.0, high=0.0, n=0, weeks=0, chance=1.0
    )


def _dispersion(counts: Sequence[Sequence[Sequence[int]]]) -> float:
    """Return how much more than chance the same part of the same day scatters from week to week, 1 at least."""
    total, parts = 0.0, 0
    for day in counts:
        for start, end in PARTS[1:]:
            weekly = [sum(day[hour][week] for hour in range(start, end)) for week in range(len(day[0]))]
            mean = sum(weekly) / len(weekly)
            if mean > 0:
                total += sum((value - mean) ** 2 for value in weekly) / (len(weekly) - 1) / mean
                parts += 1
    return max(1.0, total / parts) if parts else 1.0

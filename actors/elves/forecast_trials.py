"""Validation with a rolling origin: alerts for practice at the limit and at levels within the usual range, all scored.

A limit is seldom reached, so its own record comes too slowly. The stand-in levels lie where the load goes every
day; who foresees crossing those foresees crossing the limit. The record begins with ten cases of which nine were
right and fades with a half-life of two days, because a profile that grows older forecasts better.
"""

from collections.abc import Sequence

from msgspec import Struct, field

# Margins in standard errors of the forecast, the boldest first: an alert wants the forecast so far above its level.
MARGINS = (0.1, 0.25, 0.5, 1.0)
# An overload lasts three slots at least; an alert is right if one begins within the next 18.
RUN = 3
LEAD = 18
LEAST_CASES = 4.0

_PRIOR_CASES = 10.0
_PRIOR_RIGHT = 9.0
# Where the stand-in levels lie: in standard deviations above the mean.
_LEVELS = (0.4, 0.8, 1.2)
_DAY = 288
_FADES = 0.5 ** (1 / (2 * _DAY))
_SLOWEST = 1 / (7 * _DAY)
# The limit's own cases say more than those of the stand-ins.
_WEIGHT = 2.0


class Trial(Struct):
    """One level: the run of slots above it, and in which slot each margin's practice alert was opened (0: none)."""

    level: float
    over: int = 0
    opened: list[int] = field(default_factory=lambda: [0] * len(MARGINS))


class Trials(Struct):
    """All levels, the limit first, and how often each margin was right and wrong."""

    levels: list[Trial] = field(default_factory=list)
    right: list[float] = field(default_factory=lambda: [0.0] * len(MARGINS))
    wrong: list[float] = field(default_factory=lambda: [0.0] * len(MARGINS))
    seen: int = 0
    mean: float = 0.0
    spread: float = 0.0

    def take(
        self, slot: int, value: float, limit: float, ahead: Sequence[float], errors: Sequence[float]
    ) -> None:
        """Score what is due at this slot and practise on what lies ahead."""
        self.seen += 1
        share = max(1.0 / self.seen, _SLOWEST)
        apart = value - self.mean
        self.mean += share * apart
        self.spread += share * (apart * (value - self.mean) - self.spread)
        if not self.levels or slot % _DAY == 0:
            self._set_levels(limit)
        elif self.levels[0].level != limit:
            self.levels[0] = Trial(limit)
        for margin in range(len(MARGINS)):
            self.right[margin] *= _FADES
            self.wrong[margin] *= _FADES
        for place, trial in enumerate(self.levels):
            self._judge(trial, slot, value, _WEIGHT if place == 0 else 1.0)
            if ahead and trial.over == 0 and errors[0] > 0.0:
                above = clearance(trial.level, ahead, errors)
                for margin, wanted in enumerate(MARGINS):
                    if above > wanted and not trial.opened[margin]:
                        trial.opened[margin] = slot

    def standing(self, limit: float, ahead: Sequence[float], errors: Sequence[float]) -> float:
        """Return by how many standard errors the forecast clears the limit; minus infinity when it is over now."""
        if not self.levels or self.levels[0].over or not ahead or errors[0] <= 0.0:
            return float("-inf")
        return clearance(limit, ahead, errors)

    def choice(self, needed: float) -> int | None:
        """Return the boldest margin whose record suffices."""
        for margin in range(len(MARGINS)):
            if self.cases(margin) >= LEAST_CASES and self.precision(margin) >= needed:
                return margin
        return None

    def best(self) -> int:
        """Return the margin with the best record."""
        return max(range(len(MARGINS)), key=lambda margin: (self.precision(margin), -margin))

    def cases(self, margin: int) -> float:
        """Return how many alerts the record holds."""
        return self.right[margin] + self.wrong[margin]

    def precision(self, margin: int) -> float:
        """Return the share of alerts that were right, the prior's cases among them."""
        return (self.right[margin] + _PRIOR_RIGHT) / (self.cases(margin) + _PRIOR_CASES)

    def doubt(self, margin: int, needed: float) -> str:
        """Say why no margin may speak."""
        cases = self.cases(margin)
        if cases < LEAST_CASES:
            return f"{cases:.0f} validated forecasts, {LEAST_CASES:.0f} needed"
        return (
            f"precision {self.precision(margin):.2f} in {cases:.0f} validated forecasts, {needed:.2f} needed"
        )

    def interrupt(self) -> None:
        """Judge nothing of what is under way."""
        for trial in self.levels:
            trial.over = 0
            trial.opened = [0] * len(MARGINS)

    def restart(self) -> None:
        """Forget the record."""
        self.right = [0.0] * len(MARGINS)
        self.wrong = [0.0] * len(MARGINS)
        self.interrupt()

    def _set_levels(self, limit: float) -> None:
        sigma = max(0.0, self.spread) ** 0.5
        first = self.levels[0] if self.levels and self.levels[0].level == limit else Trial(limit)
        self.levels = [first, *(Trial(self.mean + place * sigma) for place in _LEVELS)]

    def _judge(self, trial: Trial, slot: int, value: float, weight: float) -> None:
        trial.over = trial.over + 1 if value > trial.level else 0
        began = slot - RUN + 1 if trial.over == RUN else 0
        for margin, opened in enumerate(trial.opened):
            if not opened:
                continue
            if began and opened < began <= opened + LEAD:
                self.right[margin] += weight
                trial.opened[margin] = 0
            elif slot - opened >= LEAD + RUN - 1:
                self.wrong[margin] += weight
                trial.opened[margin] = 0


def clearance(level: float, ahead: Sequence[float], errors: Sequence[float]) -> float:
    """Return the greatest margin with which three slots in a row lie above the level."""
    above = [
        (value - level) / error if error > 0.0 else 0.0 for value, error in zip(ahead, errors, strict=True)
    ]
    return max(min(above[start : start + RUN]) for start in range(len(above) - RUN + 1))

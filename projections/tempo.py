"""How often something happens: three averages that forget within 1, 5 and 15 minutes."""

from math import exp

from msgspec import Struct, field

from projections.units import SECOND

SPANS_S = (60, 300, 900)


class Tempo(Struct):
    """Weighted counts as of `at` (forest microseconds), one for each span."""

    weights: list[float] = field(default_factory=lambda: [0.0] * len(SPANS_S))
    at: int = 0

    def beat(self, now: int) -> None:
        """Count one."""
        self.weights = [weight + 1.0 for weight in self._faded(now)]
        self.at = max(self.at, now)

    def rates(self, now: int) -> list[float]:
        """Return how many a second, by span: a steady stream of r a second holds a weight of r x span."""
        return [weight / span for weight, span in zip(self._faded(now), SPANS_S, strict=True)]

    def _faded(self, now: int) -> list[float]:
        if now <= self.at:
            return self.weights
        age = (now - self.at) / SECOND
        return [weight * exp(-age / span) for weight, span in zip(self.weights, SPANS_S, strict=True)]

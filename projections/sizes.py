"""How long tasks of a kind take: learned from those that finished, and from those that run for longer already."""

from collections.abc import Sequence
from math import log
from statistics import median

from msgspec import Struct

# The size of a kind is the mean of so many last tasks.
_LAST = 8
# Kinds whose sizes are remembered; the longest unused are forgotten first.
_KEPT = 20_000
# So many last tasks of a queue make its mean.
_MEAN_OF = 1000


class Size(Struct, omit_defaults=True):
    """One kind in one queue, in milliseconds of an agent of average speed.

    `guess` is the queue's mean when the kind was last heard of: what stands in until enough of it has finished.
    """

    count: int = 0
    last: list[float] = []
    guess: float = 0.0
    at: int = 0

    @property
    def mean(self) -> float:
        """What the last ones took."""
        return sum(self.last) / len(self.last) if self.last else self.guess


class Mean(Struct, omit_defaults=True):
    """A running mean over the last thousand or so.

    `ratio` is the mean logarithm of estimated to actual time: above 0 where sizes of a kind differ, because a mean is
    more than what most tasks take.
    """

    count: int = 0
    value: float = 0.0
    compared: int = 0
    ratio: float = 0.0


class Sizes(Struct):
    """Sizes by `queue/kind`, means by queue."""

    kinds: dict[str, Size] = {}
    means: dict[str, Mean] = {}

    def heard(self, queue: str, name: str, now: int) -> None:
        """A task of this `queue/kind` was submitted."""
        size = self._get(name)
        mean = self.means.get(queue)
        size.guess = mean.value if mean else 0.0
        size.at = now

    def compared(self, queue: str, name: str, ms: int, learning: int) -> tuple[float, float] | None:
        """Return the logarithm of estimated to actual time of a task that ended, and what is usual in its queue.

        `name` is its `queue/kind`. None where too little is known of that. With `learning` 1 nothing is usual.
        """
        size, mean = self.kinds.get(name), self.means.get(queue)
        if size is None or mean is None or size.count < 2 or ms <= 0:
            return None
        expected = size.mean
        if expected <= 0:
            return None
        ratio = log(expected / ms)
        if learning < 2:
            return ratio, 0.0
        mean.compared = min(mean.compared + 1, _MEAN_OF)
        mean.ratio += (ratio - mean.ratio) / mean.compared
        return ratio, mean.ratio

    def finished(self, queue: str, name: str, ms: float, now: int) -> None:
        """A task of this `queue/kind` took so long."""
        mean = self.means.get(queue)
        if mean is None:
            mean = self.means[queue] = Mean()
        mean.count = min(mean.count + 1, _MEAN_OF)
        mean.value += (ms - mean.value) / mean.count
        size = self._get(name)
        size.last.append(ms)
        del size.last[:-_LAST]
        size.count += 1
        size.guess, size.at = mean.value, now

    def estimate_ms(self, name: str, known: int, running_ms: Sequence[float] = ()) -> float:
        """Return what a task of `queue/kind` will take; a guess where fewer than `known` of the kind finished.

        Tasks of the kind that run already for longer than that count as if they had just ended; the longest comes
        first.
        """
        size = self.kinds.get(name)
        if size is None:
            return 0.0
        mean = size.mean if size.count >= known else size.guess
        if not running_ms or running_ms[0] <= mean:
            return mean
        longer = [ms for ms in running_ms if ms > mean]
        count = len(size.last) if size.count >= known else 1
        return (mean * count + sum(longer)) / (count + len(longer))

    def typical_ms(self, name: str, known: int) -> float | None:
        """Return what the middle one of the last tasks of `queue/kind` took; None where fewer than `known` finished."""
        size = self.kinds.get(name)
        return median(size.last) if size and size.count >= known and size.last else None

    def mean_ms(self, queue: str) -> float:
        """Return what a task of the queue takes on average, 0 before any has finished."""
        mean = self.means.get(queue)
        return mean.value if mean else 0.0

    def _get(self, name: str) -> Size:
        size = self.kinds.get(name)
        if size is None:
            if len(self.kinds) >= _KEPT:
                self._forget()
            size = self.kinds[name] = Size()
        return size

    def _forget(self) -> None:
        oldest = sorted(self.kinds, key=lambda name: (self.kinds[name].at, name))
        for name in oldest[: _KEPT // 10]:
            del self.kinds[name]

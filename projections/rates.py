"""How a unit or an agent has done lately: rates that forget with a half-life of a day."""

from msgspec import Struct

HALF_LIFE_US = 86_400_000_000


class Rates(Struct, gc=False):
    """Weighted counts of its ends as of `at` (microseconds); `response` is the sum of their seconds."""

    done: float = 0.0
    failed: float = 0.0
    response: float = 0.0
    at: int = 0

    def take(self, time: int, done: bool, response_us: int) -> None:
        """Count one end of an attempt, `response_us` after it was given."""
        if time > self.at:
            if self.at:
                kept = 0.5 ** ((time - self.at) / HALF_LIFE_US)
                self.done *= kept
                self.failed *= kept
                self.response *= kept
            self.at = time
        if done:
            self.done += 1.0
        else:
            self.failed += 1.0
        if response_us > 0:
            self.response += response_us / 1e6

    @property
    def all(self) -> tuple[float, float, float]:
        """Completion rate, mean response in seconds, error rate; all 0 without history, as the seed has it."""
        ends = self.done + self.failed
        if not ends:
            return 0.0, 0.0, 0.0
        return self.done / ends, self.response / ends, self.failed / ends


NO_RATES = Rates().all

"""Mana: how much an elf may still disturb the system, as a token bucket in forest time."""

from msgspec import Struct

from events.settings import ManaSettings

# Points are kept as integers of 1/3,600,000 so that a refill per hour over milliseconds needs no fraction.
POINT = 3_600_000


class Mana(Struct):
    """One elf's level. Integer arithmetic in milliseconds of forest time: replay gives the same level everywhere."""

    units: int = -1
    at_ms: int = 0

    @property
    def level(self) -> int:
        """Whole points, 0 to the capacity."""
        return max(0, self.units) // POINT

    def refill(self, now: int, settings: ManaSettings) -> None:
        """Let time pass to `now` (microseconds)."""
        now_ms = now // 1000
        if self.units < 0:
            self.units = settings.start * POINT
            self.at_ms = now_ms
        elapsed = now_ms - self.at_ms
        if elapsed <= 0:
            return
        if self.at_ms:
            full = settings.capacity * POINT
            self.units = min(full, self.units + settings.refill_per_hour * elapsed)
        self.at_ms = now_ms

    def spend(self, points: int) -> None:
        """Pay for a decision."""
        self.units = max(0, self.units - points * POINT)

    def refund(self, points: int, settings: ManaSettings) -> None:
        """Give half back for an effect that passed its post-check."""
        self.units = min(settings.capacity * POINT, self.units + points * POINT // 2)

    def affordable_at(self, points: int, reserve: int, settings: ManaSettings) -> int:
        """Return the forest time (microseconds) at which `points` can be paid without touching the reserve."""
        missing = (points + reserve) * POINT - self.units
        if missing <= 0 or settings.refill_per_hour <= 0:
            return self.at_ms * 1000
        return (self.at_ms + -(-missing // settings.refill_per_hour)) * 1000

"""A queue's last hour minute by minute, and what its speed is in the same hour of other weeks."""

from statistics import median

from msgspec import Struct, field

from events.zones import Zone
from projections.hours import HOUR, slot_of
from projections.units import SECOND

MINUTE = 60 * SECOND
KEPT = 60
WEEKS = 8
# An hour tells a speed if work waited in so many of its minutes, and a week's hour if so many weeks did.
_LEAST = 10
_LEAST_WEEKS = 2
_PRESENT = 3


class Minute(Struct, array_like=True):
    """What ended well and badly in it, whether work waited all the time, living workers, the machine's CPU (1/1000)."""

    done: int = 0
    failed: int = 0
    busy: bool = True
    living: int = 0
    cpu: int = 0


class Minutes(Struct):
    """The last hour, oldest first; `current` is under way. `usual`: tasks a busy hour by hour of the week."""

    number: int = 0
    current: Minute = field(default_factory=lambda: Minute(busy=False))
    ticks: int = 0
    whole: bool = False
    past: list[Minute] = field(default_factory=list)
    usual: dict[str, list[int]] = {}
    hour_done: int = 0
    hour_busy: int = 0

    def tick(self, now: int, waiting: bool, living: int, cpu: int, zone: Zone) -> None:
        """Take a look at the queue; closes the minute that is over."""
        number = now // MINUTE
        if number != self.number:
            self._close(number, zone)
        current = self.current
        current.busy = waiting and self.whole and (current.busy or not self.ticks)
        current.living = max(current.living, living) if self.ticks else living
        current.cpu += (cpu - current.cpu) // (self.ticks + 1)
        self.ticks += 1

    def ended(self, good: bool) -> None:
        """Count an end."""
        if good:
            self.current.done += 1
        else:
            self.current.failed += 1

    def _close(self, number: int, zone: Zone) -> None:
        if self.number and self.ticks:
            if self.current.busy:
                self.hour_done += self.current.done
                self.hour_busy += 1
            # Minutes in which nobody looked are no minutes without work: they are left out.
            self.past = [*self.past, self.current][-KEPT:]
        old, new = self.number * MINUTE // HOUR, number * MINUTE // HOUR
        if old != new:
            if self.hour_busy >= _LEAST:
                slot = str(slot_of(old * HOUR, zone))
                hours = [*self.usual.get(slot, ()), self.hour_done * 60 // self.hour_busy]
                self.usual[slot] = hours[-WEEKS:]
            self.hour_done = self.hour_busy = 0
        # One that nobody saw the beginning of tells no speed.
        self.whole = number == self.number + 1
        self.number, self.current, self.ticks = number, Minute(busy=False), 0

    def usual_rate(self, now: int, window: int, zone: Zone) -> tuple[float, str]:
        """Return the usual tasks a second while work waits, and whose: `week`, `hour`, or 0 and `none`."""
        weeks = self.usual.get(str(slot_of(now, zone)), ())
        if len(weeks) >= _LEAST_WEEKS:
            return median(weeks) / 3600, "week"
        before = [minute for minute in self.past[: len(self.past) - window] if minute.busy]
        if len(before) >= _LEAST:
            return sum(minute.done for minute in before) / (60 * len(before)), "hour"
        return 0.0, "none"

    def present_rate(self) -> float:
        """Return the tasks a second of the last minutes in which work waited, 0 while they tell nothing.

        Three of them at least; more, up to the whole hour, until three tasks have ended.
        """
        done = busy = 0
        for minute in reversed(self.past):
            if not minute.busy or (busy >= _PRESENT and done >= _PRESENT):
                break
            busy += 1
            done += minute.done
        return done / (60 * busy) if busy >= _PRESENT and done >= _PRESENT else 0.0

    def last(self, window: int) -> list[Minute]:
        """Return the last whole minutes, fewer where there are fewer."""
        return self.past[-window:]

"""What is known of an agent's work: rates that fade, busy time, speed, failures; and the printed load score."""

from math import exp, log

from msgspec import Struct, field

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR

# A bad day fades: what happened counts half as much a day later.
HALF_LIFE = DAY
# Times between failures are long; they are remembered for weeks.
FAILS_HALF_LIFE = 7 * DAY
_HOURS = 24
# Speeds rest on so many last tasks, and on so many pseudo-tasks of average speed.
_PACE_OF = 200
_PACE_PRIOR = 5

# Consecutive errors that take an agent out for a while, the first time for this long, and no longer than that.
ERRORS_IN_A_ROW = 5
EJECTION = 30 * SECOND
_EJECTION_MOST = 600 * SECOND


class Load(Struct, frozen=True):
    """An agent's load by the printed formulas. Rates are shares, `response_s` is assignment to end."""

    tasks: int
    completion_rate: float
    response_s: float
    error_rate: float

    @property
    def score(self) -> float:
        """10 n + 50 (1 - completion) + 5 min(response / 60, 10) + 100 error."""
        return (
            self.tasks * 10
            + (1.0 - self.completion_rate) * 50
            + min(self.response_s / 60, 10) * 5
            + self.error_rate * 100
        )

    @property
    def capacity(self) -> float:
        """What is left of 100 points."""
        return max(0.0, 100.0 - self.score)


class Record(Struct, omit_defaults=True):
    """One agent's record. `at` is the time that the fading sums are of; times are forest microseconds.

    `busy` and `away` hold milliseconds by hour of the last 24, `hour` is the last one written. `pace` is the
    mean logarithm of estimated to actual time, less what that is for everybody. `left_at` is when it went away,
    `back_at` when it came back, `freed_at` when it last claimed or ended something.
    """

    at: int = 0
    completed: float = 0.0
    failed: float = 0.0
    responded_s: float = 0.0
    busy: list[int] = field(default_factory=lambda: [0] * _HOURS)
    away: list[int] = field(default_factory=lambda: [0] * _HOURS)
    hour: int = 0
    pace: float = 0.0
    paced: int = 0
    fails: float = 0.0
    fails_at: int = 0
    since: int = 0
    consecutive: int = 0
    ejections: int = 0
    quarantined_until: int = 0
    up: bool = False
    fell: bool = False
    state: str = ""
    left_at: int = 0
    back_at: int = 0
    freed_at: int = 0
    done: int = 0
    errors: int = 0

    def ended(self, ok: bool, response_s: float, now: int) -> None:
        """Count an attempt's end."""
        self._fade(now)
        self.responded_s += response_s
        if ok:
            self.completed += 1
            self.done += 1
            self.consecutive = self.ejections = 0
        else:
            self.failed += 1
            self.errors += 1

    def erred(self, now: int, may_eject: bool) -> None:
        """Count an error in a row; the fifth takes the agent out for a while, longer each time."""
        self.consecutive += 1
        if self.consecutive >= ERRORS_IN_A_ROW and may_eject:
            self.ejections += 1
            self.consecutive = 0
            self.quarantined_until = now + min(EJECTION * self.ejections, _EJECTION_MOST)

    def went_down(self, now: int) -> None:
        """Count a failure of the agent itself."""
        self.fails = self.fails_faded(now) + 1
        self.fails_at = now

    def worked(self, ms: int, now: int) -> None:
        """Count busy time that ended now."""
        self._spread(self.busy, ms, now)

    def was_away(self, now: int) -> None:
        """Count the time since it went away, which ends now."""
        if self.left_at:
            self._spread(self.away, (now - self.left_at) // 1000, now)
            self.left_at = 0

    def ran(self, ratio: float, usual: float) -> None:
        """Learn the agent's speed from the logarithm of a task's estimated over its actual time, and the usual one."""
        self.paced = min(self.paced + 1, _PACE_OF)
        self.pace += (ratio - usual - self.pace) / (self.paced + _PACE_PRIOR)

    @property
    def speed(self) -> float:
        """How fast it is; 1 is the average."""
        return exp(self.pace)

    def busy_ms(self, now: int) -> int:
        """Return the busy time within the last 24 hours, in whole hours."""
        return self._within(self.busy, now // HOUR)

    def utilisation(self, now: int) -> float:
        """Return the busy share of its time up, in whole hours of the last 24 and at least one."""
        hour = max(now // HOUR, self.hour)
        known = min(_HOURS, hour - self.since // HOUR + 1) * (HOUR // 1000)
        return self._within(self.busy, hour) / max(HOUR // 1000, known - self._within(self.away, hour))

    def fails_faded(self, now: int) -> float:
        """Return how often it failed lately."""
        if not self.fails:
            return 0.0
        return self.fails * _faded(now - self.fails_at, FAILS_HALF_LIFE)

    def between_failures_ms(self, now: int, prior: int = DAY) -> float:
        """Return the learned time between its failures."""
        watched = FAILS_HALF_LIFE / log(2) * (1 - _faded(now - self.since, FAILS_HALF_LIFE))
        return (watched + prior) / (self.fails_faded(now) + 0.5) / 1000

    def load(self, held: int) -> Load:
        """Return the printed score's parts; without any history nothing counts as completed."""
        ended = self.completed + self.failed
        if ended <= 0.0:
            return Load(held, 0.0, 0.0, 0.0)
        return Load(held, self.completed / ended, self.responded_s / ended, self.failed / ended)

    def expected(self, held: int, now: int) -> Load:
        """Return the score's parts with 5 pseudo-tasks at 95 % and 3 of 600 s; they weigh more as history fades."""
        faded = _faded(now - self.at, HALF_LIFE)
        completed, failed = self.completed * faded, self.failed * faded
        ended = completed + failed
        return Load(
            held,
            (completed + 4.75) / (ended + 5),
            (self.responded_s * faded + 3 * 600) / (ended + 3),
            (failed + 0.05) / (ended + 5),
        )

    def _fade(self, now: int) -> None:
        if now > self.at:
            faded = _faded(now - self.at, HALF_LIFE)
            self.completed *= faded
            self.failed *= faded
            self.responded_s *= faded
            self.at = now

    def _within(self, hours: list[int], hour: int) -> int:
        """Sum up the 24 hours that end with this one."""
        if hour <= self.hour:
            return sum(hours)
        if hour - self.hour >= _HOURS:
            return 0
        return sum(hours) - sum([hours[at % _HOURS] for at in range(self.hour + 1, hour + 1)])

    def _turn(self, hour: int) -> None:
        """Empty the hours that nobody wrote to since."""
        for between in range(max(self.hour + 1, hour - _HOURS + 1), hour + 1):
            self.busy[between % _HOURS] = self.away[between % _HOURS] = 0
        self.hour = hour

    def _spread(self, hours: list[int], ms: int, now: int) -> None:
        """Add time that ended now to the hours that it lay in."""
        hour = now // HOUR
        if hour > self.hour:
            self._turn(hour)
        end = now // 1000
        while ms > 0 and hour > self.hour - _HOURS and hour >= 0:
            part = min(ms, end - hour * (HOUR // 1000))
            hours[hour % _HOURS] += part
            ms -= part
            end -= part
            hour -= 1


def _faded(age: int, half_life: int) -> float:
    return float(0.5 ** (max(0, age) / half_life))

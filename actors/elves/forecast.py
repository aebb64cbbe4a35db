"""Will a load go over its limit within the hour? One series, bounded memory, and silence where it guesses badly.

By length of history: below 2 h nothing, below 2 days a damped trend, then a profile of the day (working days and
weekends apart) plus the deviation from it, which lasts. Errors are kept for each step ahead, forecast by forecast.
"""

from typing import Literal

from msgspec import Struct, field

from actors.elves.forecast_trials import MARGINS, Trials

SLOT_US = 300_000_000
DAY = 288
HORIZON = 12
NEEDED = 0.8

# So many slots of history for each method.
TREND_AT = 24
PROFILE_AT = 2 * DAY

_BIN = 3
_BINS = DAY // _BIN
# The AR(1) coefficient of the deviation for one slot, the share of a new observation in it and in the profile.
_LASTS = 0.998
_TAKES = 0.3
_LEARNS = 0.2
# The trend is halved about every half hour (Gardner's damped trend).
_DAMPED = 0.9
_TREND_TAKES = 0.1
# 1970 began on a Thursday.
_THURSDAY = 3

Method = Literal["none", "trend", "profile"]


class Outlook(Struct, frozen=True, kw_only=True):
    """What a series says of its next hour. `abstains` is why it may not speak; `margin` counts standard errors."""

    method: Method
    value: float
    peak: float
    bound: float
    minutes: int
    alert: bool
    precision: float
    cases: float
    margin: float
    abstains: str = ""


class Series(Struct):
    """One load and what was learnt of it; a slot is five minutes since 1970, 0 for none yet."""

    slot: int = 0
    total: float = 0.0
    count: int = 0
    slots: int = 0
    value: float = 0.0
    profile: list[list[float]] = field(default_factory=lambda: [[0.0] * _BINS, [0.0] * _BINS])
    visits: list[list[int]] = field(default_factory=lambda: [[0] * _BINS, [0] * _BINS])
    bin_total: float = 0.0
    bin_count: int = 0
    deviation: float = 0.0
    anchored: bool = False
    level: float = 0.0
    slope: float = 0.0
    method: Method = "none"
    ahead: list[float] = field(default_factory=list)
    pending: list[list[float]] = field(default_factory=list)
    errors: list[float] = field(default_factory=lambda: [0.0] * HORIZON)
    scored: list[int] = field(default_factory=lambda: [0] * HORIZON)
    trials: Trials = field(default_factory=Trials)

    def observe(self, now: int, value: float, limit: float, offset_s: int = 0) -> bool:
        """Take a value at forest time `now` (microseconds); tell whether a slot of five minutes was closed by it.

        `offset_s` is the local time's distance from UTC: days and weekends are those of the people.
        """
        slot = now // SLOT_US
        closed = bool(self.slot) and slot > self.slot
        if closed:
            self._close(self.slot, self.total / self.count, limit, offset_s)
            if slot > self.slot + 1:
                self._lapse()
        if slot != self.slot:
            self.slot, self.total, self.count = slot, 0.0, 0
        self.total += value
        self.count += 1
        return closed

    def outlook(self, limit: float) -> Outlook:
        """Say what the next hour brings, and whether that may be an alert."""
        trials = self.trials
        choice = trials.choice(NEEDED)
        margin = MARGINS[choice] if choice is not None else MARGINS[-1]
        best = choice if choice is not None else trials.best()
        precision, cases = trials.precision(best), trials.cases(best)
        peak, minutes, bound = self.value, 0, self.value
        for step, value in enumerate(self.ahead):
            if value > peak or step == 0:
                peak, minutes = value, 5 * (step + 1)
                bound = value - margin * self._error(step)
        abstains = ""
        if self.method == "none":
            abstains = f"{self.slots * 5} min of history, {TREND_AT * 5} needed"
        elif choice is None:
            abstains = trials.doubt(best, NEEDED)
        alert = not abstains and trials.standing(limit, self.ahead, self._errors()) > margin
        return Outlook(
            method=self.method,
            value=self.value,
            peak=peak,
            bound=bound,
            minutes=minutes,
            alert=alert,
            precision=precision,
            cases=cases,
            margin=margin,
            abstains=abstains,
        )

    def _close(self, slot: int, value: float, limit: float, offset_s: int) -> None:
        """Learn from a finished slot: score, learn, look ahead, practise."""
        local = slot + offset_s * 1_000_000 // SLOT_US
        self._score(slot, value)
        self.slots += 1
        self.value = value
        self._learn(local, value)
        method: Method = (
            "none" if self.slots < TREND_AT else "trend" if self.slots < PROFILE_AT else "profile"
        )
        if method != self.method:
            self.method = method
            self._forget()
        self.ahead = self._forecast(local)
        if self.ahead:
            self.pending.append([float(slot), *self.ahead])
        self.trials.take(slot, value, limit, self.ahead, self._errors())

    def _learn(self, local: int, value: float) -> None:
        usual = self._usual(local)
        if usual is not None:
            error = value - usual
            self.deviation += (_TAKES if self.anchored else 1.0) * (error - self.deviation)
            self.anchored = True
        before = self.level
        if self.slots == 1:
            self.level = value
        else:
            expected = self.level + _DAMPED * self.slope
            self.level = expected + _TAKES * (value - expected)
            self.slope = _DAMPED * self.slope + _TREND_TAKES * (self.level - before - _DAMPED * self.slope)
        self.bin_total += value
        self.bin_count += 1
        if local % _BIN == _BIN - 1:
            kind, place = _kind(local), local % DAY // _BIN
            self.visits[kind][place] += 1
            share = max(1.0 / self.visits[kind][place], _LEARNS)
            mean = self.bin_total / self.bin_count
            self.profile[kind][place] += share * (mean - self.profile[kind][place])
            self.bin_total, self.bin_count = 0.0, 0

    def _usual(self, local: int) -> float | None:
        """Return the profile at a slot, between the middles of two bins; the other kind of day where one is new."""
        place = (local % DAY + 0.5) / _BIN - 0.5
        first = int(place // 1)
        share = place - first
        result = 0.0
        for place_of, weight in ((first % _BINS, 1.0 - share), ((first + 1) % _BINS, share)):
            kind = _kind(local)
            if not self.visits[kind][place_of]:
                kind = 1 - kind
            if not self.visits[kind][place_of]:
                return None
            result += weight * self.profile[kind][place_of]
        return result

    def _forecast(self, local: int) -> list[float]:
        if self.method == "none":
            return []
        if self.method == "trend":
            reach, values = 0.0, []
            for step in range(HORIZON):
                reach += _DAMPED ** (step + 1)
                values.append(self.level + self.slope * reach)
            return values
        usual = [self._usual(local + step + 1) for step in range(HORIZON)]
        return [
            (value if value is not None else self.level) + _LASTS ** (step + 1) * self.deviation
            for step, value in enumerate(usual)
        ]

    def _score(self, slot: int, value: float) -> None:
        kept = []
        for made in self.pending:
            step = slot - int(made[0]) - 1
            if not 0 <= step < HORIZON:
                continue
            self.scored[step] += 1
            share = max(1.0 / self.scored[step], 0.5 / DAY)
            error = value - made[step + 1]
            self.errors[step] += share * (error * error - self.errors[step])
            if step + 1 < HORIZON:
                kept.append(made)
        self.pending = kept

    def _error(self, step: int) -> float:
        return float(self.errors[step] ** 0.5)

    def _errors(self) -> list[float]:
        return [self._error(step) for step in range(HORIZON)]

    def _forget(self) -> None:
        """Begin the validation anew: another method's record proves nothing."""
        self.pending = []
        self.errors = [0.0] * HORIZON
        self.scored = [0] * HORIZON
        self.trials.restart()

    def _lapse(self) -> None:
        """Nothing was seen for a while: what was under way is not judged, the deviation starts afresh."""
        self.pending = []
        self.anchored = False
        self.bin_total, self.bin_count = 0.0, 0
        self.trials.interrupt()


def _kind(local: int) -> int:
    """Return 1 for a Saturday or Sunday."""
    return int((local // DAY + _THURSDAY) % 7 >= 5)

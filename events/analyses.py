"""What the daily analysis found, so that it stands in the log beside what it is about."""

from msgspec import Struct

from events.event import Event


class Indicator(Struct, frozen=True, array_like=True):
    """One indicator of a day: without data `value` and `met` are null. `n` is how many things it rests on."""

    name: str
    value: float | None
    target: float
    met: bool | None
    n: int


class Advice(Struct, frozen=True, kw_only=True):
    """One recommendation; `sql` asks for what it rests on."""

    rule: str
    target: str
    text: str
    sql: str = ""


class DailyAnalysed(Event, frozen=True, kw_only=True):
    """Somebody had a day analysed as of a position. `day` is a date, `digest` covers the whole report."""

    day: str
    position: int
    digest: str
    indicators: tuple[Indicator, ...] = ()
    recommendations: tuple[Advice, ...] = ()


class TuningFound(Event, frozen=True, kw_only=True):
    """A person had a distribution policy judged on recorded work that the search for it had not seen.

    `gain` is the share of the mean response time that it saves against `now_policy`, `low` to `high` its 95 % interval
    over `windows` of time; `p99` in times that of `pull_fifo`, `spread` in points, `largest` in percent. `objections`
    say what spoke against it: the person wants it all the same. It is tried on a `share` of the tasks for `trial_s`
    seconds at most, and judged once `least` of them and as many others were there.
    """

    policy: str
    now_policy: str
    gain: float
    low: float
    high: float
    p99: float
    spread: float
    largest: float
    tasks: int
    windows: int
    parameters: dict[str, float] = {}
    now_parameters: dict[str, float] = {}
    objections: tuple[str, ...] = ()
    share: float = 0.2
    trial_s: float = 3600.0
    least: int = 50


class TuningWithdrawn(Event, frozen=True, kw_only=True):
    """A person takes back what tuning adopted: the policy of the file counts again."""

    reason: str = ""

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

"""The Wisdom elf's rules about rules: what did not help is to be advice only, forecasts are to warn at another load.

`rule_precision`: less than half of at least 20 acts of a rule was good. `useful_acts`: less than 70 % of an elf's acts
on each of three days in a row: half the refill of its mana, its worst rule to advise. `forecast_limit`: the load that
forecasts warn of, in steps of 5 and never further than 10 from the printed 85.
"""

from collections.abc import Iterator

from msgspec import Struct, field

from actors.elves import View
from actors.elves.lessons import Lesson, sql
from events.decisions import Decided, ScoreAlert
from events.envelope import Recorded
from events.outcomes import EffectFailed, EffectVerified
from projections.workbook import DAY_US

LEAST, HALF = 20, 0.5
USEFUL, DAYS = 0.7, 3
STEP, PRINTED, REACH = 5.0, 85.0, 10.0
PRECISE, SURE, MISSED = 0.8, 0.95, 0.25
_OPEN = 500
_LAST_SCORES = 100


class Uses(Struct):
    """How often a rule's acts passed their check, and how often not."""

    good: int = 0
    bad: int = 0

    @property
    def count(self) -> int:
        """All of them."""
        return self.good + self.bad

    @property
    def precision(self) -> float:
        """The good ones' share."""
        return self.good / self.count if self.count else 0.0


class RulesState(Struct):
    """Acts whose outcome is open, uses by `elf/rule`, days of each elf in order, the verdicts of the last forecasts."""

    open: dict[str, str] = field(default_factory=dict)
    rules: dict[str, Uses] = field(default_factory=dict)
    days: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)
    scores: list[str] = field(default_factory=list)


def begins(event: Recorded) -> bool:
    """Tell whether there is something to learn from: an act that can fail, or a forecast that was judged."""
    body = event.body
    return isinstance(body, Decided) and (body.action.effect or isinstance(body.action, ScoreAlert))


def fold(state: RulesState, event: Recorded, view: View) -> None:
    """Take one event."""
    body = event.body
    match body:
        case Decided(action=ScoreAlert(verdict=verdict), mode="act"):
            state.scores.append(verdict)
            del state.scores[:-_LAST_SCORES]
        case Decided(mode="act") if body.action.effect:
            state.open[event.id] = f"{body.elf}/{body.rule}"
            while len(state.open) > _OPEN:
                del state.open[next(iter(state.open))]
        case EffectVerified(decision=decision) | EffectFailed(decision=decision):
            key = state.open.pop(decision, "")
            if key:
                _count(state, key, isinstance(body, EffectVerified), view.timeline.now)
        case _:
            return


def _count(state: RulesState, key: str, good: bool, now: int) -> None:
    uses = state.rules.setdefault(key, Uses())
    days = state.days.setdefault(key.partition("/")[0], [])
    day = now // DAY_US
    if not days or days[-1][0] != day:
        days.append((day, 0, 0))
        del days[:-DAYS]
    _, verified, executed = days[-1]
    days[-1] = (day, verified + good, executed + 1)
    if good:
        uses.good += 1
    else:
        uses.bad += 1


def lessons(state: RulesState, view: View) -> Iterator[tuple[str, str, Lesson]]:
    """Yield what may be proposed now: rule, target, lesson."""
    for key, uses in sorted(state.rules.items()):
        if uses.count >= LEAST and uses.precision < HALF:
            yield "rule_precision", key.replace("/", "."), _to_advise(key, uses)
    for elf, days in sorted(state.days.items()):
        shares = [verified / executed for _, verified, executed in days if executed]
        following = len(days) == DAYS and days[-1][0] - days[0][0] == DAYS - 1
        if following and len(shares) == DAYS and max(shares) < USEFUL:
            yield "useful_acts", elf, _less_mana(state, elf, days, view)
    lesson = _limit(state, view)
    if lesson:
        yield "forecast_limit", "predicted_overload", lesson


def _to_advise(key: str, uses: Uses) -> Lesson:
    elf, _, rule = key.partition("/")
    low, high = wilson(uses.good, uses.count)
    return Lesson(
        key=key,
        claim=f"rule {rule} of {elf} helped {uses.good} of {uses.count} times",
        gain="share of its acts that helped; as advice it costs no mana and disturbs nothing",
        low=low,
        high=high,
        n=uses.count,
        sql=sql("SELECT * FROM rules_learnt WHERE elf = $elf AND rule = $rule", elf=elf, rule=rule),
        risk="where it would have helped a person has to act",
        rollback=f"elf mode {elf}.{rule} act",
        change={
            "what": f"elf mode {elf}.{rule} advise",
            "key": f"{elf}.{rule}",
            "now": "act",
            "to": "advise",
        },
    )


def _less_mana(state: RulesState, elf: str, days: list[tuple[int, int, int]], view: View) -> Lesson:
    verified, executed = sum(day[1] for day in days), sum(day[2] for day in days)
    mine = {key: uses for key, uses in state.rules.items() if key.startswith(f"{elf}/") and uses.bad}
    worst = min(mine, key=lambda key: (mine[key].precision, -mine[key].bad, key)).partition("/")[2]
    settings = next((item for item in view.settings.elves if item.name == elf), None)
    now = settings.mana.refill_per_hour if settings else 0
    low, high = wilson(verified, executed)
    return Lesson(
        key=f"{elf}/{worst}",
        claim=f"{verified} of {executed} acts of {elf} helped in the last {DAYS} days, on none of them {USEFUL:.0%}",
        gain="share of its acts that helped; with half the refill it does half as much",
        low=low,
        high=high,
        n=executed,
        sql=sql("SELECT * FROM elf_days WHERE elf = $elf ORDER BY day DESC LIMIT 3", elf=elf),
        risk="what it does too late a person has to do",
        rollback=f"the refill as it was; elf mode {elf}.{worst} act",
        change={
            "what": f"[elf.{elf}] mana refill_per_hour, and elf mode {elf}.{worst} advise",
            "key": "refill_per_hour",
            "now": now,
            "to": now // 2,
        },
    )


def _limit(state: RulesState, view: View) -> Lesson | None:
    """Return another load to warn of: higher where many are wrong, lower where they are sure and miss much."""
    right, wrong = state.scores.count("right"), state.scores.count("wrong")
    missed, count = state.scores.count("missed"), right + wrong
    if count < LEAST:
        return None
    precision, now = right / count, view.settings.limits.predicted_overload
    to = now
    if precision < PRECISE:
        to = min(PRINTED + REACH, now + STEP)
    elif precision >= SURE and missed >= MISSED * (right + missed):
        to = max(PRINTED - REACH, now - STEP)
    if to == now:
        return None
    low, high = wilson(right, count)
    return Lesson(
        key=f"{to:g}",
        claim=f"{right} of {count} forecasts were right and {missed} overloads came without one:"
        f" warn of {to:g}, not {now:g}",
        gain="share of the forecasts that were right",
        low=low,
        high=high,
        n=count,
        sql="SELECT verdict, count(*) FROM forecasts GROUP BY verdict",
        risk="overloads between the two loads are not foretold"
        if to > now
        else "more alerts, some of them wrong",
        rollback=f"[limits] predicted_overload = {now:g}",
        change={"what": "[limits]", "key": "predicted_overload", "now": now, "to": to},
    )


def wilson(good: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson's score interval)."""
    if not count:
        return 0.0, 1.0
    share, base = good / count, 1 + z * z / count
    middle = (share + z * z / (2 * count)) / base
    reach = z * ((share * (1 - share) + z * z / (4 * count)) / count) ** 0.5 / base
    return max(0.0, middle - reach), min(1.0, middle + reach)

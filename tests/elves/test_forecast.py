"""The forecast speaks where its record allows it, says why where not, and is the same from the same values."""

from math import pi, sin
from random import Random

import msgspec

from actors.elves.forecast import DAY, SLOT_US, Outlook, Series
from actors.elves.forecast_trials import LEAD, MARGINS, RUN, Trials

THURSDAY = 700 * 7 * DAY


def daily(slot: int, noise: float, random: Random) -> float:
    """Return a load that passes 85 for some hours every day."""
    return 55.0 + 40.0 * sin(2 * pi * (slot % DAY) / DAY) + random.gauss(0.0, noise)


def walk(values: list[float], limit: float = 85.0, start: int = THURSDAY) -> tuple[Series, list[Outlook]]:
    """Return the series after all values and its outlook behind each."""
    series = Series()
    outlooks = []
    for place, value in enumerate([*values, 0.0]):
        if series.observe((start + place) * SLOT_US, value, limit):
            outlooks.append(series.outlook(limit))
    return series, outlooks


def test_without_two_hours_of_history_nothing_is_said() -> None:
    _, outlooks = walk([99.0] * 23)
    assert {outlook.method for outlook in outlooks} == {"none"}
    assert outlooks[-1].abstains == "115 min of history, 120 needed"
    assert not any(outlook.alert for outlook in outlooks)


def test_a_trend_needs_a_record_before_it_may_speak() -> None:
    series, outlooks = walk([10.0 + place for place in range(70)])
    assert outlooks[-1].method == "trend"
    assert 80.0 < outlooks[-1].peak < 95.0
    assert "validated forecasts" in outlooks[-1].abstains
    assert not outlooks[-1].alert
    assert series.trials.cases(0) < 4


def test_a_daily_peak_is_foreseen_within_the_ninety_minutes_before_it() -> None:
    random = Random(1)
    values = [daily(slot, 2.0, random) for slot in range(9 * DAY)]
    _, outlooks = walk(values)
    assert outlooks[-1].method == "profile"
    begins = [
        place
        for place in range(5 * DAY, 9 * DAY - RUN)
        if values[place - 1] <= 85.0 and all(value > 85.0 for value in values[place : place + RUN])
    ]
    days = {begin // DAY: begin for begin in reversed(begins)}
    assert len(days) == 4
    for begin in days.values():
        early = [place for place in range(begin - DAY // 4, begin) if outlooks[place].alert]
        assert early
        assert begin - early[0] <= LEAD


def test_what_cannot_be_foreseen_is_not() -> None:
    random = Random(2)
    values = [70.0 + 20.0 * (random.random() < 0.02) + random.gauss(0.0, 4.0) for _ in range(3 * DAY)]
    for place in range(3 * DAY, 8 * DAY):
        # A load that walks about and is pulled back: each crossing is chance.
        values.append(values[place - 1] + random.gauss(0.0, 5.0) - 0.15 * (values[place - 1] - 75.0))
    _, outlooks = walk(values)
    judged = outlooks[5 * DAY :]
    assert sum(bool(outlook.abstains) for outlook in judged) > len(judged) * 0.6
    assert sum(outlook.alert for outlook in judged) < len(judged) * 0.01


def test_no_alert_is_raised_while_the_load_is_over_the_limit() -> None:
    random = Random(3)
    values = [daily(slot, 1.0, random) for slot in range(6 * DAY)]
    _, outlooks = walk(values)
    assert any(outlook.alert for outlook in outlooks)
    assert not any(outlook.alert and outlook.value > 85.0 for outlook in outlooks)


def test_a_snapshot_in_the_middle_changes_nothing_and_its_size_is_bounded() -> None:
    random = Random(4)
    values = [daily(slot, 3.0, random) for slot in range(5 * DAY)]
    whole, outlooks = walk(values)
    series = Series()
    said = []
    sizes = []
    for place, value in enumerate([*values, 0.0]):
        if place % 500 == 499:
            data = msgspec.json.encode(series)
            sizes.append(len(data))
            series = msgspec.json.decode(data, type=Series)
        if series.observe((THURSDAY + place) * SLOT_US, value, 85.0):
            said.append(series.outlook(85.0))
    assert said == outlooks
    assert msgspec.json.encode(series) == msgspec.json.encode(whole)
    assert max(sizes) < 12_000


def test_values_of_one_slot_are_one_mean() -> None:
    series = Series()
    for second in range(0, 300, 5):
        assert not series.observe(THURSDAY * SLOT_US + second * 1_000_000, float(second % 10), 85.0)
    assert series.observe((THURSDAY + 1) * SLOT_US, 0.0, 85.0)
    assert series.value == 2.5


def test_a_gap_leaves_what_was_under_way_unjudged() -> None:
    random = Random(5)
    series, _ = walk([daily(slot, 2.0, random) for slot in range(3 * DAY)])
    cases = [series.trials.cases(margin) for margin in range(len(MARGINS))]
    later = (THURSDAY + 5 * DAY) * SLOT_US
    series.observe(later, 55.0, 85.0)
    assert series.pending == []
    assert not any(any(trial.opened) for trial in series.trials.levels)
    after = [series.trials.cases(margin) for margin in range(len(MARGINS))]
    assert after == cases or max(abs(a - b) for a, b in zip(after, cases, strict=True)) < 0.1


def test_a_record_that_was_wrong_too_often_silences_and_a_better_one_lets_speak() -> None:
    trials = Trials()
    trials.right, trials.wrong = [9.0] * 4, [9.0] * 4
    assert trials.choice(0.8) is None
    assert trials.doubt(trials.best(), 0.8) == "precision 0.64 in 18 validated forecasts, 0.80 needed"
    trials.wrong = [9.0, 9.0, 1.0, 0.0]
    assert trials.choice(0.8) == 2

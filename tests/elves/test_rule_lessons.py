"""What Wisdom learns of the elves' own rules."""

from typing import Any

from actors.elves.rule_lessons import RulesState, fold, lessons, wilson
from actors.elves.wisdom_elf import WisdomElf
from events.decisions import ClearAlert, Decided, Propose, RestartUnit, ScoreAlert
from events.observations import Sampled
from events.outcomes import EffectFailed, EffectVerified
from events.settings import Limits
from tests.elves import Given, settings

DAY = 86_400.0


def act(given: Given, ordinal: int, good: bool, elf: str = "healing", rule: str = "leak") -> None:
    """Let an elf act, and its act pass its check or not."""
    name = f"act{ordinal}-{len(given.events)}"
    given.say(_decided(given, elf, rule, RestartUnit(generation=1)), id=name)
    end = (
        EffectVerified(decision=name, target="a")
        if good
        else EffectFailed(decision=name, target="a", error="no")
    )
    given.say(end)


def score(given: Given, verdict: Any, count: int) -> None:
    """Let forecasts be judged."""
    for _ in range(count):
        given.say(_decided(given, "wisdom", "score", ScoreAlert(alert="x", verdict=verdict)))


def _decided(given: Given, elf: str, rule: str, action: Any) -> Decided:
    return Decided(
        elf=elf, rule=rule, target="a", action=action, reason="r", text="t", trigger=1, as_of=1,
        epoch=given.mind.view.timeline.epoch, ordinal=0, size=1, policy=elf, version="1", settings="s",
    )  # fmt: skip


def proposals(given: Given, s: float = DAY) -> list[Decided]:
    """Let a day pass and return what is proposed then."""
    given.say(Sampled(full=False))
    given.say(Sampled(full=False), s=s)
    return [one for one in given.then() if isinstance(one.action, Propose)]


def test_a_rule_of_which_less_than_half_helped_is_to_be_advice_only() -> None:
    given = Given(WisdomElf())
    for number in range(20):
        act(given, number, good=number % 3 == 0)
    (proposed,) = proposals(given)
    assert (proposed.rule, proposed.target) == ("rule_precision", "healing.leak")
    assert isinstance(proposed.action, Propose)
    assert proposed.action.claim == "rule leak of healing helped 7 of 20 times"
    assert proposed.action.change["what"] == "elf mode healing.leak advise"
    assert proposed.action.low < 0.35 < proposed.action.high


def test_nothing_is_said_of_a_rule_that_helps_or_was_used_too_little() -> None:
    given = Given(WisdomElf())
    for number in range(19):
        act(given, number, good=False)
    for number in range(40):
        act(given, number, good=number % 2 == 0, rule="silent")
    assert proposals(given) == []


def test_three_bad_days_in_a_row_halve_the_refill_and_name_the_worst_rule() -> None:
    given = Given(WisdomElf())
    for _ in range(3):
        for number in range(4):
            act(given, number, good=number < 2, rule="a" if number % 2 else "b")
        act(given, 9, good=False, rule="worst")
        given.say(Sampled(full=False), s=DAY)
    found = [one for one in given.then() if one.rule == "useful_acts"]
    assert [one.target for one in found] == ["healing"]
    action = found[0].action
    assert isinstance(action, Propose)
    assert action.claim == "6 of 15 acts of healing helped in the last 3 days, on none of them 70%"
    assert "elf mode healing.worst advise" in action.change["what"]


def test_two_bad_days_are_not_enough_and_neither_are_three_with_a_gap() -> None:
    for gaps in ((1, 1), (1, 2, 1)):
        state, given = RulesState(), Given(WisdomElf())
        for gap in gaps:
            act(given, 1, good=False)
            given.say(Sampled(full=False), s=gap * DAY)
        _replay(state, given)
        assert [rule for rule, _, _ in lessons(state, given.mind.view)] == []


def _replay(state: RulesState, given: Given) -> None:
    again = Given(WisdomElf())
    for event in given.events:
        again.mind.view.timeline.apply(event)
        fold(state, event, again.mind.view)


def test_the_load_that_forecasts_warn_of_moves_in_steps_and_never_further_than_ten() -> None:
    found = [_limit(right=10, wrong=10, missed=0, now=now) for now in (85.0, 90.0, 95.0)]
    assert found == [90.0, 95.0, None]
    assert [_limit(right=20, wrong=0, missed=10, now=now) for now in (85.0, 80.0, 75.0)] == [80.0, 75.0, None]
    assert _limit(right=18, wrong=2, missed=30, now=85.0) is None
    assert _limit(right=9, wrong=10, missed=0, now=85.0) is None


def _limit(right: int, wrong: int, missed: int, now: float) -> float | None:
    given = Given(WisdomElf(), settings(limits=Limits(predicted_overload=now)))
    for verdict, count in (("right", right), ("wrong", wrong), ("missed", missed)):
        score(given, verdict, count)
    said = [one.action for one in proposals(given) if one.rule == "forecast_limit"]
    return next((one.change["to"] for one in said if isinstance(one, Propose)), None)


def test_acts_without_an_effect_teach_nothing() -> None:
    given = Given(WisdomElf())
    given.say(_decided(given, "flow", "speed", ClearAlert(cause="x")))
    assert not given.mind.own.proposing.rules


def test_the_interval_of_a_share() -> None:
    low, high = wilson(50, 100)
    assert round(low, 3) == 0.404
    assert round(high, 3) == 0.596
    assert wilson(0, 0) == (0.0, 1.0)

"""What the views say of the elves' own rules, each beside what was worked out by hand."""

import datetime as dt

from events.decisions import ClearAlert, RaiseAlert, RestartUnit, ScoreAlert
from events.observations import LeaseTaken, Sampled
from events.outcomes import EffectFailed, EffectVerified
from events.settings import Settings, SettingsAdopted
from tests.projections.conftest import Tell
from tests.projections.scenes import Scene

NODE = "node.n1"
DAY = 86_400.0


def opened() -> Scene:
    """A node leads from midnight on."""
    scene = Scene()
    scene.say(LeaseTaken(holder="n1"), NODE, second=0)
    scene.say(SettingsAdopted(origin="file", digest="s", settings=Settings(node="n1")), NODE, second=0)
    return scene


def act(scene: Scene, at: float, good: bool, target: str = "w-1", rule: str = "crash") -> None:
    """Let a rule act, and its act pass its check or not ten seconds later."""
    decision = scene.decide(RestartUnit(generation=1), target, rule=rule, second=at)
    end = EffectVerified(decision=decision, target=target)
    bad = EffectFailed(decision=decision, target=target, error="no")
    scene.say(end if good else bad, NODE, second=at + 10)


def alert(scene: Scene, since: float, until: float, target: str, acts: bool) -> None:
    """Let an alert be open for a while, with an act on its target or without."""
    raised = RaiseAlert(cause="silent", severity="warning")
    scene.decide(raised, target, elf="flow", rule="silent", second=since)
    if acts:
        act(scene, since + 5, True, target)
    scene.decide(ClearAlert(cause="silent"), target, elf="flow", rule="silent", second=until)


def test_precision_of_a_rule_and_whether_it_is_to_be_advice(tell: Tell) -> None:
    scene = opened()
    for number in range(20):
        act(scene, 100.0 + 20 * number, number < 9)
    for number in range(10):
        act(scene, 1000.0 + 20 * number, number < 2, rule="leak")
    scene.say(Sampled(full=False), NODE, second=2000)
    rows = tell(scene)("SELECT rule, uses, good, precision, advise FROM rules_learnt ORDER BY rule")
    assert rows == [
        {"rule": "crash", "uses": 20, "good": 9, "precision": 0.45, "advise": True},
        {"rule": "leak", "uses": 10, "good": 2, "precision": 0.2, "advise": False},
    ]


def test_minutes_saved_against_alerts_of_the_same_cause_in_which_nobody_acted(tell: Tell) -> None:
    scene = opened()
    alert(scene, 100, 220, "w-1", acts=True)
    alert(scene, 300, 360, "w-2", acts=True)
    alert(scene, 400, 1000, "w-3", acts=False)
    scene.say(Sampled(full=False), NODE, second=2000)
    (row,) = tell(scene)("SELECT elf, rule, minutes_saved, alerts FROM rules_learnt")
    # Two and one minutes instead of ten.
    assert row == {"elf": "healing", "rule": "crash", "minutes_saved": 8.5, "alerts": 2}


def test_without_anything_to_compare_with_no_minutes_are_claimed(tell: Tell) -> None:
    scene = opened()
    alert(scene, 100, 220, "w-1", acts=True)
    scene.say(Sampled(full=False), NODE, second=2000)
    (row,) = tell(scene)("SELECT minutes_saved, alerts, advise FROM rules_learnt")
    assert row == {"minutes_saved": None, "alerts": None, "advise": False}


def test_forecasts_count_as_uses_of_their_rule(tell: Tell) -> None:
    scene = opened()
    for number, verdict in enumerate(["right", "right", "right", "wrong", "averted", "missed"]):
        score = ScoreAlert(alert=f"a{number}", verdict=verdict)  # type: ignore[arg-type]
        scene.decide(score, "CC01", elf="wisdom", rule="score", second=100.0 + number)
    scene.say(Sampled(full=False), NODE, second=2000)
    (row,) = tell(scene)("SELECT elf, rule, uses, good, precision, averted, missed FROM rules_learnt")
    assert row == {
        "elf": "wisdom", "rule": "overload", "uses": 4, "good": 3, "precision": 0.75, "averted": 1, "missed": 1,
    }  # fmt: skip


def test_useful_acts_of_each_day(tell: Tell) -> None:
    scene = opened()
    for number in range(4):
        act(scene, 100.0 + 20 * number, number < 3)
    act(scene, DAY + 100, False)
    scene.say(Sampled(full=False), NODE, second=DAY + 200)
    rows = tell(scene)("SELECT day, executed, verified, useful FROM elf_days ORDER BY day")
    assert rows == [
        {"day": dt.date(2026, 1, 1), "executed": 4, "verified": 3, "useful": 0.75},
        {"day": dt.date(2026, 1, 2), "executed": 1, "verified": 0, "useful": 0.0},
    ]

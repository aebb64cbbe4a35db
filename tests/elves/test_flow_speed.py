"""Queues that drain too slowly or slower than usual, and the cause that is named first."""

from collections.abc import Callable

import pytest

from events.decisions import ClearAlert, RaiseAlert
from events.observations import IntentSet
from events.settings import Limits
from tests.elves.mill import Mill


def slower(mill: Mill, share: float, ms: int = 0) -> Mill:
    """Let all hands do a share of what they did."""
    for hand in mill.hands.values():
        hand.pace *= share
        hand.ms = ms or hand.ms
    return mill


# --- the backlog in time -------------------------------------------------------------------------------------


def test_a_hundred_short_tasks_are_no_problem_and_a_few_long_ones_are() -> None:
    quick = Mill()
    quick.pending = 99
    assert quick.run(10).said("drain") == []
    slow = Mill(workers=1)
    slow.hands["w-1"].pace = 0.5
    slow.pending, slow.in_flight = 3, 1
    slow.run(8)
    assert slow.said("drain") == []
    slow.pending = 8
    raised = slow.run(1).said("drain")[0]
    assert raised.action == RaiseAlert(cause="drain", severity="warning")
    assert (raised.inputs["backlog"], raised.inputs["limit"]) == (9, 600.0)
    assert raised.inputs["lasts_s"] > 600
    assert set(raised.inputs) >= {"arrivals_per_min", "done_per_min", "oldest_s"}


def test_a_backlog_that_shrinks_below_four_fifths_of_the_limit_clears_its_alert() -> None:
    mill = Mill(workers=1, limits=Limits(queue_drain_s=60.0))
    mill.pending = 20
    mill.run(5)
    assert len(mill.said("drain")) == 1
    mill.pending = 10
    assert len(mill.run(2).said("drain")) == 1
    mill.pending = 8
    assert mill.run(2).said("drain")[-1].action == ClearAlert(cause="drain")


def test_a_queue_that_has_just_begun_says_nothing_about_its_drain() -> None:
    mill = Mill(workers=1)
    mill.pending = 5000
    assert mill.run(2.5).said("drain") == []
    assert mill.run(2).said("drain") != []


# --- the speed -----------------------------------------------------------------------------------------------


def test_half_of_the_usual_speed_for_three_minutes_is_said_with_its_cause_and_clears_when_it_is_back() -> (
    None
):
    mill = Mill().run(20)
    slower(mill, 0.4)
    assert mill.run(2).said("speed") == []
    (raised,) = mill.run(3).said("speed")
    assert raised.action == RaiseAlert(cause="slow_queue", severity="warning")
    assert (raised.inputs["usual_of"], raised.inputs["window_min"]) == ("hour", 3)
    assert raised.inputs["usual_per_min"] == pytest.approx(48, rel=0.1)
    assert raised.inputs["done_per_min"] < 24
    assert [one.name for one in raised.candidates] == [
        "fewer_workers",
        "slow_peer",
        "longer_tasks",
        "cpu_pressure",
        "memory_pause",
        "errors",
        "broker",
        "slower_tasks",
    ]
    slower(mill, 2.5)
    assert mill.run(5).said("speed")[-1].action == ClearAlert(cause="slow_queue")


def test_a_speed_just_above_half_is_no_alarm_and_none_without_work() -> None:
    mill = slower(Mill().run(20), 0.6).run(20)
    assert mill.said("speed") == []
    mill = slower(Mill().run(20), 0.1)
    mill.pending = 0
    assert mill.run(20).said("speed") == []


def test_the_usual_speed_is_that_of_the_same_hour_in_other_weeks_once_two_are_known() -> None:
    mill = Mill(workers=1)
    mill.hands["w-1"].pace = 4.0
    mill.run(60)
    week = 7 * 24 * 3600
    start = mill.now
    for number in (1, 2):
        mill.now = start + number * week * 1_000_000
        mill.run(65)
    assert mill.said("speed") == []
    mill.now = start + 3 * week * 1_000_000
    mill.hands["w-1"].pace = 1.5
    raised = mill.run(25).said("speed")[0]
    assert raised.inputs["usual_of"] == "week"
    assert raised.inputs["usual_per_min"] == pytest.approx(4, rel=0.1)


def test_few_long_tasks_are_judged_over_longer_times() -> None:
    mill = Mill(workers=1)
    mill.hands["w-1"].pace = 0.8
    mill.run(59)
    assert mill.said("speed") == []


# --- the cause -----------------------------------------------------------------------------------------------


def fewer(mill: Mill) -> None:
    mill.died("w-1").died("w-2").died("w-3")


def slow_peer(mill: Mill) -> None:
    # One that did most of the work does almost none.
    mill.hands["w-1"].pace = 1.0


def longer(mill: Mill) -> None:
    for name, hand in mill.hands.items():
        if name != "w-4":
            hand.kind, hand.ms, hand.pace = "long", 20_000, 3.0


def cpu(mill: Mill) -> None:
    mill.cpu = 990
    slower(mill, 0.4, ms=2500)


def memory(mill: Mill) -> None:
    for name in ("w-1", "w-2", "w-3"):
        mill.hands[name].pace, mill.hands[name].memory = 0.0, 97
    mill.hands["w-4"].pace = 9.0


def paused(mill: Mill) -> None:
    mill.say(IntentSet(target="w", intent="quiet"), source="operator.cli")
    slower(mill, 0.4)


def errors(mill: Mill) -> None:
    for hand in mill.hands.values():
        hand.failing = 7


def broker(mill: Mill) -> None:
    mill.pulls, mill.in_flight = 4, 0
    slower(mill, 0.3)


def slow_tasks(mill: Mill) -> None:
    slower(mill, 0.4, ms=2500)


def unknown(mill: Mill) -> None:
    slower(mill, 0.4)


@pytest.mark.parametrize(
    ("what", "cause"),
    [
        (fewer, "fewer_workers"),
        (slow_peer, "slow_peer"),
        (longer, "longer_tasks"),
        (cpu, "cpu_pressure"),
        (memory, "memory_pause"),
        (paused, "memory_pause"),
        (errors, "errors"),
        (broker, "broker"),
        (slow_tasks, "slower_tasks"),
        (unknown, "unknown"),
    ],
)
def test_the_cause_that_is_there_is_named(what: Callable[[Mill], None], cause: str) -> None:
    mill = Mill()
    if what is slow_peer:
        mill.hands["w-1"].pace = 60.0
    # Both kinds are known from before.
    mill.hands["w-4"].kind = "short"
    mill.hands["w-3"].kind = "short"
    mill.run(12)
    mill.hands["w-4"].kind, mill.hands["w-4"].ms, mill.hands["w-4"].pace = "long", 20_000, 3.0
    mill.run(3)
    mill.hands["w-4"].kind, mill.hands["w-4"].ms, mill.hands["w-4"].pace = "short", 1000, 12.0
    mill.run(15)
    assert mill.said("speed") == []
    what(mill)
    raised = mill.run(8).said("speed")[0]
    assert raised.inputs["cause"] == cause, raised.inputs


# --- workers beside each other -------------------------------------------------------------------------------


def test_one_that_does_far_more_than_its_share_is_said_once_beyond_chance() -> None:
    mill = Mill()
    mill.hands["w-1"].pace = 36.0
    (raised,) = mill.run(10).said("skew")
    assert raised.action == RaiseAlert(cause="skew", severity="info")
    assert (raised.inputs["unit"], raised.inputs["fair"]) == ("w-1", 0.25)
    mill.hands["w-1"].pace = 12.0
    assert mill.run(20).said("skew")[-1].action == ClearAlert(cause="skew")
    assert Mill().run(20).said("skew") == []


def test_fewer_than_fifty_tasks_show_no_skew() -> None:
    mill = slower(Mill(), 0.05)
    mill.hands["w-1"].pace = 4.0
    assert mill.run(8).said("skew") == []


def test_one_of_three_that_does_less_than_half_of_its_peers_is_named_until_it_keeps_up() -> None:
    mill = Mill(workers=3)
    mill.hands["w-2"].pace = 3.0
    (raised,) = mill.run(5).said("slow_peer")
    assert (raised.target, raised.action) == ("w-2", RaiseAlert(cause="slow_peer", severity="warning"))
    assert raised.inputs["chance"] < 0.01
    mill.hands["w-2"].pace = 12.0
    assert mill.run(12).said("slow_peer")[-1].action == ClearAlert(cause="slow_peer")


def test_two_cannot_be_compared_and_without_work_nobody_is_slow() -> None:
    mill = Mill(workers=2)
    mill.hands["w-2"].pace = 1.0
    assert mill.run(15).said("slow_peer") == []
    mill = Mill(workers=3)
    mill.hands["w-2"].pace = 1.0
    mill.pending = 0
    assert mill.run(15).said("slow_peer") == []

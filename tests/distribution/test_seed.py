"""The printed algorithm, frozen for ever: scores, capacity, choice, last resort."""

import pytest

from actors.elves.distribution import board_of, distribution
from events.settings import AgentSettings
from projections.dispatch import Dispatch
from projections.records import Load, Record
from tests.distribution import NOW, ledger
from tests.elves import SECOND


def worked(record: Record, completed: int, failed: int, response_s: float) -> None:
    """Give an agent a history whose mean response is this."""
    for number in range(completed + failed):
        record.ended(number < completed, response_s, NOW)


def seed_of(dispatch: Dispatch, fallback: str = "") -> list[tuple[str, str]]:
    """Place everything that waits; return agent and reason in order."""
    board = board_of(dispatch, distribution("seed", {}, fallback))
    placed = []
    while pick := board.pick(NOW):
        dispatch.assign(pick.key, pick.agent, NOW)
        placed.append((pick.agent, pick.reason))
    return placed


def test_a_new_agent_scores_50_and_has_a_capacity_of_50() -> None:
    load = Record().load(0)
    assert (load.score, load.capacity) == (50.0, 50.0)


def test_the_worked_example_scores_65_and_has_a_capacity_of_35() -> None:
    load = Load(tasks=3, completion_rate=0.9, response_s=300, error_rate=0.05)
    assert (load.score, load.capacity) == (65.0, 35.0)


@pytest.mark.parametrize("tasks", range(5))
def test_an_agent_exactly_on_target_scores_54_5_and_10_for_each_task(tasks: int) -> None:
    load = Load(tasks=tasks, completion_rate=0.95, response_s=1800, error_rate=0.02)
    assert load.score == pytest.approx(54.5 + 10 * tasks, abs=1e-9)


def test_ten_tasks_without_history_score_150_and_leave_no_capacity() -> None:
    load = Record().load(10)
    assert (load.score, load.capacity) == (150.0, 0.0)


def test_the_response_counts_up_to_ten_minutes_only() -> None:
    assert Load(0, 1.0, 600, 0.0).score == Load(0, 1.0, 6000, 0.0).score == 50.0
    assert Load(0, 1.0, 599, 0.0).score < 50.0


def test_rates_are_shares_of_what_ended_and_fade_with_a_half_life_of_a_day() -> None:
    record = Record()
    worked(record, 9, 1, 300)
    load = record.load(3)
    assert (load.completion_rate, load.response_s, load.error_rate) == (0.9, 300, 0.1)
    record.ended(True, 0, NOW + 86_400 * SECOND)
    assert record.load(0).completion_rate == pytest.approx((4.5 + 1) / 6)
    assert record.load(0).response_s == pytest.approx(1500 / 6)


def test_ties_go_to_the_order_of_the_configuration() -> None:
    dispatch = ledger(*(AgentSettings(name=name) for name in ("CC03", "CC01", "CC02")))
    for number in range(4):
        dispatch.submit("q", f"t{number}", number + 1, NOW)
    assert [agent for agent, _ in seed_of(dispatch)] == ["CC03", "CC01", "CC02", "CC03"]


def test_capacity_must_exceed_the_complexity_strictly() -> None:
    dispatch = ledger()
    dispatch.submit("q", "fits", 1, NOW, complexity=49)
    dispatch.submit("q", "not", 2, NOW, complexity=50)
    assert seed_of(dispatch) == [("CC01", "seed"), ("CC01", "fallback")]


def test_the_last_resort_takes_everything_without_end() -> None:
    dispatch = ledger()
    for number in range(40):
        dispatch.submit("q", f"t{number}", number + 1, NOW, complexity=60)
    assert seed_of(dispatch) == [("CC01", "fallback")] * 40
    assert dispatch.load("CC01").score == 450.0


def test_the_last_resort_can_be_named() -> None:
    dispatch = ledger()
    dispatch.submit("q", "t", 1, NOW, complexity=90)
    assert seed_of(dispatch, "CC02") == [("CC02", "fallback")]


def test_a_last_resort_that_is_away_is_still_named_and_the_task_waits_for_it() -> None:
    dispatch = ledger()
    dispatch.mark("CC01", "down", NOW)
    dispatch.submit("q", "t", 1, NOW, complexity=90)
    assert seed_of(dispatch) == []
    assert [task.state for task in dispatch.tasks.values()] == ["waiting"]
    dispatch.mark("CC01", "alive", NOW)
    assert seed_of(dispatch) == [("CC01", "fallback")]


def test_a_high_task_of_a_failed_agent_goes_to_the_last_resort_others_by_score() -> None:
    dispatch = ledger()
    worked(dispatch.record("CC01"), 10, 0, 600)
    for name, priority in (("a", "high"), ("b", "middle")):
        dispatch.submit("q", name, 1, NOW, priority=priority)
        dispatch.assign(f"q/{name}", "CC02", NOW)
    dispatch.mark("CC02", "down", NOW)
    worked(dispatch.record("CC03"), 10, 0, 0)
    assert sorted(seed_of(dispatch)) == [("CC01", "high_of_failed"), ("CC03", "seed")]


def test_priorities_order_nothing() -> None:
    dispatch = ledger(AgentSettings(name="CC01"))
    board = board_of(dispatch, distribution("seed"))
    dispatch.submit("q", "a", 1, NOW, priority="low")
    dispatch.submit("q", "b", 2, NOW, priority="high")
    pick = board.pick(NOW)
    assert pick is not None
    assert pick.key == "q/a"


def test_the_repaired_seed_trusts_a_new_agent() -> None:
    load = Record().expected(0, NOW)
    assert load.score == pytest.approx(0.05 * 50 + 50 + 1)
    assert (load.completion_rate, load.error_rate) == (0.95, 0.01)


def test_history_weighs_less_from_day_to_day() -> None:
    record = Record()
    worked(record, 0, 50, 600)
    scores = [record.expected(0, NOW + day * 86_400 * SECOND).score for day in range(8)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 140
    assert scores[7] < 70


def test_the_repaired_seed_never_names_one_that_is_away_and_holds_where_nobody_lives() -> None:
    dispatch = ledger()
    board = board_of(dispatch, distribution("seed_repaired"))
    dispatch.mark("CC01", "down", NOW)
    dispatch.submit("q", "t", 1, NOW, complexity=99)
    pick = board.pick(NOW)
    assert pick is not None
    assert (pick.agent, pick.reason) == ("CC02", "fallback")
    for name in ("CC02", "CC03"):
        dispatch.mark(name, "down", NOW)
    assert board.pick(NOW) is None


def test_one_that_came_back_gets_one_task_at_first() -> None:
    dispatch = ledger()
    board = board_of(dispatch, distribution("seed_repaired"))
    dispatch.mark("CC01", "down", NOW)
    dispatch.mark("CC01", "alive", NOW)
    taken = []
    for number in range(9):
        dispatch.submit("q", f"t{number}", number + 1, NOW)
        pick = board.pick(NOW)
        assert pick is not None
        lease = dispatch.assign(pick.key, pick.agent, NOW)
        if pick.agent not in taken:
            dispatch.start(pick.key, pick.agent, lease, 100 + number, NOW)
        taken.append(pick.agent)
    assert taken.count("CC01") == 1
    later = NOW + 600 * SECOND
    dispatch.submit("q", "later", 10, later)
    pick = board.pick(later)
    assert pick is not None
    assert pick.agent == "CC01"

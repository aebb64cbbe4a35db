"""The Healing elf, rule by rule."""

from typing import Any

import pytest
from msgspec.structs import replace

from actors.elves.healing_elf import HealingElf
from events.decisions import (
    ClearAlert,
    ContinueUnit,
    Decided,
    QuarantineUnit,
    RaiseAlert,
    RestartUnit,
    StartUnit,
    StopUnit,
)
from events.observations import IntentSet, LeaseTaken, NodeStopping, WorkerExited, WorkerReady
from events.outcomes import WorkerStarted, WorkerStartOrdered
from events.settings import Limits, QueueSettings, RestartSettings, WorkerSettings
from events.tasks import TaskFinished
from tests.elves import SECOND, Given, sample, settings

ONE = settings(workers=(WorkerSettings(name="a", units=("a",), memory_limit=1000, launch="1"),))


def given(**changes: Any) -> Given:
    """One plain unit `a` with a memory limit of 1,000 bytes; `changes` are its pool's."""
    return Given(HealingElf(), with_worker(**changes))


def with_worker(**changes: Any) -> Any:
    """Return the settings of one pool with changes."""
    return settings(workers=(replace(ONE.workers[0], **changes),))


def only(decisions: list[Decided]) -> Decided:
    """Return the one decision there is."""
    (decided,) = decisions
    return decided


def living() -> Given:
    """Return a story in which generation 1 of `a` runs."""
    return given().born("a")


# --- start, stop, order, configuration ---------------------------------------------------------------------


def test_a_wanted_unit_is_started_once_and_waits_for_its_effect() -> None:
    story = given()
    first = only(story.then())
    assert (first.rule, first.action, first.cost) == ("start", StartUnit(generation=1), 0)
    assert story.tick().then() == []
    story.born("a").verify(first)
    assert story.tick(sample("a")).then() == []


def test_a_unit_waits_until_those_it_depends_on_are_ready() -> None:
    workers = (
        WorkerSettings(name="w", queue="q", units=("w",), launch="1"),
        WorkerSettings(name="z", units=("z",), launch="1", after=("w",)),
    )
    story = Given(HealingElf(), settings(workers=workers))
    assert [decided.target for decided in story.then()] == ["w"]
    story.born("w")
    assert story.tick(sample("w", age=0)).then() == []
    story.say(WorkerReady(unit="w", generation=1, pid=101))
    assert [decided.target for decided in story.then()] == ["z"]


def test_intent_stop_ends_a_unit_and_only_intent_run_brings_it_back() -> None:
    story = living()
    story.say(IntentSet(target="a", intent="stop"), source="operator.cli")
    stop = only(story.then())
    assert (stop.rule, stop.action, stop.reason) == ("stop", StopUnit(generation=1), "ordered")
    story.died("a").verify(stop)
    for _ in range(5):
        assert story.tick(s=600).then() == []
    assert story.due == 0
    story.say(IntentSet(target="a", intent="run"), source="operator.cli")
    assert only(story.then()).action == StartUnit(generation=2)


def test_an_intent_for_a_pool_means_all_of_its_units() -> None:
    workers = (WorkerSettings(name="p", units=("p-1", "p-2"), launch="1"),)
    story = Given(HealingElf(), settings(workers=workers))
    story.born("p-1", pool="p").born("p-2", pool="p")
    story.say(IntentSet(target="p", intent="stop"), source="operator.cli")
    assert [(decided.target, decided.rule) for decided in story.then()] == [("p-1", "stop"), ("p-2", "stop")]


def test_a_unit_that_is_no_longer_configured_is_ended() -> None:
    story = living().adopt(settings(workers=()))
    stop = only(story.then())
    assert (stop.rule, stop.reason) == ("stop", "not_configured")


def test_a_restart_by_order_is_done_once() -> None:
    story = living().say(IntentSet(target="a", intent="run", restart=True), source="operator.cli")
    order = only(story.then())
    assert (order.rule, order.action) == ("order", RestartUnit(generation=1, drain=True))
    story.died("a").born("a", 2).verify(order)
    assert story.tick(sample("a", generation=2)).then() == []


def test_a_new_launch_restarts_at_a_task_edge_and_other_settings_do_not() -> None:
    story = living().adopt(with_worker(memory_limit=2000))
    assert story.then() == []
    story.adopt(with_worker(launch="2"))
    changed = only(story.then())
    assert (changed.rule, changed.action) == ("reconfigure", RestartUnit(generation=1, drain=True))


# --- crashes -----------------------------------------------------------------------------------------------


def test_a_steady_unit_starts_again_at_once_and_its_death_does_not_count() -> None:
    story = living().died("a", s=10)
    again = only(story.then())
    assert (again.rule, again.reason, again.action) == ("crash", "steady", StartUnit(generation=2))
    assert again.inputs == {"generation": 1, "code": 1, "signal": None, "failures": 0}


def test_a_unit_that_finished_a_task_is_steady_whatever_its_age() -> None:
    workers = (WorkerSettings(name="w", queue="q", units=("w",), launch="1"),)
    story = Given(HealingElf(), settings(workers=workers)).born("w")
    done = TaskFinished(task="t", queue="q", unit="w", generation=1, attempt=1, claim=1)
    story.say(done, s=1, source="worker.w").died("w", s=1)
    assert only(story.then()).reason == "steady"


def test_early_deaths_wait_1_2_4_8_seconds_and_so_on_up_to_300() -> None:
    story = given(restart=RestartSettings(burst=99, window_s=600)).born("a")
    waits = []
    for generation in range(1, 14):
        story.died("a", generation, s=0.1)
        assert story.ask() == []
        waits.append(story.due)
        story.tick(s=story.due)
        again = only(story.then())
        assert (again.rule, again.action) == ("crash", StartUnit(generation=generation + 1))
        assert again.inputs["failures"] == generation
        story.born("a", generation + 1).verify(again)
    for number, wait in enumerate(waits):
        nominal = min(300, 2**number)
        assert 0.8 * nominal - 0.1 <= wait <= 1.2 * nominal
    assert len({round(wait / min(300, 2**number), 3) for number, wait in enumerate(waits)}) > 5


def test_two_spawns_of_a_unit_are_a_second_apart_even_after_a_steady_life() -> None:
    story = Given(HealingElf(), settings(workers=ONE.workers, limits=Limits(steady_s=0.1)))
    story.born("a").died("a", s=0.3)
    assert story.ask() == []
    assert story.due == pytest.approx(0.7, abs=0.001)
    story.tick(s=0.7)
    assert only(story.then()).reason == "steady"


def test_a_start_that_nothing_comes_of_waits_as_an_early_death_does() -> None:
    story, waits = given(), []
    for number in range(4):
        again = only(story.then())
        assert again.action == StartUnit(generation=1)
        assert again.inputs.get("refusals", 0) == number
        story.fail(again)
        assert story.ask() == []
        waits.append(story.due)
        story.tick(s=story.due)
    assert [round(wait / waits[0], 3) for wait in waits] == [1, 2, 4, 8]
    assert 0.8 <= waits[0] <= 1.2
    last = only(story.then())
    assert last.inputs["refusal"] == "no"
    story.born("a").verify(last).died("a", s=60)
    assert only(story.then()).inputs.get("refusals") is None


def test_a_start_that_failed_with_its_node_is_tried_again_at_once() -> None:
    story = given()
    lost = only(story.then())
    story.say(LeaseTaken(holder="n", previous=1)).fail(lost)
    assert only(story.then()).action == StartUnit(generation=1)


def test_an_unknown_exit_is_a_failure() -> None:
    story = living().say(WorkerExited(unit="a", generation=1, pid=101), s=1)
    assert story.due > 0
    story.tick(s=story.due)
    again = only(story.then())
    assert "exit code unknown" in again.text


def loop(story: Given, generation: int, deaths: int) -> int:
    """Let `deaths` generations die young, each started when the elf says so; returns the last generation."""
    for _ in range(deaths):
        story.died("a", generation, s=0.1)
        if story.ask() == []:
            story.tick(s=story.due)
        decisions = story.then()
        if decisions[0].rule == "quarantine":
            return generation
        generation += 1
        story.born("a", generation).verify(decisions[0])
    return generation


def test_five_early_deaths_in_ten_minutes_quarantine_the_unit_with_one_alert() -> None:
    story = given()
    story.born("a")
    generation = loop(story, 1, 4)
    story.died("a", generation, s=0.1)
    quarantine, alert = story.then()
    assert quarantine.action == QuarantineUnit(until=story.now + 300 * SECOND)
    assert quarantine.inputs["early_deaths"] == 5
    assert (alert.action, alert.cost) == (RaiseAlert(cause="crash_loop", severity="critical"), 1)
    assert story.tick().then() == []
    assert story.due == pytest.approx(295, abs=0.01)


def test_a_quarantined_unit_is_tried_after_5_10_20_40_and_then_every_60_minutes_for_ever() -> None:
    story = given(restart=RestartSettings(burst=1))
    story.born("a")
    generation = 1
    waits = []
    for _ in range(7):
        story.died("a", generation, s=0.1)
        decisions = story.then()
        action = decisions[0].action
        assert isinstance(action, QuarantineUnit)
        waits.append((action.until - story.now) // SECOND)
        assert [decided.rule for decided in decisions] == ["quarantine"] * len(decisions)
        story.tick(s=story.due)
        tried = only(story.then())
        assert (tried.rule, tried.reason) == ("crash", "half_open")
        generation += 1
        story.born("a", generation).verify(tried)
    assert waits == [300, 600, 1200, 2400, 3600, 3600, 3600]
    alert = story.mind.view.alerts.find("crash_loop", "a")
    assert alert is not None
    assert alert.count == 1


@pytest.mark.parametrize("word", ["run", "restart", "configuration"], ids=str)
def test_a_person_or_a_new_configuration_rearms_a_quarantined_unit_at_once(word: str) -> None:
    story = given(restart=RestartSettings(burst=1))
    story.born("a").died("a", s=2)
    assert story.then()[0].rule == "quarantine"
    if word == "configuration":
        story.adopt(with_worker(restart=RestartSettings(burst=1), launch="2"))
    else:
        story.say(IntentSet(target="a", intent="run", restart=word == "restart"), source="operator.cli")
    start = only(story.then())
    assert start.action == StartUnit(generation=2)


def test_the_alert_of_a_crash_loop_clears_when_the_unit_is_steady_again() -> None:
    story = given(restart=RestartSettings(burst=1)).born("a").died("a", s=0.1)
    story.then()
    story.tick(s=story.due)
    tried = only(story.then())
    story.born("a", 2).verify(tried)
    assert story.tick(sample("a", generation=2), s=9).then() == []
    cleared = only(story.tick(s=1).then())
    assert cleared.action == ClearAlert(cause="crash_loop")


def test_a_new_node_refills_no_counter() -> None:
    story = given().born("a")
    generation = loop(story, 1, 4)
    story.say(LeaseTaken(holder="n", previous=1))
    story.died("a", generation, s=0.1)
    assert [decided.rule for decided in story.then()] == ["quarantine", "quarantine"]


def test_nothing_is_decided_while_the_node_ends() -> None:
    story = living().say(NodeStopping(node="n", reason="SIGTERM"))
    story.died("a", s=1)
    assert story.ask() == []


def test_what_our_own_order_ended_is_no_failure() -> None:
    story = living().say(IntentSet(target="a", intent="run", restart=True), source="operator.cli", s=0.1)
    order = only(story.then())
    story.died("a", s=0.1).fail(order)
    assert story.mind.own.units.get("a").failures == 0


# --- signs of sickness -------------------------------------------------------------------------------------


def test_a_stopped_unit_is_continued_after_two_ticks_and_asked_about_when_it_is_stopped_again() -> None:
    story = living().tick(sample("a", "T"))
    assert story.then() == []
    story.tick()
    first = only(story.then())
    assert (first.action, first.cost, first.inputs["ticks"]) == (ContinueUnit(generation=1), 1, 2)
    story.verify(first).tick(sample("a"))
    assert story.then() == []
    story.tick(sample("a", "T")).tick()
    asked = only(story.then())
    assert asked.action == RaiseAlert(cause="stopped_again", severity="critical")
    assert story.tick().then() == []
    cleared = only(story.tick(sample("a")).then())
    assert cleared.action == ClearAlert(cause="stopped_again")


def test_a_stop_long_after_the_last_one_is_a_new_one() -> None:
    story = living().tick(sample("a", "T")).tick()
    story.verify(only(story.then())).tick(sample("a"), s=600).tick(sample("a", "T")).tick()
    assert only(story.then()).action == ContinueUnit(generation=1)


def test_an_unreadable_status_neither_proves_nor_heals() -> None:
    story = living()
    for _ in range(10):
        assert story.tick(sample("a", "?", memory=0)).then() == []
    story.tick(sample("a", "T"))
    assert story.tick(sample("a", "?", memory=0)).then() == []
    assert only(story.tick(sample("a", "T")).then()).action == ContinueUnit(generation=1)


def test_a_paused_unit_is_not_sick_and_its_pause_leaves_no_trace() -> None:
    story = living().say(IntentSet(target="a", intent="pause"), source="operator.cli")
    for _ in range(5):
        assert story.tick(sample("a", "T")).then() == []
    story.say(IntentSet(target="a", intent="run"), source="operator.cli")
    assert story.then() == []


def silent(story: Given, age_s: int = 30, status: str = "S", generation: int = 1) -> Given:
    """Let a tick say that the task unit has not been heard of for so long."""
    return story.tick(sample("w", status, generation=generation, age=age_s * 1000))


def runner() -> Given:
    """Return a story in which the task unit `w` runs."""
    workers = (WorkerSettings(name="w", queue="q", units=("w",), launch="1"),)
    return Given(HealingElf(), settings(workers=workers, queues=(QueueSettings(name="q"),))).born("w")


def test_a_silent_runner_is_replaced_after_two_ticks() -> None:
    story = silent(runner(), 29)
    assert silent(silent(story, 29), 30).then() == []
    replaced = only(silent(story, 35).then())
    assert (replaced.rule, replaced.reason, replaced.cost) == ("not_responding", "no_beat", 1)
    assert replaced.action == RestartUnit(generation=1, evidence=True)
    assert replaced.inputs["beat_age_ms"] == 35_000


def test_a_stopped_runner_is_stopped_and_not_silent() -> None:
    story = silent(silent(runner(), 40, "T"), 45, "T")
    assert only(story.then()).rule == "stopped"


def test_signs_of_the_old_process_are_not_held_against_the_new_one() -> None:
    story = silent(silent(runner(), 40), 45)
    replaced = only(story.then())
    story.say(WorkerExited(unit="w", generation=1, pid=101, signal=9))
    story.say(WorkerStartOrdered(unit="w", pool="w", generation=2, nonce="n"))
    story.say(WorkerStarted(unit="w", pool="w", generation=2, pid=102, start=1, nonce="n")).verify(replaced)
    assert story.then() == []
    assert silent(story, 40).then() == []


def test_memory_over_ninety_percent_for_two_ticks_restarts_at_a_task_edge() -> None:
    story = living().tick(sample("a", memory=900)).tick(sample("a", memory=899)).tick(sample("a", memory=950))
    assert story.then() == []
    swollen = only(story.tick().then())
    assert (swollen.rule, swollen.cost) == ("memory", 10)
    assert swollen.action == RestartUnit(generation=1, drain=True)
    assert swollen.inputs == {
        "generation": 1,
        "pid": 101,
        "memory_percent": 95.0,
        "limit_percent": 90.0,
        "ticks": 2,
    }


def test_without_a_declared_limit_no_amount_of_memory_is_too_much() -> None:
    story = given(memory_limit=0).born("a")
    for _ in range(5):
        assert story.tick(sample("a", memory=10**12)).then() == []

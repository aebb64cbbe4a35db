"""The way back of a lost agent, step by step, and the guard against agents that only seem to work."""

from itertools import pairwise
from typing import Any

import pytest

from actors.elves.deliberation import decode_mind, encode_mind
from events.agents import PhaseEntered
from events.decisions import ClearAlert, MarkAgent, PingAgent, RestartAgent, VerifyAgent
from events.settings import ElfSettings, Limits, ManaSettings
from tests.elves.agents import Agents, of_agents


def lost(*names: str, **changes: Any) -> Agents:
    """Return a story in which the first of these agents was silent, did not answer, and is to be restarted."""
    story = Agents(*(names or ("a",)), adopted=of_agents(*(names or ("a",)), **changes))
    return lose(story, (names or ("a",))[0])


def lose(story: Agents, name: str) -> Agents:
    """Let an agent be silent until it is down."""
    story.silent.add(name)
    for _ in range(12):
        story.look()
        pings = [d for d in story.log if isinstance(d.action, PingAgent) and d.target == name]
        if pings and story.state(name) == "probing":
            story.answer(pings[-1], passed=False)
        if story.state(name) in ("down", "recovering"):
            return story
    raise AssertionError(f"{name} is not down: {story.told(name)}")


def on_probation(*names: str, **changes: Any) -> Agents:
    """Return a story in which the first agent was lost, joined again and did its canary."""
    story = lost(*names, **changes)
    name = (names or ("a",))[0]
    story.answer(story.asked(RestartAgent)).join(name, run="r2")
    story.answer(story.asked(VerifyAgent))
    assert story.state(name) == "probation"
    return story


def test_the_steps_of_the_seed_are_decisions_in_their_order() -> None:
    story = on_probation()
    steps = [
        line for line in story.told("a") if line.split()[1] in ("PingAgent", "RestartAgent", "VerifyAgent")
    ]
    assert steps == ["ping PingAgent"] * 3 + ["restart RestartAgent", "verify VerifyAgent"]
    states = [d.action.state for d in story.log if isinstance(d.action, MarkAgent)]
    assert states == ["suspect", "probing", "down", "recovering", "probation"]
    assert story.asked(RestartAgent).cost == 1
    assert story.look().log[-1].action == ClearAlert(cause="agent_down")


def test_on_probation_it_has_one_task_then_two_and_after_five_it_is_a_full_member() -> None:
    story = on_probation()
    agent = story.mind.own.care.agents.agents["a"]
    assert (story.wip("a"), agent.takes("low"), agent.takes("middle"), agent.takes("high")) == (
        1,
        True,
        True,
        False,
    )
    story.work("a").look()
    assert story.wip("a") == 2
    for _ in range(3):
        story.work("a").look()
    assert (story.state("a"), story.wip("a")) == ("probation", 2)
    story.work("a").look()
    assert (story.state("a"), story.wip("a"), story.log[-1].rule) == ("alive", 3, "promote")


def test_a_day_without_a_failure_makes_a_full_member_too() -> None:
    story = on_probation(limits=Limits(agent_probation_s=600.0))
    assert story.look(s=590).state("a") == "probation"
    assert story.look(s=15).state("a") == "alive"


def test_one_failure_on_probation_sends_it_back_for_one_minute_then_two_four_and_at_most_thirty() -> None:
    story = on_probation()
    waits = []
    for _ in range(8):
        story.work("a", good=False).look()
        down = next(
            d for d in reversed(story.log) if isinstance(d.action, MarkAgent) and d.action.state == "down"
        )
        assert (down.reason, isinstance(down.action, MarkAgent)) == ("task_failed", True)
        assert isinstance(down.action, MarkAgent)
        waits.append((down.action.until - story.mind.own.care.agents.agents["a"].since) / 60_000_000)
        story.look(s=60 * waits[-1] + 5)
        # It is still there: a canary is all it takes.
        assert story.state("a") == "recovering"
        story.answer(story.asked(VerifyAgent))
        assert story.state("a") == "probation"
    assert [round(wait) for wait in waits] == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_suspicion_on_probation_that_comes_to_nothing_leaves_what_was_earned() -> None:
    story = on_probation()
    story.work("a").work("a").look()
    story.silent.add("a")
    story.look(s=20).answer(story.asked())
    assert (story.state("a"), story.wip("a")) == ("probation", 2)
    story.silent.clear()
    for _ in range(3):
        story.work("a").look()
    assert story.state("a") == "alive"


def test_a_frozen_agent_that_is_heard_of_again_does_a_canary_at_once() -> None:
    story = lost()
    story.silent.clear()
    story.look()
    canary = story.asked(VerifyAgent)
    assert (canary.rule, story.state("a")) == ("verify", "recovering")
    assert story.answer(canary).state("a") == "probation"


def test_a_restart_that_fails_is_tried_again_after_longer_and_longer_waits() -> None:
    story = lost()
    times = [story.now]
    for _ in range(4):
        story.answer(story.asked(RestartAgent), passed=False)
        assert story.state("a") == "down"
        before = story.told("a").count("restart RestartAgent")
        while story.told("a").count("restart RestartAgent") == before:
            story.look()
        times.append(story.now)
    assert [round((b - a) / 60_000_000) for a, b in pairwise(times)] == [1, 2, 4, 8]
    failed = next(d for d in story.log if d.reason == "restart_failed")
    assert failed.inputs["error"] == "no answer"


def test_a_restart_whose_outcome_was_lost_counts_as_failed_in_the_end() -> None:
    story = lost()
    assert story.look(s=590).state("a") == "recovering"
    story.look(s=15)
    assert (story.state("a"), story.log[-1].inputs["error"]) == ("down", "no outcome was written")


def test_a_canary_that_fails_keeps_it_out_and_there_is_one_canary_for_each_recovery() -> None:
    story = lost()
    story.join("a", run="r2")
    story.look(s=20)
    assert story.told("a").count("verify VerifyAgent") == 1
    story.answer(story.asked(VerifyAgent), passed=False)
    assert (story.state("a"), story.wip("a")) == ("down", 0)
    assert story.look(s=55).told("a").count("verify VerifyAgent") == 1
    # It answered all the time, so to hear of it proves nothing: it is restarted.
    story.look(s=10)
    assert story.told("a")[-2:] == ["recover recovering", "restart RestartAgent"]


def test_one_of_three_may_be_on_probation_at_a_time() -> None:
    story = on_probation("a", "b", "c")
    lose(story, "b")
    story.join("b", run="r2")
    story.answer(story.asked(VerifyAgent))
    assert [story.state(name) for name in "ab"] == ["probation", "recovering"]
    for _ in range(5):
        story.work("a").look()
    assert [story.state(name) for name in "ab"] == ["alive", "probation"]


def test_one_that_goes_silent_while_it_waits_for_its_place_is_down_again() -> None:
    story = on_probation("a", "b", "c")
    lose(story, "b")
    story.join("b", run="r2").answer(story.asked(VerifyAgent))
    story.silent.add("b")
    story.look(s=20)
    assert (story.state("b"), story.log[-1].reason) == ("down", "lost_again")


def test_who_leaves_while_it_is_lost_or_on_probation_comes_back_step_by_step() -> None:
    story = on_probation()
    story.leave("a", run="r2").join("a", run="r3", s=60)
    assert (story.state("a"), story.wip("a")) == ("recovering", 0)
    assert isinstance(story.asked(VerifyAgent).action, VerifyAgent)
    assert story.answer(story.asked(VerifyAgent)).state("a") == "probation"


def test_who_leaves_as_a_full_member_comes_back_as_one() -> None:
    story = Agents("a").leave("a").join("a", run="r2", s=60)
    assert (story.state("a"), story.wip("a"), story.log) == ("alive", 3, [])


def test_a_person_who_lets_it_run_ends_its_cool_down() -> None:
    story = on_probation()
    story.work("a", good=False).look()
    story.work("a", good=False).look()
    assert story.state("a") == "down"
    story.order("a", "run").look()
    assert story.state("a") == "recovering"


def test_a_new_agent_is_a_full_member_after_five_tasks() -> None:
    story = Agents("a")
    for _ in range(4):
        story.work("a").look()
    assert story.log == []
    story.work("a").look()
    assert (story.told("a"), story.log[0].reason) == (["promote alive"], "proven")
    story.say(PhaseEntered(agent="a", phase="full"))
    for _ in range(9):
        story.work("a").look()
    assert len(story.log) == 1


def test_what_an_agent_says_of_tasks_it_does_not_hold_counts_for_nothing() -> None:
    story = Agents("a", "b")
    for number in range(9):
        story.assign("b", f"x{number}")
        story.claim("a", f"x{number}")
    assert story.mind.own.care.record("a").verified == 0
    assert list(story.mind.own.care.tasks.of("a")) == []


def test_what_is_known_of_agents_survives_a_snapshot() -> None:
    story = on_probation("a", "b", "c")
    story.work("a").work("b", good=False)
    story.silent.add("c")
    story.look(s=20)
    restored = decode_mind(story.policy, encode_mind(story.mind))
    assert encode_mind(restored) == encode_mind(story.mind)
    story.mind = restored
    assert story.answer(story.asked()).state("c") == "alive"


# --- done too fast to be true --------------------------------------------------------------------------------


def hollow(result: Any = None, ms: int = 3) -> Agents:
    """Return a story in which an agent ends a task of a well-known kind faster than any before."""
    story = Agents("a", "b")
    for number in range(60):
        story.work("b", ms=1000 + number)
    story.look()
    story.log.clear()
    return story.work("a", ms=ms, result=result).look()


def test_an_end_that_is_too_fast_and_empty_suspends_the_agent_until_its_canary() -> None:
    story = hollow()
    assert story.told("a") == ["black_hole suspect", "verify VerifyAgent"]
    assert (story.wip("a"), story.log[0].inputs["task"]) == (0, "d/t61")
    assert story.look(s=60).state("a") == "suspect"
    story.answer(story.asked(VerifyAgent))
    assert story.state("a") == "alive"


def test_a_black_hole_that_fails_its_canary_is_down() -> None:
    story = hollow()
    story.answer(story.asked(VerifyAgent), passed=False)
    assert (story.state("a"), story.log[-2].reason) == ("down", "canary_failed")


def test_a_black_hole_that_goes_silent_and_answers_still_owes_its_canary() -> None:
    story = hollow()
    story.silent.add("a")
    story.look(s=20)
    assert story.state("a") == "probing"
    story.answer(story.asked())
    assert story.state("a") == "suspect"
    story.silent.clear()
    canary = next(d for d in story.log if isinstance(d.action, VerifyAgent))
    assert story.answer(canary, s=5).look().state("a") == "alive"


@pytest.mark.parametrize(("result", "ms"), [("a result", 3), (0, 3), (None, 1000)])
def test_something_to_show_or_a_usual_time_is_no_black_hole(result: Any, ms: int) -> None:
    assert hollow(result, ms).log == []


def test_on_probation_an_empty_end_is_a_failure() -> None:
    story = on_probation("a", "b")
    for number in range(60):
        story.work("b", ms=1000 + number)
    story.work("a", ms=3, result=None).look()
    assert (story.state("a"), story.log[-2].reason) == ("down", "task_failed")


# --- price and modes -----------------------------------------------------------------------------------------


def test_without_mana_a_failover_is_put_off_and_comes_when_there_is_some() -> None:
    healing = ElfSettings(name="healing", mana=ManaSettings(start=22, refill_per_hour=60))
    story = Agents("a", adopted=of_agents("a", elves=(healing,)))
    story.stall["a"] = 300.0
    story.look().answer(story.asked())
    story.look(s=610)
    put_off = next(d for d in story.log if d.rule == "down")
    assert (put_off.reason, story.state("a")) == ("mana", "suspect")
    story.look(s=1500)
    assert next(d for d in story.log if d.reason == "no_progress").cost == 25


def test_in_advice_it_says_what_it_would_do_and_does_nothing() -> None:
    healing = ElfSettings(name="healing", mode="advise")
    story = Agents("a", adopted=of_agents("a", elves=(healing,)))
    story.silent.add("a")
    story.look(s=120)
    assert {(d.rule, d.mode) for d in story.log} == {("suspect", "advise"), ("ping", "advise")}
    assert (len(story.log), story.state("a")) == (3, "alive")

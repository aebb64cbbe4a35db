"""Care of agents: suspicion, pings, down; who answers, who only stalls, and the brake when several are silent."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.agents import AgentRevoked, AgentSample
from events.decisions import ClearAlert, MarkAgent, PingAgent, RaiseAlert
from events.observations import LeaseTaken, Sampled
from events.settings import Limits
from tests.elves.agents import Agents, of_agents


def test_an_agent_that_is_well_is_left_alone() -> None:
    story = Agents("a", "b", "c").look(s=600)
    assert story.log == []
    assert [story.state(name) for name in "abc"] == ["alive"] * 3


def test_a_silent_agent_is_suspect_after_15_s_pinged_three_times_5_s_apart_and_down_by_35_s() -> None:
    story = Agents("a")
    last_beat = story.now
    story.silent.add("a")
    story.look(s=15)
    assert story.log == []
    story.look(s=5)
    assert story.told("a") == ["suspect suspect", "suspect probing", "ping PingAgent"]
    assert story.wip("a") == 0
    suspicion = story.log[0]
    assert (suspicion.reason, suspicion.inputs["silent_ms"], suspicion.inputs["patience_ms"]) == (
        "no_beat",
        20_000,
        15_000,
    )
    pinged = [story.now]
    for number in (2, 3):
        story.answer(story.asked(), passed=False, s=5)
        assert story.asked().action == PingAgent(number=number)
        pinged.append(story.now)
    story.answer(story.asked(), passed=False, s=5)
    assert [b - a for a, b in pairwise(pinged)] == [5_000_000] * 2
    down = next(decided for decided in story.log if decided.rule == "down")
    assert (down.action, down.reason, down.cost) == (MarkAgent(state="down"), "no_answer", 1)
    assert story.now - last_beat <= 35_000_000
    assert RaiseAlert(cause="agent_down", severity="critical") in [decided.action for decided in story.log]


def test_an_age_that_is_told_is_exact_though_the_tick_before_said_nothing() -> None:
    story = Agents("a")
    story.say(Sampled(full=False), s=5)
    old = AgentSample(agent="a", beat_age_ms=16_000, holds=0, stall_ms=-1, connected=True)
    story.say(Sampled(full=False, agents=(old,)), s=5)
    care = story.mind.own.care
    assert care.silent(care.agents.agents["a"]) == 16_000_000


def test_an_agent_that_answers_a_ping_is_alive_again() -> None:
    story = Agents("a")
    story.silent.add("a")
    story.look(s=20)
    story.answer(story.asked())
    assert (story.state("a"), story.log[-1].reason) == ("alive", "answered")
    # Its answer counts as heard: it is left alone for as long as after a beat.
    assert story.look(s=15).state("a") == "alive"
    assert story.look(s=5).state("a") == "probing"


def test_a_beat_ends_a_suspicion_by_itself_and_makes_the_elf_more_patient_with_it() -> None:
    story = Agents("a")
    story.silent.add("a")
    story.look(s=20)
    story.silent.clear()
    story.look()
    assert (story.state("a"), story.log[-1].reason) == ("alive", "beat_again")
    story.silent.add("a")
    assert story.look(s=22).state("a") == "alive"
    assert story.look(s=3).state("a") == "probing"


def test_a_closed_connection_is_probed_at_once() -> None:
    story = Agents("a")
    story.closed.add("a")
    story.look()
    assert story.told("a") == ["suspect suspect", "suspect probing", "ping PingAgent"]
    assert story.log[0].reason == "closed"
    story.answer(story.asked(), passed=False)
    # Nobody listens: the refusal comes at once, the next ping comes after its time all the same.
    assert story.due == pytest.approx(5)
    story.look(s=5).answer(story.asked(), passed=False).look(s=5).answer(story.asked(), passed=False)
    assert story.look(s=5).state("a") in ("down", "recovering")


def test_a_new_node_and_a_new_program_are_given_time_to_connect() -> None:
    story = Agents("a")
    story.closed.add("a")
    story.say(LeaseTaken(holder="n", previous=1))
    assert story.look(s=9).log == []
    story.closed.clear()
    assert story.look(s=60).log == []


def test_what_the_last_node_saw_is_not_held_against_an_agent() -> None:
    story = Agents("a")
    story.silent.add("a")
    story.look(s=14)
    story.say(LeaseTaken(holder="n", previous=1), s=100)
    story.silent.clear()
    assert story.look(s=60).log == []


def test_while_the_node_itself_is_late_it_is_slower_to_suspect() -> None:
    story = Agents("a")
    story.lag_ms = 5000
    story.look()
    story.silent.add("a")
    assert story.look(s=24).log == []
    assert story.look(s=6).told("a")[:1] == ["suspect suspect"]
    assert story.log[0].inputs["patience_ms"] == 25_000


def test_a_tick_that_came_late_is_lateness_too() -> None:
    story = Agents("a").look(s=12, every=12)
    story.silent.add("a")
    assert story.look(s=25).log == []
    assert story.look(s=5).told("a")[:1] == ["suspect suspect"]


def test_a_lost_outcome_of_a_ping_is_no_answer() -> None:
    story = Agents("a")
    story.silent.add("a")
    story.look(s=20)
    assert story.due == pytest.approx(10)
    story.look(s=30)
    assert story.state("a") in ("down", "recovering")


# --- tasks that stand still ----------------------------------------------------------------------------------


def test_a_task_that_stands_still_makes_its_agent_suspect_after_300_s_and_an_answer_keeps_its_lease() -> None:
    story = Agents("a")
    story.stall["a"] = 0.0
    assert story.look(s=300).log == []
    story.look()
    assert story.log[0].reason == "stalled"
    story.answer(story.asked())
    assert (story.state("a"), story.wip("a")) == ("suspect", 0)
    assert story.look(s=590).state("a") == "suspect"
    assert [decided.rule for decided in story.log if decided.rule == "down"] == []
    story.look(s=10)
    down = next(decided for decided in story.log if decided.rule == "down")
    assert (down.reason, down.cost, down.inputs["stall_ms"]) == ("no_progress", 25, 905_000)


def test_a_task_that_moves_again_makes_its_agent_alive_again() -> None:
    story = Agents("a")
    story.stall["a"] = 300.0
    story.look().answer(story.asked())
    assert story.state("a") == "suspect"
    story.stall["a"] = 0.0
    story.look()
    assert (story.state("a"), story.log[-1].reason) == ("alive", "progress")


def test_an_idle_agent_never_stalls() -> None:
    story = Agents("a")
    assert story.look(s=8000).log == []


def test_tasks_that_take_long_are_given_three_times_as_long_and_an_hour_at_most() -> None:
    story = Agents("a")
    for _ in range(10):
        story.work("a", ms=1_500_000)
    story.take("a", "long")
    story.log.clear()
    story.stall["a"] = 0.0
    assert story.look(s=3600).log == []
    story.look()
    assert story.log[0].reason == "stalled"
    story.answer(story.asked())
    down = next(decided for decided in story.log if decided.rule == "down")
    # After an hour it is proven: three pings are not needed, and it costs what proven ones cost.
    assert (down.reason, down.cost) == ("no_progress", 1)


def test_a_stalled_agent_that_does_not_answer_is_down_at_once() -> None:
    story = Agents("a")
    story.stall["a"] = 300.0
    story.look()
    for _ in range(3):
        story.answer(story.asked(), passed=False, s=5)
    assert next(decided.reason for decided in story.log if decided.rule == "down") == "no_answer"


# --- several at once -----------------------------------------------------------------------------------------


def silence(story: Agents, *names: str, ticks: int) -> Agents:
    """Let agents be silent and leave all pings unanswered for so many ticks."""
    story.silent |= set(names)
    for _ in range(ticks):
        story.look()
        for name in names:
            pings = [d for d in story.log if isinstance(d.action, PingAgent) and d.target == name]
            if pings and story.state(name) == "probing":
                story.answer(pings[-1], passed=False)
    return story


def test_two_of_three_silent_at_once_are_asked_about_and_go_down_when_the_node_is_well() -> None:
    story = silence(Agents("a", "b", "c"), "a", "b", ticks=7)
    alerts = [decided for decided in story.log if decided.target == "agents"]
    assert alerts[0].action == RaiseAlert(cause="shared_cause", severity="critical")
    assert (alerts[0].inputs["agents"], alerts[0].inputs["of"]) == (["a", "b"], 3)
    # The next tick comes in time: the node is well, and each is judged by itself.
    assert alerts[1].action == ClearAlert(cause="shared_cause")
    downs = [
        decided.target for decided in story.log if decided.reason == "no_answer" and decided.rule == "down"
    ]
    assert downs == ["a", "b"]
    assert story.state("c") == "alive"


def test_while_the_node_is_late_two_silent_ones_keep_their_tasks() -> None:
    story = Agents("a", "b", "c")
    story.lag_ms = 1500
    silence(story, "a", "b", ticks=20)
    assert story.mind.own.care.agents.frozen
    assert [decided for decided in story.log if decided.rule == "down"] == []
    assert [story.state(name) for name in "abc"] == ["probing", "probing", "alive"]
    story.lag_ms = 0
    silence(story, "a", "b", ticks=1)
    assert not story.mind.own.care.agents.frozen
    silence(story, "a", "b", ticks=20)
    assert [d.target for d in story.log if d.rule == "down" and isinstance(d.action, MarkAgent)] == ["a", "b"]


def test_one_of_three_needs_no_examination() -> None:
    story = Agents("a", "b", "c")
    story.lag_ms = 1500
    silence(story, "a", ticks=12)
    assert story.state("a") in ("down", "recovering")
    assert [decided for decided in story.log if decided.target == "agents"] == []


def test_of_those_that_answer_but_stand_still_one_of_three_goes_down_in_ten_minutes() -> None:
    story = Agents("a", "b", "c")
    story.stall = dict.fromkeys("abc", 300.0)
    story.look()
    for name in "abc":
        story.answer(next(d for d in story.log if d.target == name and isinstance(d.action, PingAgent)))
    story.look(s=605)
    downs = [d.target for d in story.log if d.rule == "down" and isinstance(d.action, MarkAgent)]
    assert downs == ["a"]
    story.look(s=590)
    assert [d.target for d in story.log if d.rule == "down" and isinstance(d.action, MarkAgent)] == ["a"]
    story.look(s=30)
    assert [d.target for d in story.log if d.rule == "down" and isinstance(d.action, MarkAgent)] == ["a", "b"]


# --- people --------------------------------------------------------------------------------------------------


def test_a_drained_agent_is_paused_until_a_person_lets_it_run() -> None:
    story = Agents("a").order("a", "drain")
    assert (story.told("a"), story.wip("a")) == (["pause paused"], 0)
    story.order("a", "run")
    assert (story.state("a"), story.wip("a")) == ("alive", 3)


def test_a_drained_agent_that_is_lost_is_down_all_the_same_and_paused_when_it_answers() -> None:
    story = Agents("a").order("a", "drain")
    story.silent.add("a")
    story.look(s=20).answer(story.asked())
    assert story.state("a") == "paused"
    story.look(s=20)
    for _ in range(3):
        story.answer(story.asked(), passed=False, s=5)
    assert story.state("a") in ("down", "recovering")


@pytest.mark.parametrize("how", ["retire", "revoke", "leave"])
def test_nobody_cares_for_an_agent_that_was_sent_away(how: str) -> None:
    story = Agents("a")
    story.silent.add("a")
    silence(story, "a", ticks=9)
    assert story.mind.view.alerts.find("agent_down", "a")
    if how == "retire":
        story.order("a", "retire")
    elif how == "revoke":
        story.say(AgentRevoked(agent="a"))
    else:
        story.leave("a")
    story.look()
    assert story.log[-1].action == ClearAlert(cause="agent_down")
    story.log.clear()
    assert story.look(s=600).log == []
    assert story.state("a") == ("absent" if how == "leave" else "retired")


def test_an_agent_nobody_has_looked_at_is_not_judged() -> None:
    story = Agents("a", "b")
    story.names = ("a",)
    story.say(LeaseTaken(holder="n", previous=1))
    assert story.look(s=600).log == []


# --- for any pattern of beats --------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.sampled_from([0, 300, 1500, 8000]), st.floats(0.5, 40)),
    min_size=1,
    max_size=25,
)


@settings(deadline=None, max_examples=60)
@given(STEPS, st.integers(1, 3))
def test_an_idle_agent_that_answers_never_goes_down_whatever_its_beats(
    steps: list[tuple[bool, bool, int, float]], many: int
) -> None:
    names = ("a", "b", "c")[:many]
    story = Agents(*names)
    story.replies = True
    for silent, closed, lag, seconds in steps:
        story.silent = set(names) if silent else set()
        story.closed = set(names) if closed else set()
        story.lag_ms = lag
        story.look(s=seconds)
        story.log.clear()
        assert all(story.state(name) in ("alive", "probing") for name in names)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from(["silent", "back", "join", "work", "fail", "drain", "run"]),
        ),
        max_size=30,
    )
)
def test_an_agent_may_have_tasks_only_while_it_is_alive_or_on_probation(steps: list[tuple[str, str]]) -> None:
    limits = Limits(agent_cooldown_s=(5.0, 10.0))
    story = Agents("a", "b", "c", adopted=of_agents("a", "b", "c", limits=limits))
    for number, (name, what) in enumerate(steps):
        match what:
            case "silent":
                story.silent.add(name)
            case "back":
                story.silent.discard(name)
            case "join":
                story.join(name, run=f"r{number}")
            case "drain" | "run":
                story.order(name, what)
            case _:
                story.work(name, good=what == "work")
        story.look(s=10)
        for each in "abc":
            limit = {"alive": 3, "probation": 2}.get(story.state(each), 0)
            assert story.wip(each) <= limit
        on_probation = [a for a in story.mind.own.care.agents.agents.values() if a.state == "probation"]
        assert len(on_probation) <= 1

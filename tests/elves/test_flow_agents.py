"""The minute's look at agents: 80 points, 300 s, 5 %, an hour's silence; one alert each and a lower way back."""

from typing import Any

from actors.elves.flow_elf import FlowElf
from events.agents import AgentLeft
from events.decisions import ClearAlert, Decided, RaiseAlert
from events.settings import Limits
from events.tasks import TaskSubmitted
from tests.elves.agents import Agents, of_agents


def watched(*names: str, **changes: Any) -> Agents:
    """Return a story of the Flow elf with agents that have joined, just after a look at them."""
    return Agents(*names, adopted=of_agents(*names, **changes), policy=FlowElf()).look()


def only(decisions: list[Decided]) -> Decided:
    """Return the one decision there is."""
    (decided,) = decisions
    return decided


def test_a_load_above_80_is_raised_within_a_minute_and_cleared_below_70() -> None:
    story = watched("a")
    for number in range(3):
        story.take("a", f"x{number}")
    assert story.look(s=60).log == []
    story.take("a", "x3")
    assert story.look(s=55).log == []
    raised = only(story.look(s=5).log)
    assert (raised.rule, raised.action, raised.reason) == (
        "monitor",
        RaiseAlert(cause="high_load", severity="warning"),
        "high_load",
    )
    assert raised.inputs == {
        "tasks": 4,
        "completion_rate": 0.0,
        "response_s": 0.0,
        "error_rate": 0.0,
        "score": 90.0,
        "limit": 80.0,
    }
    assert raised.text == "a has a load score of 90.0, the limit is 80"
    assert len(story.look(s=180).log) == 1
    # Five tasks and four minutes to a response are 70 points and a little: no alert would begin, none ends.
    story.take("a", "x4")
    story.take("a", "x5")
    story.look().end("a", "x3")
    assert story.look(s=60).log[1:] == []
    story.look()
    for number in (0, 1, 2, 4, 5):
        story.end("a", f"x{number}")
    cleared = only(story.look(s=60).log[1:])
    assert (cleared.action, cleared.cost) == (ClearAlert(cause="high_load"), 0)


def test_an_open_alert_is_said_again_and_not_more_often() -> None:
    story = watched("a")
    for number in range(4):
        story.take("a", f"x{number}")
    story.look(s=900)
    assert len(story.log) == 1
    again = story.look(s=120).log[-1]
    assert (len(story.log), again.reason) == (2, "high_load_still")
    assert again.action == RaiseAlert(cause="high_load", severity="warning", again=True)


def test_a_response_of_more_than_300_s_is_raised_and_cleared_below_240() -> None:
    story = watched("a")
    story.take("a", "x")
    story.look(s=310)
    story.end("a", "x")
    raised = only(story.look(s=60).log)
    assert raised.action == RaiseAlert(cause="slow_response", severity="warning")
    assert raised.inputs["response_s"] > 300
    for _ in range(2):
        story.work("a")
    assert story.look(s=60).log[-1].action == ClearAlert(cause="slow_response")


def test_more_than_5_percent_of_errors_are_raised_once_there_are_five_ends() -> None:
    story = watched("a")
    story.work("a", good=False)
    for _ in range(3):
        story.work("a")
    assert [
        d for d in story.look(s=60).log if d.action == RaiseAlert(cause="high_error_rate", severity="warning")
    ] == []
    story.work("a")
    raised = story.look(s=60).log[-1]
    assert (raised.reason, raised.inputs["error_rate"], raised.inputs["limit"]) == (
        "high_error_rate",
        0.2,
        0.05,
    )
    for _ in range(25):
        story.work("a")
    assert story.look(s=60).log[-1].action == ClearAlert(cause="high_error_rate")


def test_an_agent_that_leaves_leaves_no_alert_open() -> None:
    story = watched("a")
    for number in range(4):
        story.take("a", f"x{number}")
    story.look(s=60)
    story.say(AgentLeft(agent="a", run="r1"), source="agent.a")
    assert story.look(s=60).log[-1].action == ClearAlert(cause="high_load")


def test_an_hour_without_a_sign_of_life_is_an_alert_of_its_own() -> None:
    story = watched("a", "b", limits=Limits(silence_s=600.0))
    story.silent.add("a")
    assert story.look(s=600).log == []
    raised = only(story.look(s=65).log)
    assert (raised.rule, raised.target, raised.action) == (
        "silence",
        "a",
        RaiseAlert(cause="silence", severity="critical"),
    )
    story.silent.clear()
    assert story.look(s=65).log[-1].action == ClearAlert(cause="silence")


def test_the_look_comes_every_minute_and_as_often_as_the_settings_say() -> None:
    story = watched("a", limits=Limits(monitor_s=10.0))
    story.look()
    for number in range(4):
        story.take("a", f"x{number}")
    assert len(story.look(s=10).log) == 1


def test_a_queue_that_the_node_serves_itself_has_a_backlog_too() -> None:
    story = watched("a", limits=Limits(queue_backlog=10, high_load=1000.0))
    for number in range(9):
        story.say(TaskSubmitted(task=f"w{number}", queue="d"), source="client.c")
    story.take("a", "x0")
    raised = only(story.look(s=10).log)
    assert (raised.rule, raised.target, raised.inputs["backlog"], raised.inputs["in_flight"]) == (
        "backlog",
        "d",
        10,
        1,
    )

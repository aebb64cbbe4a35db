"""Overloads are foreseen from a daily pattern, every forecast gets its verdict, and silence has its reason."""

from typing import Any

import pytest

from actors.elves.deliberation import decode_mind, encode_mind
from actors.elves.wisdom_elf import WisdomElf
from events.agents import AgentJoined
from events.decisions import Abstain, AssignTask, ClearAlert, Decided, RaiseAlert, ScoreAlert
from events.observations import Sampled
from events.settings import ElfSettings
from events.tasks import TaskFinished, TaskStarted, TaskSubmitted
from tests.elves import Given
from tests.elves.agents import of_agents

SLOT = 300.0
DAY = 288


class Shift(Given):
    """An agent that holds a few tasks from nine to eleven every morning, five minutes at a time."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(WisdomElf(), of_agents("A", "B", **changes))
        self.said: list[Decided] = []
        self.held: list[tuple[str, int, int]] = []
        self.count = 0
        for name in ("A", "B"):
            joined = AgentJoined(agent=name, run="r", pid=1, host="h", release="1", wip=9)
            self.say(joined, source=f"agent.{name}")
        self.start = self.now // 300_000_000

    @property
    def slot(self) -> int:
        return self.now // 300_000_000

    def give(self, agent: str = "A", previous: str = "") -> None:
        """Let an agent get a task and claim it."""
        self.count += 1
        task = f"t{self.count}"
        self.say(TaskSubmitted(task=task, queue="d"), source="client.cli")
        position = len(self.events)
        action = AssignTask(
            task=task, queue="d", agent=agent, lease=1, attempt=1, submitted=position, after=position
        )
        self.say(assigned(action, self.mind.view.timeline.epoch))
        self.say(
            TaskStarted(task=task, queue="d", unit=agent, generation=1, pid=1, attempt=1, nonce="n", lease=1),
            source=f"agent.{agent}",
        )
        self.held.append((task, len(self.events), self.slot))

    def finish(self) -> None:
        """Let the agent finish what it holds."""
        for task, claim, _ in self.held:
            done = TaskFinished(
                task=task, queue="d", unit="A", generation=1, attempt=1, claim=claim, service_ms=1000
            )
            self.say(done, source="agent.A")
        self.held.clear()

    def run(self, slots: int, busy: bool = True) -> "Shift":
        """Let slots pass; the load climbs slot by slot from 9:00 and falls at 11:00."""
        for _ in range(slots):
            at = self.slot % DAY
            if busy and 108 <= at < 132 and len(self.held) < 6:
                self.give()
            if self.held and not 108 <= at < 132:
                self.finish()
            self.say(Sampled(full=False), s=SLOT)
            self.said += self.then()
        return self

    def until(self, slot_of_day: int, busy: bool = True) -> "Shift":
        """Let time pass up to a time of day."""
        return self.run((slot_of_day - self.slot) % DAY or DAY, busy)

    def actions(self, kind: type) -> list[Decided]:
        """Return what was said of one kind about A."""
        return [item for item in self.said if isinstance(item.action, kind) and item.target == "A"]


def assigned(action: AssignTask, epoch: int) -> Decided:
    """Return Balance's decision."""
    return Decided(
        elf="balance",
        rule="assign",
        target=action.task,
        action=action,
        reason="policy",
        text="",
        trigger=1,
        as_of=1,
        epoch=epoch,
        ordinal=0,
        size=1,
        policy="balance",
        version="1",
        settings="",
    )


@pytest.fixture(scope="module")
def week() -> Shift:
    """Return a story of eight equal days."""
    return Shift().until(0).run(8 * DAY)


def test_without_history_it_says_why_it_says_nothing_and_says_it_once() -> None:
    story = Shift().run(30)
    (silent,) = story.actions(Abstain)
    assert silent.action == Abstain(about="overload_forecast")
    assert silent.text == "no forecast for A: 5 min of history, 120 needed"


def test_an_overload_of_every_morning_is_foreseen_and_the_forecast_scored_right(week: Shift) -> None:
    raised = week.actions(RaiseAlert)
    scores = [item.action for item in week.actions(ScoreAlert)]
    verdicts = [action.verdict for action in scores if isinstance(action, ScoreAlert)]
    assert len(raised) >= 4
    assert verdicts.count("right") >= 4
    assert verdicts.count("wrong") == 0
    first = raised[0]
    assert first.inputs["method"] == "profile"
    assert first.inputs["peak"] > 85.0 > first.inputs["load"]
    assert "will be over 85 within the hour" in first.text
    named = {
        action.alert for action in scores if isinstance(action, ScoreAlert) and action.verdict == "right"
    }
    written = {event.id for event in week.events if isinstance(event.body, Decided)}
    assert named <= written


def test_overloads_before_it_could_speak_are_counted_as_missed(week: Shift) -> None:
    verdicts = [
        item.action.verdict for item in week.actions(ScoreAlert) if isinstance(item.action, ScoreAlert)
    ]
    assert 1 <= verdicts.count("missed") <= 4
    assert verdicts[-1] != "missed"


def test_the_alert_is_closed_when_its_verdict_is_found(week: Shift) -> None:
    assert len(week.actions(ClearAlert)) == len(week.actions(RaiseAlert))
    assert week.mind.view.alerts.open == {}


@pytest.mark.parametrize("relieved", [False, True])
def test_a_morning_that_does_not_come_was_foreseen_wrongly_unless_work_was_taken_away(relieved: bool) -> None:
    story = Shift().until(0).run(6 * DAY)
    story.said.clear()
    while not story.actions(RaiseAlert):
        story.run(1)
    alert = story.mind.own.foresight.watched["A"].foreseen
    assert alert is not None
    if relieved:
        move = AssignTask(
            task="t1", queue="d", agent="B", lease=2, attempt=1, submitted=1, after=1, previous="A"
        )
        story.say(assigned(move, story.mind.view.timeline.epoch))
    story.finish()
    story.said.clear()
    story.run(24, busy=False)
    (score,) = story.actions(ScoreAlert)
    assert score.action == ScoreAlert(alert=alert.decision, verdict="averted" if relieved else "wrong")


def test_advice_is_scored_like_an_alert() -> None:
    advising = (ElfSettings(name="wisdom", mode="advise"),)
    story = Shift(elves=advising).until(0).run(7 * DAY)
    assert story.actions(RaiseAlert)
    assert {item.mode for item in story.said} == {"advise"}
    verdicts = [
        item.action.verdict for item in story.actions(ScoreAlert) if isinstance(item.action, ScoreAlert)
    ]
    assert "right" in verdicts


def test_its_mind_survives_a_snapshot(week: Shift) -> None:
    data = encode_mind(week.mind)
    assert encode_mind(decode_mind(week.policy, data)) == data
    assert len(data) < 60_000

"""Balance decides the same again from raw observations, however late its own decisions reach the log."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from actors.audit import replay
from actors.elves.balance_elf import BalanceElf
from actors.elves.deliberation import decode_mind, encode_mind, fold, new_mind
from events.agents import AgentIntentSet, AgentJoined, AgentLeft
from events.decisions import MarkAgent
from events.settings import AgentSettings, DistributionSettings, ElfSettings, QueueSettings, Settings
from events.tasks import TaskCancelled, TaskFailed, TaskStarted, TaskSubmitted
from projections.dispatch import Dispatch
from tests.distribution import NAMES, finished, healing
from tests.replay import Forest
from tests.replay import settings as plain

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.sampled_from(["a", "b"])),
        st.tuples(st.just("claim"), st.sampled_from(NAMES)),
        st.tuples(st.just("finish"), st.sampled_from(NAMES)),
        st.tuples(st.just("fail"), st.sampled_from(NAMES)),
        st.tuples(st.just("down"), st.sampled_from(NAMES)),
        st.tuples(st.just("alive"), st.sampled_from(NAMES)),
        st.tuples(st.just("retire"), st.sampled_from(NAMES)),
        st.tuples(st.just("leave"), st.sampled_from(NAMES)),
        st.tuples(st.just("join"), st.sampled_from(NAMES)),
        st.tuples(st.just("cancel"), st.just("")),
        st.tuples(st.just("tick"), st.sampled_from(["5", "31", "700"])),
        st.tuples(st.just("land"), st.just("")),
    ),
    max_size=50,
)


def forest_settings(policy: str) -> Settings:
    agents = (AgentSettings(name="CC01", fallback=1), AgentSettings(name="CC02", skills=("a",), wip=2))
    return plain(
        queues=(QueueSettings(name="q", serve="dispatch", max_attempts=2),),
        agents=(*agents, AgentSettings(name="CC03")),
        elves=(ElfSettings(name="balance", rules={"redistribute": "act"}),),
        distribution=DistributionSettings(policy=policy),
    )


class Play:
    """Agents that read the log and write what they do."""

    def __init__(self, policy: str, lag: int) -> None:
        self.forest = Forest(policies=(BalanceElf(),), lag=lag)
        self.forest.lead(forest_settings(policy))
        self.number = 0
        for name in NAMES:
            self.step("join", name)

    def known(self) -> Dispatch:
        """Return what the log says of tasks and agents."""
        policy = BalanceElf()
        mind = new_mind(policy)
        for event in self.forest.log.events:
            fold(policy, mind, event)
        return mind.own.dispatch

    def step(self, what: str, which: str) -> None:
        self.number += 1
        say, source = self.forest.say, f"agent.{which}"
        match what:
            case "submit":
                priority = ("high", "middle", "low")[self.number % 3]
                body = TaskSubmitted(task=f"t{self.number}", queue="q", kind=which, priority=priority)
                say(body, source="client.c")
            case "join":
                say(AgentJoined(agent=which, run="r", pid=1, host="h", release="1", wip=2), source=source)
            case "leave":
                say(AgentLeft(agent=which, run="r"), source=source)
            case "retire":
                say(AgentIntentSet(agent=which, intent="retire"), source="operator.cli")
            case "down" | "alive":
                state: Any = what
                say(healing(which, MarkAgent(state=state), self.forest.epoch))
            case "tick":
                self.forest.tick(s=float(which))
            case "land":
                self.forest.land()
            case "cancel":
                for task in list(self.known().tasks.values())[:1]:
                    say(TaskCancelled(task=task.task, queue="q"), source="client.c")
            case _:
                self.work(what, which)

    def work(self, what: str, name: str) -> None:
        for task in self.known().holds(name)[:1]:
            if what == "claim" and task.state == "assigned":
                claim = TaskStarted(
                    task=task.task,
                    queue="q",
                    unit=name,
                    generation=1,
                    pid=1,
                    attempt=task.attempts + 1,
                    nonce="n",
                    lease=task.lease,
                )
                self.forest.say(claim, source=f"agent.{name}")
            elif what == "finish" and task.claim:
                self.forest.say(finished(task.task, name, task.claim, 700), source=f"agent.{name}")
            elif what == "fail" and task.claim:
                failed = TaskFailed(
                    task=task.task,
                    queue="q",
                    unit=name,
                    generation=1,
                    attempt=task.attempts,
                    claim=task.claim,
                    kind="error",
                    error="no",
                    retry_in_s=3.0,
                )
                self.forest.say(failed, source=f"agent.{name}")


@pytest.mark.parametrize("policy", ["pull_best", "seed", "seed_repaired", "jsq"])
@given(lag=st.integers(0, 5), steps=STEPS)
@profile(deadline=None, max_examples=40)
def test_replay_is_equal_however_late_decisions_reach_the_log(
    policy: str, lag: int, steps: list[tuple[str, str]]
) -> None:
    play = Play(policy, lag)
    for what, which in steps:
        play.step(what, which)
    play.forest.land()
    report = replay(play.forest.source, policies=(BalanceElf(),))
    assert report.divergences == []
    assert report.equal == report.decisions


def busy() -> Play:
    play = Play("pull_best", 2)
    for round_ in range(12):
        for _ in range(4):
            play.step("submit", "a" if round_ % 2 else "b")
        play.step("land", "")
        for name in NAMES:
            play.step("claim", name)
            play.step("fail" if round_ in (8, 9, 10) else "finish", name)
        if round_ in (3, 7):
            play.step("down", "CC02")
        if round_ == 5:
            play.step("alive", "CC02")
        play.step("tick", "31")
    play.forest.land()
    return play


def test_a_busy_log_holds_every_rule_and_replays_equal() -> None:
    report = replay(busy().forest.source, policies=(BalanceElf(),))
    assert report.divergences == []
    assert {"balance.assign", "balance.reassign", "balance.give_up"} <= set(report.rules)


def test_a_mind_goes_on_from_any_snapshot_as_if_nothing_had_been() -> None:
    events = busy().forest.log.events
    policy = BalanceElf()
    whole = new_mind(policy)
    for event in events:
        fold(policy, whole, event)
    for place in range(0, len(events), 37):
        mind = new_mind(policy)
        for event in events[:place]:
            fold(policy, mind, event)
        policy.decide(mind.own, mind.view)
        mind = decode_mind(policy, encode_mind(mind))
        for event in events[place:]:
            fold(policy, mind, event)
        assert encode_mind(mind) == encode_mind(whole)
        assert policy.decide(mind.own, mind.view) == policy.decide(whole.own, whole.view)

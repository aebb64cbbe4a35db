"""The Balance elf by given, when, then: who may have a task, what becomes of what was assigned, what it says of it."""

import pytest
from msgspec import structs

from events.agents import AgentIntentSet, AgentLeft, AgentRevoked
from events.decisions import AssignTask, ClearAlert, Decided, GiveUpTask, ProposeMove, RaiseAlert
from events.settings import AgentSettings, ElfSettings
from events.tasks import TaskCancelled, TaskDied, TaskSubmitted
from tests.distribution import NAMES, Balance, settings


def only(decisions: list[Decided]) -> Decided:
    (decided,) = decisions
    return decided


def skilled() -> Balance:
    return Balance(
        settings(
            AgentSettings(name="CC01", skills=("design",), fallback=1),
            AgentSettings(name="CC02", skills=("infrastructure",)),
            AgentSettings(name="CC03", skills=("quality",), priorities=("middle", "low"), fallback=2),
        )
    )


def test_a_task_goes_to_each_free_agent_and_the_rest_waits() -> None:
    given = Balance().asked("a", "b", "c", "d")
    assert given.given() == [(task, name, "pull_best") for task, name in zip("abc", NAMES, strict=True)]
    assert given.given() == []
    claim = given.claim("b")
    given.finish("b", "CC02", claim)
    assert given.given() == [("d", "CC02", "pull_best")]


def test_a_pulled_queue_is_none_of_its_business() -> None:
    assert Balance().asked("a", queue="p").given() == []


def test_the_decision_names_the_chosen_and_the_others_with_their_numbers() -> None:
    given = Balance()
    given.marked("CC03", "down")
    given.asked("a", "b", kind="x")
    first, second = given.then()
    assert first.action == AssignTask(
        task="a", queue="q", agent="CC01", lease=1, attempt=1, submitted=7, after=7
    )
    assert [(one.name, one.why_not) for one in second.candidates] == [
        ("CC02", ""),
        ("CC03", "down"),
        ("CC01", "full"),
    ]
    assert second.candidates[0].terms["held"] == 0
    assert second.candidates[2].terms["held"] == 1
    assert second.inputs["others"] == {"down": 1, "full": 1}
    assert (second.cost, second.target, second.inputs["distribution"]) == (0, "b", "pull_best/1")


def test_the_best_eight_others_are_named_and_all_are_counted() -> None:
    agents = tuple(AgentSettings(name=f"A{number:03}") for number in range(50))
    decided = only(Balance(settings(*agents)).asked("t").then())
    assert len(decided.candidates) == 9
    assert sum(decided.inputs["others"].values()) == 49


def test_kinds_go_to_those_who_can() -> None:
    given = skilled()
    for task, kind in (("i", "infrastructure"), ("d", "design"), ("q", "quality")):
        given.asked(task, kind=kind)
    assert given.given() == [
        ("i", "CC02", "pull_best"),
        ("d", "CC01", "pull_best"),
        ("q", "CC03", "pull_best"),
    ]


def test_until_the_one_who_can_is_back_the_order_of_last_resort_holds() -> None:
    given = skilled()
    given.marked("CC02", "down")
    for task in ("a", "b", "c"):
        given.asked(task, kind="infrastructure")
    assert given.given() == [("a", "CC01", "fallback"), ("b", "CC03", "fallback")]
    given.marked("CC02", "alive")
    assert given.given() == [("c", "CC02", "pull_best")]


def test_one_who_can_and_is_busy_is_waited_for() -> None:
    given = skilled().asked("a", "b", kind="infrastructure")
    assert given.given() == [("a", "CC02", "pull_best")]


def test_priorities_of_an_agent_bound_it() -> None:
    given = skilled().asked("q", kind="quality", priority="high")
    assert given.given() == [("q", "CC01", "fallback")]


@pytest.mark.parametrize("policy", ["pull_best", "pull_fair", "pull_fifo", "jsq", "seed_repaired"])
def test_high_comes_before_middle_before_low(policy: str) -> None:
    given = Balance(settings(AgentSettings(name="CC01"), policy=policy), joined=False)
    given.asked("l", priority="low").asked("m").asked("h", priority="high").joined("CC01")
    order = []
    for _ in range(3):
        for task, _agent, _reason in given.given():
            order.append(task)
        given.finish(order[-1], "CC01", given.claim(order[-1]))
    assert order == ["h", "m", "l"]


@pytest.mark.parametrize("state", ["suspect", "probing", "down", "recovering", "paused", "retired", "absent"])
def test_an_agent_in_this_state_gets_nothing_new(state: str) -> None:
    given = Balance(settings(AgentSettings(name="CC01"))).marked("CC01", state).asked("t")
    assert given.given() == []


def test_a_suspect_keeps_what_it_has() -> None:
    given = Balance().asked("t")
    given.given()
    given.claim("t")
    given.marked("CC01", "suspect").tick(s=1)
    assert given.given() == []


def test_who_is_down_loses_its_tasks_in_the_order_of_priority_deadline_age() -> None:
    given = Balance(settings(AgentSettings(name="CC01", wip=5), AgentSettings(name="CC02", wip=5)))
    given.marked("CC02", "paused")
    given.asked("l", priority="low").asked("m").asked("soon", timeout_s=10.0).asked("h", priority="high")
    assert {agent for _, agent, _ in given.given()} == {"CC01"}
    given.claim("m")
    given.marked("CC02", "alive").marked("CC01", "down").asked("new")
    decisions = given.then()
    assert [one.action.task for one in decisions if isinstance(one.action, AssignTask)] == [
        "h",
        "soon",
        "m",
        "new",
        "l",
    ]
    assert [(one.rule, one.action.previous) for one in decisions if isinstance(one.action, AssignTask)] == [
        ("reassign", "CC01"),
        ("reassign", "CC01"),
        ("reassign", "CC01"),
        ("assign", ""),
        ("reassign", "CC01"),
    ]


@pytest.mark.parametrize("how", ["left", "revoked", "retired"])
def test_who_goes_loses_its_tasks(how: str) -> None:
    given = Balance().asked("t")
    given.given()
    claim = given.claim("t")
    if how == "left":
        given.say(AgentLeft(agent="CC01", run="r1"), source="agent.CC01")
    elif how == "revoked":
        given.say(AgentRevoked(agent="CC01"))
    else:
        given.say(AgentIntentSet(agent="CC01", intent="retire"), source="operator.cli")
    decided = only(given.then())
    assert isinstance(decided.action, AssignTask)
    assert (decided.action.agent, decided.action.lease, decided.action.attempt) == ("CC02", 2, 2)
    assert decided.action.after == claim


def test_who_failed_a_task_does_not_get_it_again_while_another_is_there() -> None:
    given = Balance(settings(AgentSettings(name="CC01"), AgentSettings(name="CC02"))).asked("t", "u")
    given.given()
    given.fails("t", "CC01", given.claim("t"))
    assert given.given() == []
    given.finish("u", "CC02", given.claim("u"))
    assert given.given() == [("t", "CC02", "pull_best")]


def test_the_only_one_there_gets_it_again() -> None:
    given = Balance(settings(AgentSettings(name="CC01"))).asked("t")
    given.given()
    given.fails("t", "CC01", given.claim("t"))
    assert given.given() == [("t", "CC01", "pull_best")]


def test_a_retry_waits_for_its_time() -> None:
    given = Balance().asked("t")
    given.given()
    given.fails("t", "CC01", given.claim("t"), retry_in_s=7.0)
    assert given.given() == []
    assert given.due == pytest.approx(7.0)
    given.tick(s=7)
    assert given.given() == [("t", "CC02", "pull_best")]


def test_a_task_that_is_not_due_waits() -> None:
    given = Balance()
    given.say(TaskSubmitted(task="t", queue="q", due=given.now + 9_000_000), source="client.c")
    assert given.given() == []
    given.tick(s=9)
    assert [task for task, _, _ in given.given()] == ["t"]


def test_an_assignment_that_nobody_claims_goes_to_another_after_thirty_seconds() -> None:
    given = Balance().asked("t")
    given.given()
    given.tick(s=29)
    assert given.given() == []
    given.tick(s=1)
    decided = only(given.then())
    assert isinstance(decided.action, AssignTask)
    assert (decided.rule, decided.reason) == ("reassign", "unclaimed")
    assert (decided.action.agent, decided.action.previous, decided.action.lease) == ("CC02", "CC01", 2)
    given.tick(s=5)
    assert given.given() == []


def test_what_an_agent_queues_by_itself_is_not_overdue_while_it_is_busy() -> None:
    given = Balance(settings(*(AgentSettings(name=name) for name in NAMES), policy="jsq"))
    given.asked("a", "b", "c", "d")
    given.given()
    for task in ("a", "b", "c"):
        given.claim(task)
    given.tick(s=300)
    assert given.given() == []
    given.finish("a", "CC01", given.dispatch.tasks["q/a"].claim)
    given.tick(s=30)
    assert given.given() == [("d", "CC02", "unclaimed")]


def test_while_a_shared_cause_is_suspected_nothing_is_taken_from_anybody() -> None:
    given = Balance().asked("t")
    given.given()
    given.dispatch.agents.frozen = True
    given.tick(s=60)
    assert given.given() == []
    given.marked("CC01", "down")
    given.tick()
    assert given.given() == []
    given.dispatch.agents.frozen = False
    given.tick()
    assert [task for task, _, _ in given.given()] == ["t"]


def test_a_task_without_attempts_left_is_given_up_once() -> None:
    given = Balance().asked("t")
    for _ in range(3):
        ((_, agent, _),) = given.given()
        given.fails("t", agent, given.claim("t"))
    decided = only(given.then())
    assert isinstance(decided.action, GiveUpTask)
    assert (decided.action.attempts, decided.action.kind, decided.action.error) == (3, "error", "no")
    assert decided.action.after == given.dispatch.tasks["q/t"].after
    assert given.tick().then() == []
    assert only(given.tick(s=30).then()).rule == "give_up"
    given.say(TaskDied(task="t", queue="q", unit="", attempts=3, kind="error", error="no"))
    assert given.tick(s=60).then() == []


def test_a_cancelled_task_frees_its_agent() -> None:
    given = Balance(settings(AgentSettings(name="CC01"))).asked("a", "b")
    given.given()
    given.say(TaskCancelled(task="a", queue="q"), source="client.c")
    assert given.given() == [("b", "CC01", "pull_best")]


def test_on_probation_one_task_and_none_that_is_high() -> None:
    given = Balance(settings(AgentSettings(name="CC01"), AgentSettings(name="CC02", wip=3)))
    given.marked("CC02", "probation", 1)
    given.asked("h1", "h2", priority="high")
    assert given.given() == [("h1", "CC01", "pull_best")]
    given.asked("m1", "m2")
    assert given.given() == [("m1", "CC02", "pull_best")]


def test_on_probation_and_alone_it_gets_what_there_is() -> None:
    given = Balance(settings(AgentSettings(name="CC01"))).marked("CC01", "probation", 1)
    assert given.asked("h", priority="high").given() == [("h", "CC01", "pull_best")]


def test_what_nobody_may_take_raises_an_alert_after_half_its_time() -> None:
    given = skilled()
    for name in NAMES:
        given.marked(name, "down")
    given.asked("t", kind="design", timeout_s=100.0)
    assert given.tick(s=49).then() == []
    raised = only(given.tick(s=1).then())
    assert raised.action == RaiseAlert(cause="unplaced", severity="warning")
    assert (raised.target, raised.inputs["kinds"]) == ("q", ["design"])
    assert given.tick().then() == []
    given.marked("CC01", "alive").tick()
    placed, cleared = given.then()
    assert (placed.rule, cleared.action) == ("assign", ClearAlert(cause="unplaced"))
    assert given.tick().then() == []


def test_many_decisions_come_in_batches_that_follow_each_other() -> None:
    agents = tuple(AgentSettings(name=f"A{number:03}") for number in range(450))
    given = Balance(settings(*agents))
    given.asked(*(f"t{number}" for number in range(450)))
    assert [len(given.then()) for _ in range(4)] == [200, 200, 50, 0]


def overloaded(*elves: ElfSettings) -> Balance:
    """CC01 holds three tasks that it did not start; CC02 holds none."""
    adopted = settings(AgentSettings(name="CC01"), AgentSettings(name="CC02"), policy="seed")
    given = Balance(structs.replace(adopted, elves=elves))
    given.marked("CC02", "paused")
    given.asked("a", "b", "c", "d")
    given.given()
    given.claim("a")
    given.marked("CC02", "alive")
    return given


def test_above_seventy_the_elf_names_what_could_go_where() -> None:
    given = overloaded()
    advice = only(given.tick(s=1).then())
    assert isinstance(advice.action, ProposeMove)
    assert (advice.mode, advice.reason, advice.target) == ("advise", "overload", "CC01")
    assert advice.action == ProposeMove(tasks=("q/d", "q/c"), source="CC01", goal="CC02")
    assert (advice.inputs["source_before"], advice.inputs["source_after"]) == (90.0, 70.0)
    assert (advice.inputs["goal_before"], advice.inputs["goal_after"]) == (50.0, 70.0)
    assert given.tick(s=1).then() == []


def test_advice_that_may_act_moves_what_it_named_and_nothing_that_was_started() -> None:
    given = overloaded(ElfSettings(name="balance", rules={"redistribute": "act"}))
    assert only(given.tick(s=1).then()).mode == "act"
    decisions = given.then()
    assert [
        (one.rule, one.reason, one.action.task) for one in decisions if isinstance(one.action, AssignTask)
    ] == [
        ("redistribute", "approved", "d"),
        ("redistribute", "approved", "c"),
    ]
    assert {task.task for task in given.dispatch.holds("CC02")} == {"c", "d"}
    assert given.dispatch.record("CC01").consecutive == 0
    assert given.tick(s=1).then() == []


def test_what_was_started_meanwhile_is_not_moved() -> None:
    given = overloaded(ElfSettings(name="balance", rules={"redistribute": "act"}))
    given.tick(s=1).then()
    given.finish("a", "CC01", given.dispatch.tasks["q/a"].claim)
    given.claim("d")
    assert [task for task, _, _ in given.given()] == ["c"]

"""What two looks prove of a worker that does not get on, and what is done then."""

from typing import Any

import pytest

from actors.elves.healing_elf import HealingElf
from events.decisions import ContinueUnit, Decided, RaiseAlert, RestartUnit, TakeEvidence, TellUnit
from events.observations import EvidenceTaken, ProcessLook, Sampled, Sign, WorkerReady
from events.settings import WorkerSettings
from events.tasks import TaskFinished
from tests.elves import Given, queue, sample, settings

PID = 7


def look(**more: Any) -> ProcessLook:
    """Return what a look at a process that waits for a lock shows."""
    given: dict[str, Any] = {
        "pid": PID,
        "status": "S",
        "cpu": 0,
        "threads": 2,
        "wait": "lock",
        "stacks": "same",
        "frame": "f (a.py:1)",
        "same": 5,
        "looks": 5,
    }
    return ProcessLook(**(given | more))


def story(known: bool = True) -> Given:
    """Return one worker that is ready and has, if `known`, ended tasks before."""
    pool = WorkerSettings(name="w", queue="q", units=("w",), launch="1")
    given = Given(HealingElf(), settings(workers=(pool,))).born("w")
    given.say(WorkerReady(unit="w", generation=1, pid=101))
    for number in range(6 if known else 0):
        done = TaskFinished(
            task=f"t{number}", queue="q", unit="w", generation=1, attempt=1, claim=1, service_ms=10
        )
        given.say(done, source="worker.w")
    return given


def stall(given: Given, seconds: float, s: float = 5.0, **sign: Any) -> list[Decided]:
    """Let a tick say that a task has lasted so long."""
    sign = {"pid": PID, "beat_ms": 500} | sign
    seen = Sign("w", 1, stall_ms=int(seconds * 1000), **sign)
    return given.say(Sampled(full=False, units=(sample("w", age=0),), signs=(seen,)), s=s).then()


def looked(given: Given, first: ProcessLook, second: ProcessLook, **sign: Any) -> list[Decided]:
    """Let a task last until two looks were taken; return what is decided on the second."""
    assert stall(given, 30, **sign) == []
    for seconds, seen in ((35, first), (45, second)):
        (ask,) = stall(given, seconds, s=5 if seconds == 35 else 10, **sign)
        assert ask.action == TakeEvidence(generation=1, kind="stalled", pid=PID)
        given.say(EvidenceTaken(unit="w", generation=1, kind="stalled", file="e", pid=PID, looks=(seen,)))
        given.verify(ask)
    return given.then()


def test_equal_stacks_that_wait_for_locks_are_a_deadlock() -> None:
    (decided,) = looked(story(), look(), look())
    assert (decided.rule, decided.action, decided.cost) == ("deadlock", RestartUnit(generation=1), 1)
    assert decided.inputs["evidence"] == ["e", "e"]


@pytest.mark.parametrize("other", [{"stacks": "other"}, {"cpu": 20}, {"wait": "sleep"}, {"pid": 8}])
def test_without_all_of_the_proof_nothing_is_restarted(other: dict[str, Any]) -> None:
    (decided,) = looked(story(), look(), look(**other))
    assert (decided.rule, decided.action) == ("stalled", RaiseAlert(cause="stalled", severity="warning"))


@pytest.mark.parametrize(("known", "rule"), [(True, "livelock"), (False, "stalled")])
def test_a_loop_is_one_only_where_the_usual_time_is_known(known: bool, rule: str) -> None:
    seen = look(wait="run", cpu=300, demand=980)
    (decided,) = looked(story(known), seen, seen)
    assert decided.rule == rule
    assert isinstance(decided.action, RestartUnit) == known


def test_a_loop_that_goes_on_to_another_function_is_none() -> None:
    seen = look(wait="run", cpu=980)
    (decided,) = looked(story(), seen, look(wait="run", cpu=980, frame="g (a.py:9)"))
    assert decided.rule == "stalled"


def test_a_held_interpreter_and_a_silent_peer_are_told_of() -> None:
    (held,) = looked(story(), look(wait="sleep"), look(wait="sleep"), beat_ms=12_000)
    assert (held.rule, type(held.action)) == ("gil_held", RaiseAlert)
    (blocked,) = looked(story(), look(wait="io"), look(wait="io"))
    assert (blocked.rule, type(blocked.action)) == ("blocked_io", RaiseAlert)


def test_a_stopped_process_inside_is_continued() -> None:
    (decided,) = looked(story(), look(status="T"), look(status="T"), beat_ms=40_000)
    assert (decided.rule, decided.action) == ("stopped", ContinueUnit(generation=1))


def test_a_task_that_ends_after_all_is_forgotten_and_its_alert_goes() -> None:
    given = story()
    looked(given, look(wait="sleep"), look(wait="sleep"))
    (clear,) = given.say(Sampled(full=False, units=(sample("w", age=0),)), s=5).then()
    assert (clear.rule, clear.reason) == ("stalled", "calm")


def test_idle_workers_ask_their_queue_anew_before_they_are_restarted() -> None:
    given = story()
    said: list[Decided] = []
    for _ in range(16):
        tick = given.tick(sample("w", age=0), queues=(queue(5, pulls=0),), s=5)
        said += tick.then()
    assert [decided.action for decided in said] == [
        TellUnit(generation=1, verb="renew"),
        RestartUnit(generation=1, evidence=True),
    ]


def test_many_zombies_end_their_parent_and_a_few_are_told_of() -> None:
    for zombies, kinds in ((3, {RaiseAlert}), (12, {RaiseAlert, RestartUnit})):
        given = story()
        said: list[Decided] = []
        for _ in range(14):
            sign = Sign("w", 1, zombies=zombies)
            given.say(Sampled(full=False, units=(sample("w", age=0),), signs=(sign,)), s=5)
            said += given.then()
        assert {type(decided.action) for decided in said} == kinds


def test_a_process_the_kernel_holds_is_told_of_and_not_killed() -> None:
    given = story()
    said: list[Decided] = []
    for _ in range(20):
        said += given.tick(sample("w", "D", age=0)).then()
    assert [decided.action for decided in said] == [RaiseAlert(cause="disk_sleep", severity="warning")]
    (clear,) = given.tick(sample("w", "S", age=0)).then()
    assert clear.reason == "calm"

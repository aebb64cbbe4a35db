"""Memory step by step, and a leak from its first sign to its end."""

from typing import Any

from actors.elves.healing_elf import HealingElf
from events.decisions import ClearAlert, Decided, Notify, RaiseAlert, RestartUnit, TakeEvidence, TellUnit
from events.observations import EvidenceTaken, ProcessLook, WorkerReady
from events.settings import ChannelSettings, Limits, WorkerSettings
from tests.elves import Given, sample, settings

POOL = WorkerSettings(name="w", queue="q", units=("w",), memory_limit=1000, launch="1")


def story(**more: Any) -> Given:
    """Return one living worker with a limit of 1,000 bytes."""
    given = Given(HealingElf(), settings(workers=(POOL,), **more)).born("w")
    return given.say(WorkerReady(unit="w", generation=1, pid=101))


def use(given: Given, memory: int) -> list[Decided]:
    """Let it use so much and ask."""
    return given.tick(sample("w", memory=memory, age=0)).then()


def test_memory_ends_in_a_restart_at_a_task_edge_then_without_waiting() -> None:
    given = story()
    (quiet,) = use(given, 955)
    assert quiet.action == TellUnit(generation=1, verb="quiet")
    (planned,) = use(given, 955)
    assert (planned.action, planned.cost) == (RestartUnit(generation=1, drain=True), 10)
    (hurry,) = use(given, 985)
    assert hurry.action == TellUnit(generation=1, verb="hurry")
    assert use(given, 990) == []


def test_at_its_limit_a_worker_is_looked_at_and_ended_at_once() -> None:
    given = story()
    use(given, 985)
    (now,) = use(given, 985)
    assert (now.action, now.cost) == (RestartUnit(generation=1, evidence=True), 1)
    assert now.reason == "memory_full"


def test_a_worker_whose_memory_falls_by_itself_takes_tasks_again() -> None:
    given = story()
    assert [decided.rule for decided in use(given, 955)] == ["memory_quiet"]
    (again,) = use(given, 500)
    assert again.action == TellUnit(generation=1, verb="renew")
    assert use(given, 500) == []


def test_a_confirmed_leak_is_looked_at_told_of_and_ended_in_a_quiet_moment() -> None:
    pool = WorkerSettings(name="w", units=("w",), memory_limit=1000, launch="1")
    given = Given(
        HealingElf(),
        settings(
            workers=(pool,), limits=Limits(leak_slot_s=1.0), channels=(ChannelSettings(name="task_elder"),)
        ),
    ).born("w")
    said: list[Decided] = []
    memory = 100.0
    while not any(isinstance(decided.action, RestartUnit) for decided in said):
        assert memory < 900, [decided.text for decided in said]
        memory += 13
        decisions = given.tick(sample("w", memory=int(memory)), s=0.5).then()
        for decided in decisions:
            if isinstance(decided.action, TakeEvidence):
                look = ProcessLook(101, "S", 0, 1, "sleep")
                given.say(EvidenceTaken(unit="w", generation=1, kind="leak", pid=101, looks=(look,)))
                given.verify(decided)
        said += decisions
    assert [type(decided.action) for decided in said] == [RaiseAlert, TakeEvidence, Notify, RestartUnit] or [
        type(decided.action) for decided in said
    ] == [TakeEvidence, Notify, RaiseAlert, RestartUnit]
    restart = said[-1]
    assert (restart.rule, restart.reason, restart.action) == (
        "leak",
        "schedule_restart",
        RestartUnit(generation=1, drain=True),
    )
    assert restart.inputs["level"] == "confirmed"
    given.died("w").born("w", 2).verify(restart)
    cleared = given.tick(sample("w", generation=2)).then()
    assert [decided.action for decided in cleared] == [ClearAlert(cause="leak")]


def test_flat_memory_and_a_warm_up_are_no_leak() -> None:
    given = story(limits=Limits(leak_slot_s=1.0))
    for number in range(200):
        memory = 100 + min(number, 6) * 60 + number % 3 * 5
        assert given.tick(sample("w", memory=memory, age=0), s=0.5).then() == []

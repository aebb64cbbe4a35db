"""The playbooks are what is done: other steps in settings are other acts, and the page lists the steps as they are."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import fields

from actors.config_playbooks import Playbooks
from actors.elves.balance_elf import BalanceElf
from actors.elves.healing_elf import HealingElf
from actors.elves.playbooks import PLAYBOOKS, misplaced, missing, usual
from events.codec import canonical
from events.decisions import Decided, MoveTasks, Notify, ProposeBatch, RestartUnit, TakeEvidence
from events.observations import EvidenceTaken, ProcessLook
from events.settings import ChannelSettings, Limits, QueueSettings, WorkerSettings
from events.tasks import TaskFinished, TaskStarted, TaskSubmitted
from projections.outbox import topic_of
from tests.elves import Given, queue, sample, settings

PAGE = (Path(__file__).parents[2] / "docs/care.md").read_text(encoding="utf-8")
SEED = {
    "worker_not_responding": (
        "check_process_status",
        "send_sigterm",
        "wait_graceful_shutdown",
        "force_kill_if_needed",
        "restart_worker",
    ),
    "memory_leak_detected": ("log_memory_snapshot", "schedule_restart", "notify_task_elder"),
    "queue_overflow": ("spawn_additional_worker", "redistribute_tasks", "increase_batch_size"),
}
OWNED = {"channels": (ChannelSettings(name="task_elder"),)}


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_the_usual_steps_are_the_seed_s_and_can_work(playbook: str) -> None:
    assert usual(playbook) == SEED[playbook]
    assert (missing(playbook, usual(playbook)), [*misplaced(playbook, usual(playbook))]) == ("", [])
    assert all(step.does and step.wait and step.check for step in PLAYBOOKS[playbook])


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_the_page_lists_every_step_with_its_wait_and_its_check(playbook: str) -> None:
    rows = [
        f"| `{step.name}`{'' if step.usual else ' (only where named)'} | {step.does} | {step.wait} | {step.check} |"
        for step in PLAYBOOKS[playbook]
    ]
    said = PAGE.split(f"\n`{playbook}`")[1].split("\n\n")[1].splitlines()
    assert said[2:] == rows


def test_each_playbook_has_its_key_and_usual_ones_are_left_unsaid() -> None:
    assert [entry.name for entry in fields(Playbooks)] == [*PLAYBOOKS]
    assert canonical(settings(playbooks=Playbooks().settings())) == canonical(settings())
    assert Playbooks(queue_overflow=("redistribute_tasks",)).settings() == {
        "queue_overflow": ("redistribute_tasks",)
    }


def silent(steps: tuple[str, ...]) -> Given:
    """Return a task worker that has given no beat in two ticks."""
    pool = WorkerSettings(name="w", queue="q", units=("w",), launch="1")
    given = Given(
        HealingElf(), settings(workers=(pool,), playbooks={"worker_not_responding": steps}, **OWNED)
    )
    given.born("w").tick(sample("w", age=40_000))
    return given.tick(sample("w", age=45_000))


def test_who_may_not_be_killed_is_told_of_once_and_asked_to_end() -> None:
    hands = ("check_process_status", "send_sigterm", "wait_graceful_shutdown", "restart_worker")
    given = silent(("notify_task_elder", *hands))
    told, restart = given.then()
    assert (told.rule, told.action) == ("not_responding", Notify(channel="task_elder"))
    assert restart.action == RestartUnit(generation=1, evidence=True, steps=hands)
    given.fail(restart)
    again = [decided for _ in range(8) for decided in given.tick(sample("w", age=60_000)).then()]
    assert again
    assert {decided.action for decided in again} == {restart.action}


def leaking(
    steps: tuple[str, ...], channels: tuple[ChannelSettings, ...] = OWNED["channels"]
) -> list[Decided]:
    """Return what is done about a leak until the worker is restarted or has grown by far."""
    pool = WorkerSettings(name="w", units=("w",), memory_limit=1000, launch="1")
    given = Given(
        HealingElf(),
        settings(
            workers=(pool,),
            limits=Limits(leak_slot_s=1.0),
            playbooks={"memory_leak_detected": steps},
            channels=channels,
        ),
    ).born("w")
    said: list[Decided] = []
    for memory in range(113, 890, 13):
        for decided in given.tick(sample("w", memory=memory), s=0.5).then():
            if decided.rule != "leak_alert":
                said.append(decided)
            if isinstance(decided.action, TakeEvidence):
                look = ProcessLook(101, "S", 0, 1, "sleep")
                given.say(EvidenceTaken(unit="w", generation=1, kind="leak", pid=101, looks=(look,)))
                given.verify(decided)
        if any(isinstance(decided.action, RestartUnit) for decided in said):
            break
    return said


@pytest.mark.parametrize(
    ("steps", "done"),
    [
        (SEED["memory_leak_detected"], [TakeEvidence, Notify, RestartUnit]),
        (
            ("notify_task_elder", "log_memory_snapshot", "schedule_restart"),
            [Notify, TakeEvidence, RestartUnit],
        ),
        (("log_memory_snapshot", "notify_task_elder"), [TakeEvidence, Notify]),
        (("notify_task_elder", "schedule_restart"), [Notify, RestartUnit]),
        (("schedule_restart", "notify_task_elder"), [RestartUnit, Notify]),
        (("schedule_restart",), [RestartUnit]),
    ],
)
def test_a_leak_is_met_by_the_steps_in_force_in_their_order(steps: tuple[str, ...], done: list[type]) -> None:
    assert [type(decided.action) for decided in leaking(steps)] == done


@pytest.mark.parametrize(
    ("name", "topics", "reached"),
    [("task_elder", (), True), ("others", ("leak",), True), ("others", ("owner",), False)],
)
def test_the_notice_of_a_leak_reaches_its_owners_or_those_of_the_topic(
    name: str, topics: tuple[str, ...], reached: bool
) -> None:
    adopted = settings(channels=(ChannelSettings(name=name, topics=topics),))
    told = Notify(channel=name) if name == "task_elder" else Notify(topic="memory_leak")
    (notice,) = leaking(("notify_task_elder",), adopted.channels)
    assert notice.action == told
    topic, names = topic_of(notice, adopted)
    assert (name in names or topic in topics) == reached


def overflowing(steps: tuple[str, ...], units: int) -> list[Decided]:
    """Return what is advised and done for a queue whose pool has so many processes of two; another queue has room."""
    names = ("w-1", "w-2")
    pools = (
        WorkerSettings(name="w", queue="q", units=names[:units], names=names, batch=10, launch="1"),
        WorkerSettings(name="v", queue="r", units=("v",), names=("v",), launch="1"),
    )
    queues = (QueueSettings(name="q", overflow_to=("r",)), QueueSettings(name="r"))
    given = Given(
        BalanceElf(),
        settings(workers=pools, queues=queues, playbooks={"queue_overflow": steps} if steps else {}),
    )
    for unit, pool in (*((name, "w") for name in names[:units]), ("v", "v")):
        given.born(unit, pool=pool)
    for number in range(152):
        given.say(TaskSubmitted(task=f"t{number}", queue="q", kind="k"), source="client.c")
    for task, unit in (("t0", "w-1"), ("t1", "w-1")):
        place: dict[str, Any] = {"task": task, "queue": "q", "unit": unit, "generation": 1, "attempt": 1}
        given.say(TaskStarted(**place, pid=101, nonce="n"), source=f"worker.{unit}")
        claim = len(given.events)
        given.say(TaskFinished(**place, claim=claim, service_ms=2000), source=f"worker.{unit}")
    waiting = (queue(150), queue(0, name="r"))
    given.tick(queues=waiting).tick(queues=waiting)
    return [decided for decided in given.ask() if decided.rule in ("batch", "overflow")]


def test_an_overflow_waits_for_more_processes_unless_that_step_is_left_out() -> None:
    assert overflowing((), units=1) == []
    (moved,) = overflowing((), units=2)
    assert isinstance(moved.action, MoveTasks)
    (early,) = overflowing(("redistribute_tasks", "increase_batch_size"), units=1)
    assert isinstance(early.action, MoveTasks)


def test_a_larger_batch_is_advised_before_tasks_move_where_it_comes_first() -> None:
    steps = ("spawn_additional_worker", "increase_batch_size", "redistribute_tasks")
    advice, moved = overflowing(steps, units=2)
    assert (advice.mode, advice.action) == ("advise", ProposeBatch(pool="w", now=10, batch=15))
    assert isinstance(moved.action, MoveTasks)
    assert [decided.rule for decided in overflowing(("increase_batch_size",), units=2)] == ["batch"]

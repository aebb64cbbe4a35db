"""The views of tasks and queues, with a fold as their oracle."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.envelope import Recorded
from events.observations import (
    LeaseTaken,
    QueueSample,
    Sampled,
)
from events.settings import QueueSettings, Settings, SettingsAdopted
from events.tasks import (
    Evidence,
    TaskCancelled,
    TaskDied,
    TaskDropped,
    TaskFailed,
    TaskFinished,
    TaskMoved,
    TaskReleased,
    TaskStarted,
    TaskSubmitted,
)
from tests.projections.conftest import Ask, Tell
from tests.projections.scenes import START, Scene, asked, stored


def task_row(ask: Ask, id: str) -> tuple[Any, ...]:
    (row,) = ask("SELECT state, attempts, worker, queue, error FROM tasks WHERE id = ?", [id])
    return tuple(row.values())


def test_the_states_of_tasks(tell: Tell) -> None:
    scene = Scene()
    scene.submit("waiting")
    scene.submit("running")
    scene.start("running")
    scene.submit("done")
    scene.finish("done", scene.start("done"))
    scene.submit("failed")
    scene.fail("failed", scene.start("failed"))
    scene.submit("again")
    scene.fail("again", scene.start("again"))
    scene.finish("again", scene.start("again", "w-2", 2), "w-2", 2)
    scene.submit("dead")
    scene.start("dead")
    scene.say(TaskDied(task="dead", queue="q", unit="w-1", attempts=1, kind="timeout", error="late"))
    scene.submit("cancelled")
    scene.say(TaskCancelled(task="cancelled", queue="q"))
    scene.submit("released")
    claim = scene.start("released")
    scene.say(TaskReleased(task="released", queue="q", unit="w-1", generation=1, attempt=1, claim=claim))
    ask = tell(scene)
    assert task_row(ask, "waiting") == ("waiting", 0, None, "q", None)
    assert task_row(ask, "running") == ("running", 1, "w-1", "q", None)
    assert task_row(ask, "done") == ("done", 1, "w-1", "q", None)
    assert task_row(ask, "failed") == ("failed", 1, "w-1", "q", "boom")
    assert task_row(ask, "again") == ("done", 2, "w-2", "q", None)
    assert task_row(ask, "dead") == ("dead", 1, "w-1", "q", "late")
    assert task_row(ask, "cancelled") == ("cancelled", 0, None, "q", None)
    assert task_row(ask, "released") == ("waiting", 0, None, "q", None)
    outcomes = ask("SELECT task, outcome FROM attempts ORDER BY seq")
    assert [(row["task"], row["outcome"]) for row in outcomes] == [
        ("running", "running"),
        ("done", "done"),
        ("failed", "failed"),
        ("again", "failed"),
        ("again", "done"),
        ("dead", "dead"),
        ("released", "released"),
    ]
    (row,) = ask("SELECT name, pending, in_flight, dead FROM queues")
    assert row == {"name": "q", "pending": 3, "in_flight": 1, "dead": 1}


def test_only_the_first_end_under_the_last_claim_counts(tell: Tell) -> None:
    scene = Scene()
    scene.submit("late")
    lost = scene.start("late")
    scene.start("late", "w-2", 2)
    scene.finish("late", lost)
    scene.submit("twice")
    claim = scene.start("twice")
    scene.fail("twice", claim)
    scene.finish("twice", claim)
    scene.submit("after")
    claim = scene.start("after")
    scene.say(TaskCancelled(task="after", queue="q"))
    scene.finish("after", claim)
    ask = tell(scene)
    assert task_row(ask, "late")[:3] == ("running", 2, "w-2")
    assert task_row(ask, "twice")[:3] == ("failed", 1, "w-1")
    assert task_row(ask, "after")[:3] == ("cancelled", 1, "w-1")
    assert [row["task"] for row in ask("FROM ignored_ends ORDER BY seq")] == ["late", "twice", "after"]
    assert [row["outcome"] for row in ask("FROM attempts WHERE task = 'late' ORDER BY seq")] == [
        "lost",
        "running",
    ]


@pytest.mark.parametrize("moved_first", [True, False])
def test_a_moved_task_stays_one_and_follows(tell: Tell, moved_first: bool) -> None:
    scene = Scene()
    asked_at = scene.submit("m", "a", kind="old")
    if moved_first:
        scene.say(TaskMoved(task="m", queue="a", to="b"))
    scene.submit("m", "b", kind="old")
    if not moved_first:
        scene.say(TaskMoved(task="m", queue="a", to="b"))
    ask = tell(scene)
    assert task_row(ask, "m")[:4] == ("waiting", 0, None, "b")
    end = scene.finish("m", scene.start("m", queue="b"), queue="b")
    ask = tell(scene)
    assert task_row(ask, "m")[:4] == ("done", 1, "w-1", "b")
    assert ask("SELECT response_s FROM tasks") == [{"response_s": float(end - asked_at)}]


def test_a_dead_letter_put_back_lives_again(tell: Tell) -> None:
    scene = Scene()
    scene.submit("d")
    first = scene.start("d")
    scene.say(TaskDied(task="d", queue="q", unit="w-1", attempts=1, kind="error", error="x"))
    back = scene.submit("d")
    scene.finish("d", first)
    ask = tell(scene)
    assert task_row(ask, "d")[:3] == ("waiting", 0, None)
    end = scene.finish("d", scene.start("d"))
    ask = tell(scene)
    assert task_row(ask, "d")[:2] == ("done", 1)
    assert ask("SELECT response_s, submissions FROM tasks") == [
        {"response_s": float(end - back), "submissions": 2}
    ]


def test_a_dead_letter_with_its_evidence_until_it_is_dropped(tell: Tell) -> None:
    scene = Scene()
    scene.submit("d")
    scene.start("d")
    evidence = Evidence(unit="w-1", generation=3, pid=7, signal=11, memory=4096, lines=("a", "b"))
    body = TaskDied(
        task="d", queue="q", unit="w-1", attempts=4, kind="crash", error="x", deaths=4, evidence=evidence
    )
    died = scene.say(body)
    columns = "id, attempts, deaths, failure, unit, generation, code, signal, memory_bytes, log_lines, seq"
    (row,) = tell(scene)(f"SELECT {columns} FROM dead_letters")
    assert tuple(row.values()) == ("d", 1, 4, "crash", "w-1", 3, None, 11, 4096, ["a", "b"], died)
    scene.say(TaskDropped(task="d", queue="q", reason="known"))
    ask = tell(scene)
    assert ask("FROM dead_letters") == []
    assert task_row(ask, "d") == ("dropped", 1, "w-1", "q", "x")
    scene.submit("d")
    assert task_row(tell(scene), "d")[:2] == ("waiting", 0)


def test_a_death_is_charged_to_whoever_the_trial_finds(tell: Tell) -> None:
    scene = Scene()
    for task in ("worker", "task", "open"):
        scene.submit(task)
        scene.say(crash(task, scene.start(task)))
    claim = scene.start("worker", "w-2", 2)
    done: dict[str, Any] = {"generation": 1, "attempt": 2, "claim": claim}
    scene.say(TaskFinished(task="worker", queue="q", unit="w-2", cleared=1, **done))
    scene.say(crash("worker", scene.start("worker")))
    scene.start("task")
    died = TaskDied(task="task", queue="q", unit="w-1", attempts=2, kind="crash", error="again", deaths=2)
    scene.say(died)
    rows = tell(scene)("SELECT task, charged FROM deaths ORDER BY seq")
    assert [tuple(row.values()) for row in rows] == [
        ("worker", "worker"),
        ("task", "task"),
        ("open", None),
        ("worker", None),
        ("task", "task"),
    ]


def crash(task: str, claim: int) -> TaskFailed:
    """A process died with a task."""
    words: dict[str, Any] = {"kind": "crash", "error": "gone", "deaths": 1}
    return TaskFailed(task=task, queue="q", unit="w-1", generation=1, attempt=1, claim=claim, **words)


def test_a_delayed_task_waits_for_its_time_by_the_clock_of_the_leading_node(tell: Tell) -> None:
    scene = Scene()
    scene.say(LeaseTaken(holder="n1"), "node.n1", second=1)
    scene.submit("late", due=START + 60_000_000)
    scene.submit("early", due=START + 1_000_000)
    ask = tell(scene)
    due = ask("SELECT epoch_us(due) AS due FROM tasks WHERE id = 'late'")
    assert due == [{"due": START + 60_000_000}]
    assert (task_row(ask, "late")[0], task_row(ask, "early")[0]) == ("delayed", "waiting")
    assert ask("SELECT pending, delayed FROM queues") == [{"pending": 1, "delayed": 1}]
    scene.say(Sampled(full=True), "node.n1", second=60)
    ask = tell(scene)
    assert task_row(ask, "late")[0] == "waiting"
    assert ask("SELECT pending, delayed FROM queues") == [{"pending": 2, "delayed": 0}]


def test_the_same_id_on_two_queues_is_two_tasks(tell: Tell) -> None:
    scene = Scene()
    scene.submit("x", "a")
    scene.submit("x", "b")
    scene.finish("x", scene.start("x", queue="a"), queue="a")
    ask = tell(scene)
    rows = ask("SELECT queue, state FROM tasks ORDER BY queue")
    assert [(row["queue"], row["state"]) for row in rows] == [("a", "done"), ("b", "waiting")]


def test_ends_and_claims_without_a_submission_are_no_task(tell: Tell) -> None:
    scene = Scene()
    scene.finish("lost", 1)
    scene.say(TaskDied(task="lost", queue="q", unit="w-1", attempts=1, kind="error", error="x"))
    claim = scene.start("claimed")
    scene.finish("claimed", claim)
    scene.submit("real")
    ask = tell(scene)
    assert [row["id"] for row in ask("FROM tasks")] == ["real"]
    assert [(row["task"], row["outcome"]) for row in ask("FROM attempts")] == [("claimed", "done")]
    assert [row["seq"] for row in ask("FROM ignored_ends")] == [1]


def test_an_id_that_is_used_again_after_its_task_was_done_changes_nothing(tell: Tell) -> None:
    scene = Scene()
    scene.submit("t")
    scene.finish("t", scene.start("t"))
    end = len(scene.events)
    scene.submit("t")
    scene.finish("t", scene.start("t", "w-2", 2), "w-2", 2)
    scene.submit("dead")
    scene.say(TaskDied(task="dead", queue="q", unit="w-1", attempts=1, kind="error", error="x"))
    scene.submit("dead")
    ask = tell(scene)
    assert task_row(ask, "t") == ("done", 1, "w-1", "q", None)
    assert task_row(ask, "dead")[:2] == ("waiting", 0)
    assert ask("SELECT id, queue, seq, end_seq FROM reused_ids") == [
        {"id": "t", "queue": "q", "seq": end + 1, "end_seq": end}
    ]
    assert [row["outcome"] for row in ask("SELECT outcome FROM attempts WHERE task = 't'")] == [
        "done",
        "done",
    ]


class Fold:
    """The same rules as the views, the slow and obvious way: one task at a time, event by event."""

    def __init__(self) -> None:
        self.state, self.claim, self.attempts = "", 0, 0

    def apply(self, event: Recorded) -> None:
        if self.state == "done":
            return
        match event.body:
            case TaskSubmitted():
                self.state, self.claim, self.attempts = "waiting", 0, 0
            case TaskStarted():
                self.state, self.claim, self.attempts = "running", event.position, self.attempts + 1
            case TaskCancelled() if self.state not in ("done", "dead", "cancelled"):
                self.state = "cancelled"
            case TaskDied() if self.state not in ("done", "dead", "cancelled"):
                self.state = "dead"
            case TaskFinished(claim=claim) if self.state == "running" and claim == self.claim:
                self.state = "done"
            case TaskReleased(claim=claim) if self.state == "running" and claim == self.claim:
                self.state, self.attempts = "waiting", self.attempts - 1
            case body if type(body).__name__ == "TaskFailed":
                if self.state == "running" and getattr(body, "claim", 0) == self.claim:
                    self.state = "failed"


@given(st.lists(st.tuples(st.sampled_from("SsFfRDC"), st.integers(0, 3), st.integers(0, 1)), max_size=25))
@settings(max_examples=60, deadline=None)
def test_views_agree_with_a_fold_of_any_log(moves: list[tuple[str, int, int]]) -> None:
    scene, folds = Scene(), {"t0": Fold(), "t1": Fold()}
    claims: dict[str, list[int]] = {"t0": [], "t1": []}
    for task in folds:
        scene.submit(task)
    for move, which, number in moves:
        task = f"t{number}"
        claim = claims[task][-1 - which % len(claims[task])] if claims[task] else 99
        match move:
            case "S":
                scene.submit(task)
            case "s":
                claims[task].append(scene.start(task))
            case "F":
                scene.finish(task, claim)
            case "f":
                scene.fail(task, claim)
            case "R":
                body = TaskReleased(task=task, queue="q", unit="w-1", generation=1, attempt=1, claim=claim)
                scene.say(body)
            case "D":
                scene.say(TaskDied(task=task, queue="q", unit="w", attempts=1, kind="error", error="x"))
            case "C":
                scene.say(TaskCancelled(task=task, queue="q"))
    for event in scene.events:
        folds[event.body.task].apply(event)  # type: ignore[union-attr]
    assert told_by_views(scene.events) == {task: (fold.state, fold.attempts) for task, fold in folds.items()}


def told_by_views(events: Sequence[Recorded]) -> dict[str, tuple[str, int]]:
    """Return state and attempts of each task as the view has them."""
    with TemporaryDirectory() as folder, stored(Path(folder) / "w.duckdb", events) as warehouse:
        rows = asked(warehouse)("SELECT id, state, attempts FROM tasks")
    return {row["id"]: (row["state"], row["attempts"]) for row in rows}


def test_queues_of_settings_samples_and_tasks(tell: Tell) -> None:
    scene = Scene()
    scene.say(LeaseTaken(holder="n1"), "node.n1")
    wanted = Settings(node="n1", queues=(QueueSettings(name="idle"),))
    scene.say(SettingsAdopted(origin="file", digest="d", settings=wanted), "node.n1")
    for number in range(6):
        scene.submit(f"t{number}")
    scene.finish("t0", scene.start("t0"))
    scene.say(Sampled(full=True, queues=(QueueSample("q", 5, 0, 2, 1),)), "node.n1", second=60)
    ask = tell(scene)
    idle, q = ask("FROM queues ORDER BY name")
    assert (idle["name"], idle["pending"], idle["oldest_age_s"]) == ("idle", 0, 0.0)
    assert (q["pending"], q["in_flight"], q["consumer_pending"], q["redelivered"]) == (5, 0, 5, 1)
    assert (q["arrival_per_min"], q["done_per_min"]) == (1.2, 0.2)
    assert q["oldest_age_s"] == 56.0

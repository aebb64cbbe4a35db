"""The views: what each says of a log whose story is known."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.decisions import (
    ClearAlert,
    ContinueUnit,
    Defer,
    QuarantineUnit,
    RaiseAlert,
    RestartUnit,
    StartUnit,
    StopUnit,
)
from events.envelope import Recorded
from events.observations import (
    IntentSet,
    LeaseTaken,
    NodeStarted,
    QueueSample,
    Sampled,
    UnitSample,
    WorkerExited,
    WorkerReady,
)
from events.outcomes import EffectFailed, EffectStarted, EffectVerified, WorkerStarted, WorkerStartOrdered
from events.settings import QueueSettings, Settings, SettingsAdopted, WorkerSettings
from events.tasks import (
    TaskCancelled,
    TaskDied,
    TaskFinished,
    TaskMoved,
    TaskReleased,
    TaskStarted,
    TaskSubmitted,
)
from projections import definitions
from projections.warehouse import Warehouse
from tests.projections.scenes import START, Scene, asked, everything, stored

Ask = Callable[..., list[dict[str, Any]]]
Tell = Callable[[Scene], Ask]


@pytest.fixture
def tell(tmp_path: Path) -> Iterator[Tell]:
    """Return a function that stores a scene and gives what asks it."""
    opened: list[Warehouse] = []

    def tell(scene: Scene) -> Ask:
        opened.append(stored(tmp_path / f"{len(opened)}.duckdb", scene.events))
        return asked(opened[-1])

    yield tell
    for warehouse in opened:
        warehouse.close()


def test_every_view_answers_and_says_its_question(tell: Tell) -> None:
    ask = tell(everything())
    empty = tell(Scene())
    quiet = set()
    for name in definitions.views():
        if not ask(f"FROM {name}"):
            quiet.add(name)
        assert empty(f"SELECT count(*) AS n FROM {name}")[0]["n"] in (0, 1)
        assert "?" in definitions.questions()[name], f"say above {name} which question it answers"
    assert quiet == {"stale_decisions", "ignored_ends"}


def test_events_as_promised(tell: Tell) -> None:
    ask = tell(everything())
    columns = [row["column_name"] for row in ask("DESCRIBE events")][:8]
    assert columns == ["seq", "time", "type", "source", "entity", "causation", "correlation", "body"]
    first = ask("SELECT type, entity, body->>'$.release' AS release FROM events WHERE seq = 1")
    assert first == [{"type": "node_started", "entity": "n1", "release": "0.1.0"}]
    unread = ask(
        "SELECT type, body IS NULL AS none FROM events WHERE type IN ('malformed', 'dreamt') ORDER BY seq"
    )
    assert unread == [{"type": "malformed", "none": True}, {"type": "dreamt", "none": False}]


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
    assert task_row(ask, "d")[:2] == ("waiting", 1)
    end = scene.finish("d", scene.start("d", attempt=2), attempt=2)
    ask = tell(scene)
    assert task_row(ask, "d")[:2] == ("done", 2)
    assert ask("SELECT response_s, submissions FROM tasks") == [
        {"response_s": float(end - back), "submissions": 2}
    ]


def test_the_same_id_on_two_queues_is_two_tasks(tell: Tell) -> None:
    scene = Scene()
    scene.submit("x", "a")
    scene.submit("x", "b")
    scene.finish("x", scene.start("x", queue="a"), queue="a")
    ask = tell(scene)
    rows = ask("SELECT queue, state FROM tasks ORDER BY queue")
    assert [(row["queue"], row["state"]) for row in rows] == [("a", "done"), ("b", "waiting")]


class Fold:
    """The same rules as the views, the slow and obvious way: one task at a time, event by event."""

    def __init__(self) -> None:
        self.state, self.claim, self.attempts = "", 0, 0

    def apply(self, event: Recorded) -> None:
        match event.body:
            case TaskSubmitted():
                self.state, self.claim = "waiting", 0
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
    with Warehouse.open(Path(":memory:")) as warehouse:
        warehouse.add(events)
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


def process(
    scene: Scene, unit: str, generation: int, pid: int, decision: str = "", ready: bool = True
) -> None:
    """Start a generation."""
    pool = unit.split("-")[0]
    scene.say(
        WorkerStartOrdered(unit=unit, pool=pool, generation=generation, nonce="n", decision=decision),
        "node.n1",
    )
    started = WorkerStarted(unit=unit, pool=pool, generation=generation, pid=pid, start=1, nonce="n")
    scene.say(started, "node.n1")
    if ready:
        scene.say(WorkerReady(unit=unit, generation=generation, pid=pid))


def with_pools(scene: Scene, **units: tuple[str, ...]) -> None:
    """Adopt settings with pools on a queue of their name; a pool `plain` has none."""
    pools = tuple(
        WorkerSettings(name=name, queue="" if name == "plain" else "q", units=own, memory_limit=10**9)
        for name, own in units.items()
    )
    scene.say(LeaseTaken(holder="n1"), "node.n1")
    scene.say(
        SettingsAdopted(origin="file", digest="d", settings=Settings(node="n1", workers=pools)), "node.n1"
    )


def states(ask: Ask) -> dict[str, str]:
    return {row["name"]: row["state"] for row in ask("SELECT name, state FROM workers")}


def test_the_states_of_workers(tell: Tell) -> None:
    scene = Scene()
    names = tuple(f"w-{number}" for number in range(1, 11))
    with_pools(scene, w=names, plain=("plain-1",))
    process(scene, "plain-1", 1, 50, ready=False)
    for number, name in enumerate(names[1:], 1):
        process(scene, name, 1, 100 + number, ready=name != "w-3")
    sample = UnitSample("w-4", 1, "T", 0, 1, 1, 1, 0, 0)
    scene.say(Sampled(full=False, units=(sample,)), "node.n1")
    scene.say(IntentSet(target="w-5", intent="quiet"), "operator.ann")
    scene.say(IntentSet(target="w-6", intent="stop"), "operator.ann")
    scene.decide(StopUnit(generation=1), "w-6")
    scene.decide(RestartUnit(generation=1), "w-7")
    for name in ("w-8", "w-9", "w-10"):
        scene.say(WorkerExited(unit=name, generation=1, pid=1, code=1), "node.n1")
    scene.decide(QuarantineUnit(until=START + 10**10), "w-9")
    scene.decide(StartUnit(generation=2), "w-10")
    process(scene, "gone-1", 1, 900)
    scene.say(WorkerExited(unit="gone-1", generation=1, pid=900), "node.n1")
    ask = tell(scene)
    assert states(ask) == {
        "plain-1": "running",
        "w-1": "stopped",
        "w-2": "running",
        "w-3": "starting",
        "w-4": "suspended",
        "w-5": "quiet",
        "w-6": "stopping",
        "w-7": "restarting",
        "w-8": "backoff",
        "w-9": "quarantined",
        "w-10": "starting",
        "gone-1": "stopped",
    }
    scene.say(WorkerExited(unit="w-6", generation=1, pid=105, signal=15), "node.n1")
    scene.say(EffectVerified(decision=scene.events[-1].id, target="w-6"), "node.n1")
    scene.say(IntentSet(target="w", intent="run", restart=True), "operator.ann")
    later = states(tell(scene))
    assert (later["w-9"], later["w-4"]) == ("backoff", "suspended")


def test_a_worker_in_figures(tell: Tell) -> None:
    scene = Scene()
    with_pools(scene, w=("w-1",))
    process(scene, "w-1", 1, 101)
    scene.submit("a")
    scene.finish("a", scene.start("a"))
    scene.submit("b")
    scene.fail("b", scene.start("b"))
    frame = (UnitSample("w-1", 1, "S", 999, 5, 1, 1, 0, 0),)
    scene.say(Sampled(full=True, units=frame), "node.n1")
    scene.say(WorkerExited(unit="w-1", generation=1, pid=101, signal=9), "node.n1")
    process(scene, "w-1", 2, 102)
    up = len(scene.events) - 1
    ask = tell(scene)
    (row,) = ask("FROM workers")
    assert (row["cpu_percent"], row["memory_bytes"]) == (None, None), (
        "a sample of another generation holds no more"
    )
    sample = UnitSample("w-1", 2, "S", 125, 7_000_000, 3, 2, 1, 40)
    scene.say(Sampled(full=False, units=(sample,)), "node.n1")
    last = scene.say(Sampled(full=False), "node.n1")
    (row,) = tell(scene)("FROM workers")
    shown = {
        name: row[name] for name in ("pool", "pid", "generation", "cpu_percent", "memory_bytes", "in_flight")
    }
    assert shown == {
        "pool": "w",
        "pid": 102,
        "generation": 2,
        "cpu_percent": 12.5,
        "memory_bytes": 7_000_000,
        "in_flight": 1,
    }
    assert (row["tasks_processed"], row["errors"], row["tasks_per_hour"], row["restarts"]) == (1, 1, 1, 1)
    assert (row["uptime_s"], row["memory_limit_bytes"]) == (float(last - up), 10**9)


def test_generations(tell: Tell) -> None:
    scene = Scene()
    process(scene, "w-1", 1, 101)
    scene.say(WorkerExited(unit="w-1", generation=1, pid=101, code=3, at=START + 4_500_000), "node.n1")
    process(scene, "w-1", 2, 102, decision="d1", ready=False)
    again = WorkerStarted(unit="w-1", pool="w", generation=2, pid=102, start=1, nonce="n", adopted=True)
    scene.say(again, "node.n1")
    scene.say(WorkerStartOrdered(unit="w-1", pool="w", generation=3, nonce="n"), "node.n1")
    rows = tell(scene)("FROM generations ORDER BY generation")
    assert [(row["pid"], row["state"], row["code"], row["adopted"]) for row in rows] == [
        (101, "exited", 3, False),
        (102, "started", None, True),
        (None, "ordered", None, False),
    ]
    assert (rows[0]["ended"] - rows[0]["started"]).total_seconds() == 2.5
    assert rows[1]["decision"] == "d1"


def test_decisions_and_what_came_of_them(tell: Tell) -> None:
    scene = Scene()
    good = scene.decide(RestartUnit(generation=1), cost=4)
    scene.say(EffectStarted(decision=good, target="w-1"), "node.n1")
    scene.say(EffectVerified(decision=good, target="w-1", detail="pid 7"), "node.n1")
    bad = scene.decide(StopUnit(generation=1), cost=2)
    scene.say(EffectFailed(decision=bad, target="w-1", error="still there", step="kill"), "node.n1")
    open_ = scene.decide(ContinueUnit(generation=1))
    scene.say(EffectStarted(decision=open_, target="w-1"), "node.n1")
    scene.decide(RestartUnit(generation=1), mode="advise", cost=3)
    scene.decide(Defer(wanted="restart_unit", until=START), cost=0)
    ask = tell(scene)
    rows = ask("SELECT choice, outcome, outcome_detail, mode FROM decisions ORDER BY seq")
    assert [tuple(row.values()) for row in rows] == [
        ("restart_unit", "verified", "pid 7", "act"),
        ("stop_unit", "failed", "still there", "act"),
        ("continue_unit", "started", None, "act"),
        ("restart_unit", "none", None, "advise"),
        ("defer", "none", None, "act"),
    ]
    assert [row["choice"] for row in ask("FROM interventions")] == [
        "restart_unit",
        "stop_unit",
        "continue_unit",
    ]
    spent = ask("SELECT elf, cost, refunded FROM mana_spent ORDER BY seq")
    assert spent == [
        {"elf": "healing", "cost": 4, "refunded": 2.0},
        {"elf": "healing", "cost": 2, "refunded": 0.0},
    ]


def test_alerts_open_count_and_close(tell: Tell) -> None:
    scene = Scene()
    up, down = RaiseAlert(cause="jam", severity="warning"), ClearAlert(cause="jam")
    again = RaiseAlert(cause="jam", severity="critical", again=True)
    scene.decide(down, "q")
    for action in (up, again, down, down, up):
        scene.decide(action, "q")
    scene.decide(up, "r")
    scene.decide(RaiseAlert(cause="jam", severity="info"), "s", mode="observe")
    rows = tell(scene)("SELECT target, severity, count, closed IS NULL AS open FROM alerts ORDER BY opened")
    assert [tuple(row.values()) for row in rows] == [
        ("q", "critical", 2, False),
        ("q", "warning", 1, True),
        ("r", "warning", 1, True),
    ]


def test_a_decision_of_an_epoch_that_was_over_is_stale(tell: Tell) -> None:
    scene = Scene()
    old = scene.say(LeaseTaken(holder="a"), "node.a")
    scene.decide(RaiseAlert(cause="c", severity="info"), epoch=old)
    new = scene.say(LeaseTaken(holder="b", previous=old), "node.b")
    scene.decide(RaiseAlert(cause="c", severity="info"), "late", epoch=old)
    scene.decide(RaiseAlert(cause="c", severity="info"), "fresh", epoch=new)
    ask = tell(scene)
    assert [row["stale"] for row in ask("SELECT stale FROM decisions ORDER BY seq")] == [False, True, False]
    assert [row["target"] for row in ask("SELECT target FROM alerts ORDER BY opened")] == ["w-1", "fresh"]


def test_epochs_know_their_node(tell: Tell) -> None:
    scene = Scene()
    body = {"pure_zone": "z", "boot": "b", "python": "3.11"}
    scene.say(NodeStarted(node="a", release="1", pid=1, **body), "node.a")
    first = scene.say(LeaseTaken(holder="a"), "node.a")
    second = scene.say(LeaseTaken(holder="b", previous=first), "node.b")
    scene.say(NodeStarted(node="b", release="2", pid=2, **body), "node.b")
    rows = tell(scene)("SELECT epoch, node, release, pid, until IS NULL AS current FROM nodes ORDER BY epoch")
    assert [tuple(row.values()) for row in rows] == [(first, "a", "1", 1, False), (second, "b", "2", 2, True)]

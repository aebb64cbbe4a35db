"""What is kept between events: the same whether a log comes event by event, at once, or after a restart."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.codec import decode
from events.tasks import TaskCancelled, TaskDied, TaskMoved, TaskReleased
from projections.days import Days
from projections.facts import Facts
from projections.rows import rows_of
from projections.warehouse import Warehouse
from tests.projections import agent_scenes as told
from tests.projections.scenes import START, Scene, everything, stored
from tests.projections.test_warehouse import contents

MOVES = st.lists(st.tuples(st.sampled_from("SAsFfRDCM"), st.integers(0, 3), st.integers(0, 1)), max_size=30)


def scene_of(moves: list[tuple[str, int, int]]) -> Scene:
    """Return a log with agents' tasks from random moves."""
    scene = Scene()
    told.join(scene, "CC01")
    claims: dict[str, list[int]] = {"t0": [], "t1": []}
    leases = {"t0": 0, "t1": 0}
    for move, which, number in moves:
        task = f"t{number}"
        claim = claims[task][-1 - which % len(claims[task])] if claims[task] else 99
        match move:
            case "S":
                scene.submit(task, told.QUEUE)
            case "A":
                leases[task] += 1
                told.assign(scene, task, "CC01", lease=leases[task])
            case "s":
                claims[task].append(told.claim(scene, task, "CC01", lease=which))
            case "F":
                told.finish(scene, task, "CC01", claim)
            case "f":
                told.fail(scene, task, "CC01", claim)
            case "R":
                body = TaskReleased(
                    task=task, queue=told.QUEUE, unit="CC01", generation=1, attempt=1, claim=claim
                )
                scene.say(body, "agent.CC01")
            case "D":
                words: dict[str, Any] = {"attempts": 1, "kind": "error", "error": "x"}
                scene.say(TaskDied(task=task, queue=told.QUEUE, unit="CC01", **words), "node.n1")
            case "C":
                scene.say(TaskCancelled(task=task, queue=told.QUEUE), "client.c1")
            case "M":
                scene.say(TaskMoved(task=task, queue=told.QUEUE, to=told.QUEUE), "node.n1")
    return scene


@given(MOVES, st.integers(1, 7))
@settings(max_examples=40, deadline=None)
def test_facts_survive_at_any_event(moves: list[tuple[str, int, int]], batch: int) -> None:
    events = scene_of(moves).events
    whole = Facts()
    at_once = rows_of(events, whole)
    kept: dict[str, str] = {}
    parts: dict[str, list[object]] = {}
    lead = whole.lead
    for start in range(0, len(events), batch):
        facts = Facts()
        facts.restore(kept.items())
        facts.lead = lead if start else facts.lead
        for table, rows in rows_of(events[start : start + batch], facts).items():
            parts.setdefault(table, []).extend(rows)
        lead = facts.lead
        gone, changed = facts.changes()
        for name in gone:
            kept.pop(name, None)
        kept |= dict(changed)
    assert parts == {table: list(rows) for table, rows in at_once.items()}
    assert kept == dict(whole.changes(everything=True)[1])


def test_a_warehouse_that_was_closed_between_goes_on_the_same(tmp_path: Path) -> None:
    events = everything().events
    path = tmp_path / "w.duckdb"
    for start in range(0, len(events), 9):
        with Warehouse.open(path) as warehouse:
            warehouse.add(events[start : start + 9])
    with Warehouse.open(path) as warehouse, stored(tmp_path / "x.duckdb", events) as other:
        assert contents(warehouse) == contents(other)
        warehouse.rebuild()
        assert contents(warehouse) == contents(other)


def test_every_end_that_views_count_is_marked_so_and_no_other(tmp_path: Path) -> None:
    with stored(tmp_path / "w.duckdb", everything().events) as warehouse:
        cursor = warehouse.cursor()
        marked = "SELECT count(*) FROM task_end WHERE effective AND what = 'finished'"
        assert (
            cursor.execute(marked).fetchone()
            == cursor.execute("SELECT count(*) FROM attempts WHERE outcome = 'done'").fetchone()
        )
        times = (
            "SELECT round(sum((time - submitted) / 1e6), 3) FROM task_end WHERE final AND what = 'finished'"
        )
        assert (
            cursor.execute(times).fetchone()
            == cursor.execute("SELECT round(sum(response_s), 3) FROM tasks WHERE state = 'done'").fetchone()
        )
        cursor.close()


@pytest.mark.parametrize(
    ("zone", "hours", "day"),
    [
        ("UTC", 23.9, "2026-01-01"),
        ("Asia/Tokyo", 14.9, "2026-01-01"),
        ("Asia/Tokyo", 15.1, "2026-01-02"),
        ("America/New_York", 4.9, "2025-12-31"),
        ("No/Where", 23.9, "2026-01-01"),
    ],
)
def test_days_of_zones(zone: str, hours: float, day: str) -> None:
    days = Days(zone)
    assert str(days.of(START)) in ("2026-01-01", "2025-12-31")
    assert str(days.of(START + int(hours * 3.6e9))) == day
    assert str(days.of(253_402_300_799_999_999)) == "9999-12-31"


def test_a_strange_name_of_a_queue_is_found_again() -> None:
    data = b'{"id":"i","time":5,"source":"client.c","body":{"type":"task_submitted","task":"a/b","queue":"x/3/y"}}'
    facts = Facts()
    rows_of([decode(1, "log.client.c.x", data)], facts)
    again = Facts()
    again.restore(facts.changes()[1])
    assert list(again.book.tasks) == [("x/3/y", "a/b")]

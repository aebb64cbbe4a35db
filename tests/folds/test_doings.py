"""What elves did last, do next and propose: the same proposals as in the tables, marks by state and alerts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from events.proposals import ProposalApproved, ProposalRejected
from events.reminders import ReminderAdded
from events.settings import ElfSettings
from events.zones import Zone
from projections.marks import agent_mark, worker_mark
from projections.status import Status
from tests.projections.scenes import asked, stored
from tests.replay import Forest, queue, settings, unit


def page(forest: Forest) -> dict[str, Any]:
    """Return the page of everything that was said."""
    status = Status()
    for event in forest.log.events:
        status.apply(event)
    return status.page(forest.now)


def advised() -> Forest:
    """Return a forest whose Healing only advises: it says that both workers are to be started."""
    forest = Forest()
    forest.lead(settings(elves=(ElfSettings(name="flow"), ElfSettings(name="healing", mode="advise"))))
    forest.tick()
    forest.land()
    return forest


def answered(kind: type[ProposalApproved] | type[ProposalRejected], source: str) -> Callable[[Forest], None]:
    def say(forest: Forest) -> None:
        row = page(forest)["proposals"][0]
        said = kind(decision=row["decision"], elf="healing", rule=row["rule"], about=row["target"])
        forest.say(said, source=source)

    return say


@pytest.mark.parametrize(
    ("then", "left"),
    [
        (lambda forest: None, {"a", "w"}),
        (answered(ProposalApproved, "operator.x"), {"a"}),
        (answered(ProposalRejected, "operator.x"), {"a"}),
        (answered(ProposalRejected, "worker.x"), {"a", "w"}),
        (lambda forest: forest.tick(s=400), {"a", "w"}),
        (lambda forest: forest.tick(s=1000), {"a", "w"}),
        (lambda forest: (forest.silence(), forest.tick(s=1300)), set()),
    ],
    ids=["said", "approved", "rejected", "not a person", "soon", "repeated", "over"],
)
def test_open_proposals_are_those_of_the_tables(
    tmp_path: Path, then: Callable[[Forest], None], left: set[str]
) -> None:
    forest = advised()
    then(forest)
    forest.land()
    found = page(forest)
    with stored(tmp_path / "w.duckdb", forest.log.events) as warehouse:
        rows = asked(warehouse)("SELECT id, target FROM proposals WHERE state = 'open' ORDER BY id")
    assert sorted((row["decision"], row["target"]) for row in found["proposals"]) == [
        (row["id"], row["target"]) for row in rows
    ]
    assert {row["target"] for row in rows} == left
    healing = next(elf for elf in found["elves"] if elf["name"] == "healing")
    assert healing["proposals"] == len(rows)
    assert (healing["last"]["choice"], healing["last"]["mode"]) == ("start_unit", "advise")


def test_the_next_reminder_is_the_soonest_and_stands_in_the_line_of_time() -> None:
    forest = Forest()
    forest.lead(settings(elves=(ElfSettings(name="time"),)))
    assert page(forest)["next_reminder"] is None
    zone = Zone(name="UTC")
    for name, when in (("late", "23:00"), ("soon", "01:00")):
        said = ReminderAdded(reminder=name, worker="a", when=when, text=f"{name} text", zone=zone)
        forest.say(said, source="operator.x")
    forest.tick()
    found = page(forest)
    wanted = {"time": 3600.0, "kind": "reminder", "name": "soon", "worker": "a", "text": "soon text"}
    assert found["next_reminder"] == found["elves"][0]["next"] == wanted


def test_marks_and_what_healing_watches() -> None:
    forest = Forest()
    forest.lead(settings())
    forest.obey()
    forest.tick([unit("a", memory=850), unit("w", beat_ms=0)], [queue(150)])
    forest.tick([unit("a", memory=850), unit("w", beat_ms=0)], [queue(150)])
    forest.land()
    found = page(forest)
    marks = {row["name"]: (row["state"], row["mark"]) for row in found["workers"]}
    assert marks["a"] == ("running", "warning")
    assert next(elf for elf in found["elves"] if elf["name"] == "healing")["watching"] == ["a"]
    assert [row["mark"] for row in found["queues"]] == ["warning"]
    assert [row["choice"] for row in found["actions"]][:1] == ["raise_alert"]


@pytest.mark.parametrize(
    ("state", "severities", "percent", "mark"),
    [
        ("running", [], None, "fine"),
        ("running", ["info"], 79.9, "fine"),
        ("running", [], 80.0, "warning"),
        ("running", ["warning"], None, "warning"),
        ("running", ["warning", "critical"], None, "bad"),
        ("quarantined", ["warning"], None, "bad"),
        ("stopped", ["critical"], None, "off"),
        ("restarting", [], 99.0, "busy"),
    ],
)
def test_the_mark_of_a_worker(state: str, severities: list[str], percent: float | None, mark: str) -> None:
    assert worker_mark(state, severities, percent, 80.0) == mark


def test_the_mark_of_an_agent() -> None:
    assert [agent_mark(state, ()) for state in ("alive", "suspect", "down", "absent")] == [
        "fine",
        "warning",
        "bad",
        "off",
    ]
    assert agent_mark("alive", ["critical"]) == "bad"

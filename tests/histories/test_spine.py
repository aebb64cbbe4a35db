"""The recorded history is whole and says something about every rule."""

from collections import Counter
from pathlib import Path

from events.decisions import ClearAlert, Decided, RaiseAlert
from events.envelope import Malformed, Unknown
from events.observations import LeaseTaken, NodeStopped
from tests.histories import SPINE, load, save
from tests.histories.record import WANTED


def test_every_event_of_the_history_is_read_and_in_its_place() -> None:
    events = load()
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    assert [event for event in events if isinstance(event.body, Malformed | Unknown)] == []
    assert sum(isinstance(event.body, LeaseTaken) for event in events) == 3
    assert sum(isinstance(event.body, NodeStopped) for event in events) == 1


def test_every_rule_has_at_least_five_decisions_of_each_kind() -> None:
    decisions = [event.body for event in load() if isinstance(event.body, Decided)]
    rules = Counter(decided.rule for decided in decisions)
    assert {rule: rules[rule] for rule in WANTED if rules[rule] < 5} == {}
    kinds = Counter((decided.rule, type(decided.action)) for decided in decisions)
    assert {kinds[rule, kind] for rule in ("backlog", "jam") for kind in (RaiseAlert, ClearAlert)} == {5}


def test_a_history_is_small_and_saving_it_loses_nothing(tmp_path: Path) -> None:
    copy = tmp_path / "copy.gz"
    assert save(copy, load()) < 400_000
    assert load(copy) == load(SPINE)

"""The Healing elf about plain programs that say when they are ready and that they live."""

from typing import Any

from actors.elves.healing_elf import HealingElf
from events.decisions import Decided, RestartUnit, StartUnit, StopUnit
from events.observations import LeaseTaken, WorkerReady
from events.settings import RestartSettings, WorkerSettings
from tests.elves import Given, sample, settings


def only(decisions: list[Decided]) -> Decided:
    """Return the one decision there is."""
    (decided,) = decisions
    return decided


def living_with(**changes: Any) -> Given:
    """Return a story in which generation 1 of `a` of such a pool runs."""
    workers = (WorkerSettings(name="a", units=("a",), launch="1", **changes),)
    return Given(HealingElf(), settings(workers=workers)).born("a")


def test_a_plain_unit_that_is_to_say_when_it_is_ready_is_waited_for() -> None:
    workers = (
        WorkerSettings(name="a", units=("a",), launch="1", ready_s=60.0),
        WorkerSettings(name="z", units=("z",), launch="1", after=("a",)),
    )
    story = Given(HealingElf(), settings(workers=workers))
    assert [decided.target for decided in story.then()] == ["a"]
    story.born("a")
    assert story.tick(sample("a")).then() == []
    story.say(WorkerReady(unit="a", generation=1, pid=101))
    assert [decided.target for decided in story.then()] == ["z"]


def test_one_that_does_not_get_ready_in_time_is_a_failed_start() -> None:
    story = living_with(ready_s=60.0, restart=RestartSettings(burst=2))
    for _ in range(12):
        assert story.tick(sample("a")).then() == []
    late = only(story.tick(sample("a")).then())
    assert (late.rule, late.action, late.reason) == ("not_ready", StopUnit(generation=1), "no_ready")
    assert "65 s" in late.text
    story.died("a", code=0).verify(late)
    assert story.then() == []
    assert 0.8 <= story.due <= 1.2
    again = only(story.say(s=2.0).tick(s=0.1).then())
    assert (again.rule, again.reason, again.action) == ("crash", "backoff", StartUnit(generation=2))
    assert "not ready in time" in again.text
    # Its own death before it is ready counts as well, however long it lived.
    story.born("a", 2).verify(again).died("a", 2, s=30.0)
    assert [decided.rule for decided in story.then()] == ["quarantine", "quarantine"]


def test_the_deadline_waits_for_what_was_said_while_nobody_led() -> None:
    story = living_with(ready_s=60.0).tick(sample("a"), s=59.0).tick(s=5.0)
    story.say(LeaseTaken(holder="m"), s=600.0)
    assert story.tick(sample("a"), s=0.2).then() == []
    story.say(WorkerReady(unit="a", generation=1, pid=101))
    for _ in range(5):
        assert story.tick(sample("a")).then() == []


def test_a_plain_unit_that_gives_beats_is_restarted_after_three_missing_ones() -> None:
    story = living_with(beat_s=10.0)
    assert story.tick(sample("a", age=29_000)).tick(sample("a", age=29_900)).then() == []
    assert story.tick(sample("a", age=30_100)).then() == []
    silent = only(story.tick(sample("a", age=31_100)).then())
    assert (silent.rule, silent.action) == ("not_responding", RestartUnit(generation=1, evidence=True))


def test_beats_are_not_waited_for_before_a_unit_is_ready() -> None:
    story = living_with(beat_s=1.0, ready_s=100.0)
    for age in range(3_000, 30_000, 5_000):
        assert story.tick(sample("a", age=age)).then() == []
    story.say(WorkerReady(unit="a", generation=1, pid=101))
    story.tick(sample("a", age=3_100)).tick(sample("a", age=8_100))
    assert only(story.then()).rule == "not_responding"

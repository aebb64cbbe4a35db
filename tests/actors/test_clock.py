"""The wall clock steps: time for events never goes back, back-offs go on, the step itself is an event."""

from typing import Any, cast

import pytest

from actors.clock import EvenTime
from actors.elves.healing_elf import HealingElf
from actors.sampler import Sampler
from events.decisions import Decided
from events.event import Event
from events.observations import ClockStepped
from tests.elves import SECOND, Given

HOUR = 3600
START = 1_800_000_000 * SECOND


class Machine:
    """A machine whose two clocks are moved by hand."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.offset = 0.0
        self.even = EvenTime(self.wall, self.monotonic)

    def wall(self) -> int:
        return START + int((self.passed + self.offset) * SECOND)

    def monotonic(self) -> float:
        return self.passed

    def now(self) -> int:
        return self.even.now()


def test_without_steps_it_is_the_wall() -> None:
    machine = Machine()
    for _ in range(100):
        machine.passed += 0.37
        assert machine.now() == machine.wall()


def test_after_a_step_back_time_goes_on_a_little_slower_until_the_wall_has_caught_up() -> None:
    machine = Machine()
    machine.passed = 10.0
    before = machine.now()
    machine.offset = -HOUR
    assert machine.now() == before
    machine.passed += 100.0
    assert machine.now() - before == 90 * SECOND
    seen = [machine.now()]
    while machine.now() > machine.wall():
        machine.passed += 60.0
        seen.append(machine.now())
    assert seen == sorted(seen)
    assert machine.passed == pytest.approx(10 * HOUR, rel=0.01)


def test_a_step_forward_is_followed() -> None:
    machine = Machine()
    machine.offset = HOUR
    assert machine.now() == machine.wall()


def backoff(step: float, even: bool) -> tuple[float, float]:
    """Crash a unit, step the wall, look every 0.1 s; returns when it may and when it does start, in seconds."""
    machine, story = Machine(), Given(HealingElf())
    story.now = machine.now()
    story.born("a")
    story.died("a", s=0.1)
    machine.passed = (story.now - START) / SECOND
    due, crashed = story.due, machine.passed
    machine.offset = step
    decisions: list[Decided] = []
    while not [one for one in decisions if one.target == "a"]:
        machine.passed += 0.1
        story.now = machine.now() if even else machine.wall()
        decisions = story.tick(s=0).ask()
        assert machine.passed - crashed < 2 * HOUR
    return due, machine.passed - crashed


@pytest.mark.parametrize("step", [0.0, -HOUR, -5.0])
def test_a_back_off_neither_fires_early_nor_waits_for_the_wall(step: float) -> None:
    due, took = backoff(step, even=True)
    assert due <= took <= due / 0.9 + 0.2


def test_an_uneven_clock_would_hold_a_back_off_for_as_long_as_its_step_and_no_longer() -> None:
    due, took = backoff(-HOUR / 10, even=False)
    assert due + HOUR / 10 - 0.2 <= took <= due + HOUR / 10 + 0.2


def test_a_back_off_ends_early_by_a_step_forward() -> None:
    _, took = backoff(HOUR, even=True)
    assert took <= 0.2


class Pen:
    """A journal that keeps what it is given."""

    def __init__(self) -> None:
        self.said: list[Event] = []

    def write(self, *bodies: Event, **_: Any) -> None:
        self.said += bodies


def test_a_step_is_told_once_and_by_how_much() -> None:
    machine, pen = Machine(), Pen()
    nothing = cast(Any, lambda *_: None)
    sampler = Sampler(
        nothing, cast(Any, pen), cast(Any, machine), cast(Any, None), lambda: 5.0, nothing, nothing
    )
    for _ in range(3):
        machine.passed += 5.0
        sampler._watch_clock(machine.monotonic())
    assert pen.said == []
    machine.offset = -HOUR
    for _ in range(3):
        machine.passed += 5.0
        sampler._watch_clock(machine.monotonic())
    assert pen.said == [ClockStepped(step_ms=-HOUR * 1000)]

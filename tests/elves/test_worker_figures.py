"""What figures of single workers say: a core at work for nothing, handles that only grow, a limit that does not fit."""

from random import Random
from typing import Any

import pytest

from actors.elves.flow_elf import FlowElf
from actors.elves.handle_leak import LEAST, WARM_UP, grown
from actors.elves.healing_elf import HealingElf
from actors.elves.learning import memory
from actors.elves.lessons import Lesson, Missing
from events.decisions import ClearAlert, Decided, RaiseAlert, RestartUnit
from events.observations import Held, Sampled, UnitSample
from events.proposals import ProposalApproved
from projections.growth import Memory
from projections.peaks import Peak
from tests.elves import Given

MB = 1_000_000
SLOT_S = 300.0


def look(unit: str, cpu: int = 0, threads: int = 1, in_flight: int = 0, fds: int = 10) -> Sampled:
    """Return a tick about one unit."""
    sample = UnitSample(unit, 1, "S", cpu, 100, threads, 1, in_flight, -1)
    return Sampled(full=False, units=(sample,), held=(Held(unit, 1, fds),))


def cpu(given: Given, unit: str, ticks: int, *cpus: int, in_flight: int = 0) -> list[Decided]:
    """Let ticks of five seconds pass, their figures in turn, and return what the elf says of CPU."""
    said = []
    for place in range(ticks):
        given.say(look(unit, cpus[place % len(cpus)], in_flight=in_flight), s=5)
        said += [decided for decided in given.then() if decided.rule == "cpu"]
    return said


def test_a_task_worker_that_computes_without_a_task_is_said_after_a_minute_and_cleared_with_its_calm() -> (
    None
):
    given = Given(FlowElf()).born("w")
    assert cpu(given, "w", 12, 990) == []
    (raised,) = cpu(given, "w", 2, 990)
    assert raised.action == RaiseAlert(cause="abnormal_cpu", severity="warning")
    assert (raised.reason, raised.inputs["cpu_percent"]) == ("cpu_without_task", 99.0)
    assert cpu(given, "w", 6, 700) == []
    (cleared,) = cpu(given, "w", 1, 100)
    assert cleared.action == ClearAlert(cause="abnormal_cpu")


def test_a_task_may_compute_as_long_as_it_likes() -> None:
    given = Given(FlowElf()).born("w")
    assert cpu(given, "w", 100, 990, in_flight=1) == []


def test_a_plain_worker_is_held_against_what_is_usual_for_it() -> None:
    calm = Given(FlowElf()).born("a")
    assert cpu(calm, "a", 80, 100, 200) == []
    raised = cpu(calm, "a", 14, 1000)
    assert [one.reason for one in raised] == ["cpu_unusual"]
    assert raised[0].inputs["usual_percent"] == pytest.approx(15, abs=1)
    always = Given(FlowElf()).born("a")
    assert cpu(always, "a", 200, 850, 990) == []
    young = Given(FlowElf()).born("a")
    assert cpu(young, "a", 30, 100) + cpu(young, "a", 30, 1000) == []


def held(values: list[float]) -> Memory:
    """Return a process that held these least values, slot by slot, behind its warm-up."""
    kept = Memory()
    kept.restart(1, 0)
    width = kept.width
    for place, value in enumerate([values[0]] * WARM_UP + values + [values[-1]]):
        kept.observe((place + 1) * width, value, 0)
    return kept


@pytest.mark.parametrize("seed", range(3))
def test_only_what_doubles_and_never_comes_back_is_a_leak(seed: int) -> None:
    random = Random(seed)
    rise = grown(held([20.0 + 8 * place + random.randrange(3) for place in range(LEAST + 4)]))
    assert rise
    assert rise.now >= 2 * rise.before
    assert grown(held([200.0 + random.randrange(60) for _ in range(40)])) is None
    assert grown(held([20.0 + 40 * (place % 5) for place in range(40)])) is None
    assert grown(held([500.0 + 8 * place for place in range(LEAST + 4)])) is None
    assert grown(held([20.0 + 8 * place for place in range(LEAST - 2)])) is None


@pytest.mark.parametrize("kind", ["fds", "threads"])
def test_people_are_told_and_an_approved_restart_is_made_at_a_task_edge(kind: str) -> None:
    given = Given(HealingElf()).born("a")
    said: list[Decided] = []
    more: dict[str, Any] = {}
    for slot in range(WARM_UP + LEAST + 8):
        more = {kind: 20 + 10 * slot}
        given.say(look("a", **more), s=SLOT_S)
        said += given.then()
    alert = next(one for one in said if one.rule == "handle_leak")
    assert alert.action == RaiseAlert(cause=f"{kind}_leak", severity="warning")
    advice = next(one for one in said if one.rule == "handle_restart")
    assert (advice.mode, advice.action) == ("advise", RestartUnit(generation=1, drain=True))
    event = next(
        one
        for one in reversed(given.events)
        if one.body == [each for each in said if each.rule == "handle_restart"][-1]
    )
    yes = ProposalApproved(decision=event.id, elf="healing", rule="handle_restart", about="a")
    given.say(yes, source="operator.cli")
    given.say(look("a", **more), s=1)
    (act,) = [one for one in given.then() if one.rule == "handle_restart"]
    assert (act.mode, act.cost) == ("act", 10)


def peak(*days: int) -> Peak:
    """Return daily peaks in megabytes."""
    return Peak({str(place): day * MB for place, day in enumerate(days)}, looks=1000)


def test_a_memory_limit_is_half_as_much_again_as_the_highest_peak() -> None:
    week = peak(100, 110, 120, 105, 101, 119, 100)
    fresh = memory("w", week, 0)
    assert isinstance(fresh, Lesson)
    assert fresh.change == {"what": "[[worker]] w", "key": "memory_limit", "now": 0, "to": 180 * MB}
    assert (fresh.low, fresh.high, fresh.n) == (150 * MB, 180 * MB, 1000)
    wide = memory("w", week, 1000 * MB)
    assert isinstance(wide, Lesson)
    assert "the rest is free for others" in wide.gain
    narrow = memory("w", week, 130 * MB)
    assert isinstance(narrow, Lesson)
    assert narrow.change["to"] == 180 * MB
    assert memory("w", week, 200 * MB) is None
    assert memory("w", peak(100, 100), 0) == Missing(2, 7, "days")


def test_what_is_found_stands_until_half_of_it_is_given_back() -> None:
    given = Given(HealingElf()).born("a")
    said: list[Decided] = []
    for fds in [*range(20, 240, 10), *[230] * 20, *[60] * 2]:
        given.say(look("a", fds=fds), s=SLOT_S)
        said += [one for one in given.then() if one.rule == "handle_leak"]
    fresh = [one for one in said if one.reason == "fds_leak"]
    assert len(fresh) == 1
    assert said[-1].action == ClearAlert(cause="fds_leak")
    assert sum(isinstance(one.action, ClearAlert) for one in said) == 1

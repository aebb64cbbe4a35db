"""Many workers that look sick at once: nobody is restarted for a cause in common, a real fault is healed soon."""

from typing import Any

from actors.elves.healing_elf import HealingElf
from actors.elves.price import scaled
from events.decisions import ClearAlert, Decided, RaiseAlert, RestartUnit
from events.observations import WorkerReady
from events.settings import WorkerSettings
from projections.mana import Mana
from tests.elves import Given, sample, settings


def forest(pools: int, of: int) -> Given:
    """Return a story in which every unit of so many pools works."""
    workers = tuple(
        WorkerSettings(
            name=f"p{pool}",
            queue="q",
            units=tuple(f"p{pool}-{number}" for number in range(of)),
            launch="1",
        )
        for pool in range(pools)
    )
    story = Given(HealingElf(), settings(workers=workers))
    for worker in workers:
        for unit in worker.units:
            story.born(unit, pool=worker.name).say(WorkerReady(unit=unit, generation=1, pid=101))
    for decided in story.then():
        story.verify(decided)
    return story


class Story:
    """Lets every restart come to its end at once, and counts them."""

    def __init__(self, story: Given) -> None:
        self.story = story
        self.generation = dict.fromkeys(story.mind.own.units.units, 1)
        self.restarts: list[tuple[float, str]] = []
        self.alerts: list[Any] = []

    def tick(self, *sick: str, s: float = 5.0, all_of: bool = True) -> None:
        """Let time pass; `sick` have given no beat for long."""
        names = self.generation if all_of else sick
        self.story.tick(
            *(
                sample(name, generation=self.generation[name], age=40_000 if name in sick else 0)
                for name in names
            ),
            s=s,
        )
        for decided in self.story.then():
            self._done(decided)

    def _done(self, decided: Decided) -> None:
        name = decided.target
        if isinstance(decided.action, RaiseAlert | ClearAlert):
            self.alerts.append((type(decided.action).__name__, decided.action.cause))
        if isinstance(decided.action, RestartUnit):
            self.restarts.append((self.story.now / 1e6, name))
            pool = name.rpartition("-")[0]
            self.generation[name] += 1
            self.story.died(name, self.generation[name] - 1)
            self.story.born(name, self.generation[name], pool=pool)
            self.story.say(WorkerReady(unit=name, generation=self.generation[name], pid=1))
            self.story.verify(decided)


def test_twenty_workers_without_a_beat_for_ten_minutes_are_left_alone_and_a_real_fault_is_healed_soon() -> (
    None
):
    story = Story(forest(1, 20))
    names = tuple(story.generation)
    # They do not fall silent in the same second.
    for number in range(6):
        story.tick(*names[: 4 * number])
    for _ in range(120):
        story.tick(*names)
    assert len(story.restarts) <= 2
    assert story.alerts.count(("RaiseAlert", "shared_cause")) == 1
    story.tick()
    story.tick()
    assert ("ClearAlert", "shared_cause") in story.alerts
    before, began = len(story.restarts), story.story.now / 1e6
    while len(story.restarts) == before:
        story.tick(names[7])
        assert story.story.now / 1e6 - began < 60
    assert story.restarts[-1][1] == names[7]


def test_a_thousand_false_alarms_in_a_minute_end_few_workers() -> None:
    story = Story(forest(100, 10))
    names = tuple(story.generation)
    began = story.story.now / 1e6
    alarms = 0
    for second in range(60):
        # A tenth of the forest at a time: never so many that the brake would hold.
        sick = names[second % 30 :: 30]
        alarms += len(sick)
        story.tick(*sick, s=0.5, all_of=False)
        story.tick(*sick, s=0.5, all_of=False)
    assert alarms >= 1000
    assert story.story.now / 1e6 - began <= 60.5
    assert len(story.restarts) <= 8


def test_a_single_sick_worker_among_many_is_served_within_ten_minutes() -> None:
    story = Story(forest(2, 10))
    flapping = ("p0-0", "p0-1")
    for _ in range(120):
        story.tick(*flapping, "p0-9")
        if any(name == "p0-9" for _, name in story.restarts):
            return
    raise AssertionError(story.restarts)


def test_planned_restarts_go_one_by_one_and_never_take_the_last_that_works() -> None:
    story = forest(1, 3)
    changed = settings(
        workers=(WorkerSettings(name="p0", queue="q", units=("p0-0", "p0-1", "p0-2"), launch="2"),)
    )
    story.adopt(changed)
    assert [decided.target for decided in story.then()] == ["p0-0"]
    assert story.tick().then() == []


def test_a_cost_is_scaled_beyond_ten_units_and_the_mean_of_five_levels_is_the_seed_s() -> None:
    assert [scaled(10, units) for units in (1, 10, 20, 50, 100, 1000)] == [10, 10, 5, 2, 1, 1]
    assert [scaled(1, units) for units in (10, 1000)] == [1, 1]
    levels = [Mana(points * 3_600_000).level for points in (82, 90, 75, 71, 65)]
    assert round(sum(levels) / len(levels)) == 77

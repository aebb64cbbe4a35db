"""What the log teaches: planted causes are found, chance is not, and too little is said to be too little."""

from pathlib import Path
from random import Random

import pytest

from actors.elves.learning import conditions, timeout
from actors.elves.lessons import Lesson, Missing
from actors.elves.wisdom_elf import WisdomElf
from actors.elves.work_runs import order, sizes, waits
from events.decisions import Abstain, Decided, Propose
from events.observations import Sampled
from events.proposals import ProposalRejected
from events.settings import QueueSettings, WorkerSettings
from events.tasks import TaskFailed, TaskFinished, TaskStarted, TaskSubmitted
from projections.query import run
from projections.workbook import Book, Ended, spelled
from projections.yields import Setup
from tests.elves import Given, settings
from tests.projections.scenes import everything, stored

DAY = 86_400.0
FOREST = settings(
    workers=(
        WorkerSettings(name="w", queue="q", units=("w-1", "w-2"), launch="1"),
        WorkerSettings(name="v", queue="q", units=("v-1",), launch="1"),
    ),
    queues=(QueueSettings(name="q", timeout_s=600.0),),
)


def book(random: Random, attempts: int, planted: float) -> Book:
    """Return a book in which one of four workers fails `planted` times as often as the others."""
    made = Book()
    for _ in range(attempts):
        unit, hour = random.randrange(4), random.randrange(4)
        found = [f"worker w-{unit}", f"hour {hour}"]
        made.attempts += 1
        for name in found:
            made.under[name] = made.under.get(name, 0) + 1
        if random.random() < 0.03 * (planted if unit == 2 else 1.0):
            made.errors["error: no memory"] = made.errors.get("error: no memory", 0) + 1
            counts = made.failed.setdefault("error: no memory", {})
            for name in found:
                counts[name] = counts.get(name, 0) + 1
    return made


def test_a_planted_cause_of_errors_is_found_and_chance_is_not() -> None:
    found = [conditions("q", book(Random(seed), 3000, 8.0)) for seed in range(20)]
    assert all([lesson.key for lesson in lessons] == ["error: no memory/worker w-2"] for lessons in found)
    assert [conditions("q", book(Random(seed), 3000, 1.0)) for seed in range(50)] == [[]] * 50
    lesson = found[0][0]
    assert "times its share" in lesson.claim
    assert lesson.low > 1.5


def test_a_few_errors_are_no_finding() -> None:
    assert conditions("q", book(Random(1), 200, 3.0)) == []


def test_equal_faults_have_equal_names() -> None:
    assert spelled("row 17 of 0xff is bad\nTraceback") == spelled("row 4 of 0x1a2b is bad")


def durations(random: Random, count: int, mean_ms: float, longest_ms: int = 0) -> Book:
    """Return a book of successes of about this length."""
    from math import log

    from projections.workbook import STEP

    made = Book()
    for _ in range(count):
        took = max(1, int(random.gauss(mean_ms, mean_ms / 10)))
        step = str(int(log(took) / STEP))
        made.durations[step] = made.durations.get(step, 0) + 1
        made.finished += 1
        made.longest["1"] = max(made.longest.get("1", 0), took, longest_ms)
    return made


def test_a_timeout_is_one_and_a_half_times_what_nearly_all_need() -> None:
    lesson = timeout("q", durations(Random(1), 2000, 10_000.0), 600.0, 30.0)
    assert isinstance(lesson, Lesson)
    assert 18.0 <= lesson.change["to"] <= 21.0
    assert (lesson.change["now"], lesson.rollback) == (600.0, "timeout_s = 600")
    assert lesson.low <= lesson.change["to"] <= lesson.high + 1.0


def test_it_is_never_below_the_longest_success_and_only_proposed_where_it_is_worth_it() -> None:
    lesson = timeout("q", durations(Random(1), 2000, 10_000.0, 150_000), 600.0, 30.0)
    assert isinstance(lesson, Lesson)
    assert lesson.change["to"] >= 150.0
    assert timeout("q", durations(Random(1), 2000, 10_000.0, 400_000), 600.0, 30.0) is None
    assert timeout("q", durations(Random(1), 399, 10_000.0), 600.0, 30.0) == Missing(
        399, 400, "finished tasks"
    )
    assert timeout("q", durations(Random(1), 2000, 10_000.0), 600.0, 3.0) == Missing(3, 7, "days")


def setup(units: int, slots: int, batch: int, mean: float, spans: int = 20, stretches: int = 3) -> Setup:
    """Return a size with this mean and a spread of a tenth of it."""
    return Setup(units, slots, batch, spans, stretches, mean, (mean / 10) ** 2 * (spans - 1))


def only(found: list[Lesson] | Missing) -> Lesson:
    """Return the one lesson there is."""
    assert isinstance(found, list)
    (lesson,) = found
    return lesson


def test_sizes_are_compared_only_where_they_were_varied() -> None:
    now = setup(2, 1, 50, 100.0)
    bigger = only(sizes("w", [now, setup(2, 1, 100, 190.0)], now))
    assert (bigger.key, bigger.change["now"], bigger.change["to"]) == ("batch", 50, 100)
    assert bigger.low < 1.9 < bigger.high
    assert sizes("w", [now, setup(2, 1, 100, 104.0)], now) == []
    assert sizes("w", [now, setup(2, 1, 100, 190.0, stretches=1)], now) == Missing(
        1, 2, "sizes varied under full load, the present one among them"
    )
    assert sizes("w", [now, setup(4, 1, 100, 300.0)], now) == []
    fewer = only(sizes("w", [now, setup(1, 1, 50, 101.0, 60)], now))
    assert fewer.change["to"] == 1


def test_short_types_first_is_proposed_where_it_would_have_helped() -> None:
    random = Random(3)
    kinds = [(("long", 60_000) if random.random() < 0.2 else ("short", 2_000)) for _ in range(400)]
    mixed = [Ended(place * 14_000_000, took, kind) for place, (kind, took) in enumerate(kinds)]
    lesson = order("q", mixed, 1)
    assert isinstance(lesson, Lesson)
    assert lesson.high < 0.9
    equal = [Ended(place * 14_000_000, 12_000, "one") for place in range(400)]
    assert order("q", equal, 1) is None
    assert order("q", mixed[:200], 1) == Missing(200, 300, "finished tasks in a row")


def test_both_orders_do_the_same_work() -> None:
    tasks = [Ended(0, 10, "a"), Ended(0, 20, "b"), Ended(0, 30, "a")]
    assert list(waits(tasks, 1, False)) == [0.0, 10.0, 30.0]
    assert list(waits(tasks, 3, True)) == [0.0, 0.0, 0.0]


class Work(Given):
    """The Wisdom elf beside a queue whose tasks take ten seconds; `w-2` fails one in five."""

    def __init__(self) -> None:
        super().__init__(WisdomElf(), FOREST)
        self.said: list[Decided] = []
        self.count = 0
        for name in ("w-1", "w-2", "v-1"):
            self.born(name, pool=name[0])

    def days(self, days: int, tasks: int = 120) -> "Work":
        """Let days pass with so many tasks each."""
        for _ in range(days * tasks):
            self.count += 1
            task, unit = f"t{self.count}", ("w-1", "w-2", "v-1")[self.count % 3]
            self.say(TaskSubmitted(task=task, queue="q"), source="client.cli")
            claim = TaskStarted(task=task, queue="q", unit=unit, generation=1, pid=1, attempt=1, nonce="n")
            self.say(claim, source="worker.w")
            if unit == "w-2" and self.count % 15 < 3:
                body = TaskFailed(
                    task=task, queue="q", unit=unit, generation=1, attempt=1, claim=1, kind="error",
                    error=f"disk {self.count} is full",
                )  # fmt: skip
                self.say(body, source="worker.w")
            done = TaskFinished(
                task=task, queue="q", unit=unit, generation=1, attempt=1, claim=1,
                service_ms=9_000 + 20 * (self.count % 100),
            )  # fmt: skip
            self.say(done, source="worker.w")
            self.say(Sampled(full=False), s=DAY / tasks)
            self.said += self.then()
        return self

    def proposals(self, rule: str) -> list[Decided]:
        """Return what was proposed by a rule."""
        return [item for item in self.said if item.rule == rule and isinstance(item.action, Propose)]


@pytest.fixture(scope="module")
def fortnight() -> Work:
    """Return two weeks of work."""
    return Work().days(15)


def test_it_proposes_what_it_learnt_once_a_week_with_all_it_rests_on(fortnight: Work) -> None:
    timeouts = fortnight.proposals("timeout")
    assert len(timeouts) == 1 or timeouts[1].as_of > timeouts[0].as_of
    first = timeouts[0].action
    assert isinstance(first, Propose)
    assert first.change["what"] == "[[queue]] q"
    assert first.change["to"] < 30.0
    assert first.expires > fortnight.now - 15 * DAY * 1e6
    (errors,) = {item.action.change["now"] for item in fortnight.proposals("error_condition")}  # type: ignore[union-attr]
    assert errors == "worker w-2"


def test_what_is_missing_is_said_once(fortnight: Work) -> None:
    missing = [
        item for item in fortnight.said if isinstance(item.action, Abstain) and item.rule == "weekly_pattern"
    ]
    assert [item.text for item in missing] == [
        "weekly_pattern of q: not enough data, 0 whole weeks, 4 more needed"
    ]


def test_what_a_person_rejected_is_not_proposed_again_for_a_month() -> None:
    story = Work().days(9)
    (proposal,) = story.proposals("timeout")
    name = next(event.id for event in story.events if event.body == proposal)
    answer = ProposalRejected(decision=name, elf="wisdom", rule="timeout", about="q")
    story.say(answer, source="operator.cli")
    story.days(9, tasks=60)
    assert len(story.proposals("timeout")) == 1


def test_the_select_of_every_lesson_runs(fortnight: Work, tmp_path: Path) -> None:
    random = Random(3)
    mixed = [Ended(place * 14_000_000, random.choice((2000, 60_000)), "k") for place in range(400)]
    kinds = [Ended(item.at, item.service_ms, str(item.service_ms)) for item in mixed]
    now = setup(2, 1, 50, 100.0)
    lessons = [order("q'", kinds, 1), *(sizes("w", [now, setup(2, 1, 100, 190.0)], now) or ())]  # type: ignore[misc]
    texts = [lesson.sql for lesson in lessons if isinstance(lesson, Lesson)]
    texts += [item.action.sql for item in fortnight.said if isinstance(item.action, Propose)]
    assert len(texts) >= 4
    with stored(tmp_path / "w.duckdb", everything().events) as warehouse:
        for text in texts:
            assert run(warehouse.cursor(), text).columns

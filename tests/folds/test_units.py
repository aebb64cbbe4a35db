"""The life of units: generations, exits, intents, what belongs to which process."""

from msgspec.structs import replace

from events.codec import decode, encode
from events.event import Event
from events.log import envelope
from events.observations import IntentSet, NodeStopping, Sampled, WorkerExited, WorkerReady
from events.outcomes import WorkerStarted, WorkerStartOrdered
from events.settings import Settings, SettingsAdopted, WorkerSettings
from events.subjects import subject_of
from events.tasks import ResultSalvaged, TaskDied, TaskFailed, TaskFinished
from projections.units import SECOND, Units, launch_of, targets, worker_of
from tests.elves import sample, settings


class Story:
    """Units after what was said."""

    def __init__(self, adopted: Settings | None = None) -> None:
        self.units = Units({})
        self.settings = adopted or settings()
        self.now = 0
        self.say(SettingsAdopted(origin="file", digest="d", settings=self.settings))

    def say(self, *bodies: Event, at: float | None = None) -> "Story":
        """Fold events at a forest time in seconds."""
        self.now = self.now if at is None else int(at * SECOND)
        for body in bodies:
            if isinstance(body, SettingsAdopted):
                self.settings = body.settings
            said = encode(envelope("e", self.now, "node.n", body))
            self.units.apply(decode(1, subject_of("node.n", body), said), self.now, self.settings)
        return self

    def order(self, unit: str = "a", generation: int = 1) -> "Story":
        """Order a generation."""
        return self.say(
            WorkerStartOrdered(unit=unit, pool=unit, generation=generation, nonce=f"n{generation}")
        )

    def start(self, unit: str = "a", generation: int = 1, adopted: bool = False) -> "Story":
        """Let an ordered generation live."""
        return self.say(
            WorkerStarted(
                unit=unit,
                pool=unit,
                generation=generation,
                pid=100 + generation,
                start=7,
                nonce=f"n{generation}",
                adopted=adopted,
            )
        )


def test_configured_units_are_known_from_the_beginning() -> None:
    story = Story()
    assert sorted(story.units.units) == ["a", "b", "w"]
    assert story.units.get("a").generation == 0
    assert not story.units.get("a").alive


def test_an_order_of_a_dead_node_that_comes_behind_its_successors_changes_nothing() -> None:
    story = Story().order().start()
    late = WorkerStartOrdered(unit="a", pool="a", generation=1, nonce="late")
    story.say(late)
    story.say(WorkerStarted(unit="a", pool="a", generation=1, pid=999, start=7, nonce="late"))
    unit = story.units.get("a")
    assert (unit.alive, unit.pid, unit.nonce, unit.restarts) == (True, 101, "n1", 0)


def test_a_generation_is_ordered_lives_and_ends() -> None:
    story = Story().say(at=5).order()
    unit = story.units.get("a")
    assert (unit.generation, unit.alive, unit.nonce, unit.ordered_at) == (1, False, "n1", 5 * SECOND)
    story.say(at=6).start()
    assert (unit.alive, unit.ready, unit.pid, unit.start, unit.started_at) == (True, True, 101, 7, 6 * SECOND)
    story.say(WorkerExited(unit="a", generation=1, pid=101, signal=9), at=8)
    assert (unit.alive, unit.exited, unit.signal, unit.code, unit.failures) == (False, True, 9, None, 1)
    story.order(generation=2)
    assert (unit.generation, unit.exited, unit.signal, unit.restarts) == (2, False, None, 1)


def test_a_task_unit_is_ready_when_it_says_so() -> None:
    story = Story().order("w").start("w")
    unit = story.units.get("w")
    assert (unit.alive, unit.ready) == (True, False)
    story.say(WorkerReady(unit="w", generation=2, pid=1))
    assert not unit.ready
    story.say(WorkerReady(unit="w", generation=1, pid=1))
    assert unit.ready


def test_news_of_another_generation_change_nothing() -> None:
    story = Story().order().start().order(generation=2).start(generation=2)
    unit = story.units.get("a")
    story.say(WorkerExited(unit="a", generation=1, pid=101, code=1))
    story.start(generation=1)
    story.say(Sampled(full=False, units=(sample("a", generation=1, memory=9),)))
    assert (unit.generation, unit.alive, unit.pid, unit.sample) == (2, True, 102, None)


def test_a_start_that_comes_after_its_own_exit_raises_nobody_from_the_dead() -> None:
    story = Story().order().say(WorkerExited(unit="a", generation=1, pid=101, code=1)).start()
    assert not story.units.get("a").alive


def test_an_exit_said_twice_counts_once() -> None:
    gone = WorkerExited(unit="a", generation=1, pid=101, code=1)
    story = Story().order().start().say(gone, gone)
    assert story.units.get("a").failures == 1


def test_an_adopted_process_keeps_its_age() -> None:
    story = Story().say(at=5).order().start().say(at=50).start(adopted=True)
    assert story.units.get("a").started_at == 5 * SECOND


def test_ten_seconds_or_a_finished_task_make_a_life_steady() -> None:
    early, late, worked = Story().order().start(), Story().order().start(), Story().order("w").start("w")
    early.say(WorkerExited(unit="a", generation=1, pid=1, code=1), at=9.9)
    late.say(WorkerExited(unit="a", generation=1, pid=1, code=1), at=10)
    worked.say(TaskFinished(task="t", queue="q", unit="w", generation=1, attempt=1, claim=1))
    worked.say(WorkerExited(unit="w", generation=1, pid=1, code=1), at=1)
    found = [early.units.get("a"), late.units.get("a"), worked.units.get("w")]
    assert [len(unit.early_deaths) for unit in found] == [1, 0, 0]
    assert [unit.failures for unit in found] == [1, 0, 0]


def test_units_that_end_with_the_node_have_not_failed() -> None:
    story = Story().order().start().say(NodeStopping(node="n", reason="SIGTERM"))
    story.say(WorkerExited(unit="a", generation=1, pid=101, signal=15))
    unit = story.units.get("a")
    assert (unit.ended_by_us, unit.failures) == (True, 0)


def test_tasks_are_counted_for_their_unit() -> None:
    story = Story().order("w").start("w")
    done = TaskFinished(task="t", queue="q", unit="w", generation=1, attempt=1, claim=1)
    older = replace(done, generation=0)
    failed = TaskFailed(
        task="t", queue="q", unit="w", generation=1, attempt=1, claim=1, kind="error", error="no"
    )
    late = ResultSalvaged(task="t", queue="q", unit="w", generation=1, attempt=1)
    died = TaskDied(task="t", queue="q", unit="w", attempts=3, kind="error", error="no")
    story.say(done, older, failed, late, died, replace(done, unit="stranger"))
    unit = story.units.get("w")
    assert (unit.tasks_done, unit.done_in_generation, unit.tasks_failed) == (2, 1, 3)
    assert "stranger" not in story.units.units


def test_a_restart_intent_is_owed_by_living_units_until_a_new_generation_is_ordered() -> None:
    story = Story().order().start()
    story.say(
        IntentSet(target="a", intent="run", restart=True), IntentSet(target="b", intent="run", restart=True)
    )
    assert (story.units.get("a").owes_restart, story.units.get("b").owes_restart) == (True, False)
    story.order(generation=2)
    assert not story.units.get("a").owes_restart


def test_a_pool_names_its_configured_and_its_living_units() -> None:
    adopted = settings(workers=(WorkerSettings(name="p", units=("p-1",), launch="5"),))
    story = Story(adopted)
    story.say(WorkerStartOrdered(unit="p-2", pool="p", generation=1, nonce="n"))
    assert targets(adopted, "p", story.units.units) == ("p-1", "p-2")
    assert targets(adopted, "p-2", story.units.units) == ("p-2",)
    assert launch_of(adopted, "p") == "5"
    assert launch_of(adopted, "nobody") == ""
    assert worker_of(adopted, "nobody") is None

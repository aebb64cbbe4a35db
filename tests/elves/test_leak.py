"""What leaks is found before its limit and named by its level; what warms up, saws or stands still never is."""

from random import Random

import msgspec
import pytest

from actors.elves.leak import Leak, Leaks, Watch, look
from actors.elves.rank_tests import trend
from events.decisions import Decided, Remind
from events.envelope import Recorded
from events.event import Event
from events.log import envelope
from events.observations import Sampled, UnitSample
from events.outcomes import EffectFailed, WorkerStarted, WorkerStartOrdered
from events.reminders import RequestAnswered
from events.settings import Settings, WorkerSettings
from events.tasks import TaskFinished
from projections.growth import SLOT_US, Memory
from projections.units import Units

HOUR = 12
LIMIT = 1000.0


def walk(values: list[float]) -> list[tuple[int, Leak]]:
    """Return every slot in which a process with this memory is accused."""
    memory, watch = Memory(), Watch()
    memory.restart(1, 1000 * SLOT_US)
    found = []
    for place, value in enumerate(values):
        if memory.observe((1000 + place) * SLOT_US, value, 0):
            watch.found = look("w", watch, memory, LIMIT)
            if watch.found:
                found.append((place, watch.found))
    return found


def noisy(random: Random, level: float, per_hour: float, slots: int, noise: float = 4.0) -> list[float]:
    """Return memory that grows by so much an hour."""
    return [level + per_hour * place / HOUR + random.gauss(0.0, noise) for place in range(slots)]


@pytest.mark.parametrize("seed", range(5))
def test_a_slow_leak_is_found_after_six_hours_and_well_before_the_limit(seed: int) -> None:
    found = walk(noisy(Random(seed), 400.0, 20.0, 15 * HOUR))
    assert found
    place, leak = found[0]
    assert 6 * HOUR < place < 9 * HOUR
    assert (leak.path, leak.level) == ("slow", "watch")
    assert 1.7 < leak.points_per_h < 2.3
    full = (1000 + 30 * HOUR) * SLOT_US
    assert abs(leak.full_at - full) < 4 * HOUR * SLOT_US


@pytest.mark.parametrize("per_hour", [100.0, 140.0, 200.0, 239.0, 240.0, 480.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_fast_leak_is_found_before_the_limit(seed: int, per_hour: float) -> None:
    found = walk(noisy(Random(seed), 100.0, per_hour, int(900 / per_hour * HOUR)))
    assert found
    assert found[0][1].path == "fast"
    assert found[0][1].percent < 90.0


@pytest.mark.parametrize("per_hour", range(20, 500, 20))
def test_no_rate_is_too_fast_for_the_one_path_and_too_slow_for_the_other(per_hour: int) -> None:
    found = walk(noisy(Random(per_hour), 100.0, float(per_hour), 900 * HOUR // per_hour, 8.0))
    assert found
    assert found[0][1].percent < 90.0


@pytest.mark.parametrize("seed", range(5))
def test_what_does_not_leak_is_not_accused(seed: int) -> None:
    random = Random(seed)
    flat = noisy(random, 500.0, 0.0, 24 * HOUR, 20.0)
    warming = [600.0 - 500.0 * 0.8**place + random.gauss(0.0, 5.0) for place in range(24 * HOUR)]
    sawing = [300.0 + 25.0 * (place % 12) + random.gauss(0.0, 5.0) for place in range(24 * HOUR)]
    slow_saw = [300.0 + 3.0 * (place % 48) + random.gauss(0.0, 5.0) for place in range(24 * HOUR)]
    filling = [600.0 - 400.0 * 0.92**place + random.gauss(0.0, 5.0) for place in range(72)]
    emptied = [200.0 + 10.0 * (place % 24) + random.gauss(0.0, 5.0) for place in range(24 * HOUR)]
    step = [300.0 + 300.0 * (place > 100) + random.gauss(0.0, 5.0) for place in range(24 * HOUR)]
    for values in (flat, warming, sawing, slow_saw, filling, emptied, step):
        assert walk(values) == []


def test_growth_that_would_take_a_week_is_no_leak() -> None:
    assert walk(noisy(Random(1), 100.0, 5.0, 24 * HOUR)) == []


def test_a_smooth_wave_is_no_trend_once_its_correlation_is_counted() -> None:
    random, value, wave = Random(3), 0.0, []
    for _ in range(72):
        value = 0.97 * value + random.gauss(0.0, 1.0)
        wave.append(value)
    assert abs(trend(wave).z) < abs(trend(wave, corrected=False).z)
    assert trend([float(place) for place in range(72)]).z > 6.0
    assert trend([1.0] * 72).z == 0.0


class Story:
    """A task worker `w` whose memory and work a test tells, tick by tick."""

    def __init__(self, queue: str = "q") -> None:
        worker = WorkerSettings(name="w", queue=queue, units=("w",), memory_limit=1000, launch="1")
        self.settings = Settings(node="n", workers=(worker,))
        self.units = Units()
        self.leaks = Leaks()
        self.now = 1_000_000 * SLOT_US
        self.position = 0
        self.say(WorkerStartOrdered(unit="w", pool="w", generation=1, nonce="n"))
        self.say(WorkerStarted(unit="w", pool="w", generation=1, pid=1, start=1, nonce="n"))

    def say(self, body: Event, name: str = "") -> None:
        """Fold one event."""
        self.position += 1
        said = envelope(name or f"e{self.position}", self.now, "node.n", body)
        event = Recorded(self.position, "", said.id, self.now, "node.n", "", "", body, b"")
        self.units.apply(event, self.now, self.settings)
        self.leaks.apply(event, self.now, self.units, self.settings)

    def slots(self, values: list[float], tasks: list[int] | None = None) -> "Story":
        """Let slots pass with this memory and so many tasks in each."""
        for place, value in enumerate(values):
            for _ in range(tasks[place] if tasks else 0):
                self.say(
                    TaskFinished(
                        task="t", queue="q", unit="w", generation=1, attempt=1, claim=1, service_ms=1
                    )
                )
            self.say(Sampled(full=False, units=(UnitSample("w", 1, "S", 0, int(value), 1, 1, 0, 0),)))
            self.now += SLOT_US
        return self

    @property
    def leak(self) -> Leak | None:
        """What is found now."""
        return next(iter(self.leaks.leaks()), None)

    @property
    def level(self) -> str:
        """Its level."""
        return self.leak.level if self.leak else ""


def leaking(queue: str = "q", slots: int = 9 * HOUR) -> Story:
    """Return a worker that grows by 2 % of its limit an hour and does the same work all the time."""
    return Story(queue).slots(noisy(Random(7), 400.0, 20.0, slots), [2 + place % 2 for place in range(slots)])


def test_growth_without_more_work_is_suspect_and_what_garbage_collection_does_not_free_confirmed() -> None:
    story = leaking()
    assert story.level == "suspect"
    story.say(RequestAnswered(request="d1", unit="w", generation=1, do="gc", ok=True, before=580, after=570))
    assert story.slots([584.0]).level == "confirmed"


def test_what_garbage_collection_frees_was_no_leak() -> None:
    story = leaking()
    story.say(RequestAnswered(request="d1", unit="w", generation=1, do="gc", ok=True, before=580, after=480))
    assert story.slots([584.0]).level == "watch"


def test_a_worker_that_cannot_be_asked_or_does_not_answer_is_confirmed() -> None:
    assert leaking(queue="").level == "confirmed"
    story = leaking()
    remind = Remind(reminder="gc", worker="w", words="", due=0, unit="w", request="gc")
    decided = Decided(
        elf="healing", rule="leak", target="w", action=remind, reason="", text="", trigger=1, as_of=1,
        epoch=1, ordinal=0, size=1, policy="healing", version="1", settings="",
    )  # fmt: skip
    story.say(decided, "d9")
    story.say(EffectFailed(decision="d9", target="w", error="no answer"))
    assert story.slots([584.0]).level == "confirmed"


def test_growth_with_growing_work_alone_is_only_watched() -> None:
    random = Random(11)
    tasks = [place // 6 + random.randrange(3) for place in range(9 * HOUR)]
    story = Story().slots([300.0 + 20.0 * count + random.gauss(0.0, 3.0) for count in tasks], tasks)
    assert story.level == "watch"


def test_another_generation_begins_anew() -> None:
    story = leaking()
    assert story.leak
    story.say(WorkerStartOrdered(unit="w", pool="w", generation=2, nonce="n"))
    assert story.leak is None


def test_a_snapshot_in_the_middle_changes_nothing_and_stays_small() -> None:
    whole, parted = leaking(), leaking(slots=5 * HOUR)
    data = msgspec.json.encode(parted.leaks)
    assert len(data) < 10_000
    parted.leaks = msgspec.json.decode(data, type=Leaks)
    rest = noisy(Random(7), 400.0, 20.0, 9 * HOUR)[5 * HOUR :]
    parted.slots(rest, [2 + place % 2 for place in range(5 * HOUR, 9 * HOUR)])
    assert parted.leak == whole.leak

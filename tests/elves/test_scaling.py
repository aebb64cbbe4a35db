"""How many processes a pool should have: properties of the rule, and what it says in single cases."""

from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from actors.elves.scaling import Load, Pool, Wish, at_night, desired, enlist, next_count, retire, room
from events.observations import HostSample, UnitSample
from events.settings import Limits, WorkerSettings
from projections.units import SECOND, Unit

LIMITS = Limits(scale_down_s=180.0, scale_step_s=5.0, scale_drain_s=5.0)
NAMES = tuple(f"w-{n}" for n in range(1, 9))
WORKER = WorkerSettings(name="w", queue="q", units=NAMES[:1], names=NAMES)


def load(rate: float = 0.0, service_s: float = 1.0, waiting: int = 0, busy: int = 0, idle: int = 0) -> Load:
    """Return a load."""
    return Load(rate=rate, service_s=service_s, waiting=waiting, busy=busy, idle=idle)


def test_a_steady_stream_is_served_at_the_wished_utilisation() -> None:
    assert desired(load(rate=4.0), WORKER, LIMITS) == 5
    assert desired(load(rate=4.0), WorkerSettings(name="w", queue="q", slots=2), LIMITS) == 3
    assert desired(load(), WORKER, LIMITS) == 0


def test_a_backlog_is_through_within_the_drain_time_and_idle_slots_count() -> None:
    assert desired(load(waiting=50), WORKER, LIMITS) == 10
    assert desired(load(waiting=50, idle=25), WORKER, LIMITS) == 5


def test_as_long_as_no_time_is_known_waiting_tasks_ask_for_a_few_at_a_time() -> None:
    assert desired(load(service_s=0.0, waiting=100, busy=1), WORKER, LIMITS) == 5
    assert desired(load(service_s=0.0, waiting=2), WORKER, LIMITS) == 2
    assert desired(load(service_s=0.0), WORKER, LIMITS) == 0


def test_it_grows_twofold_or_by_four_and_not_again_within_a_step() -> None:
    pool = Pool()
    assert next_count(0, 1, 100, pool, LIMITS, 1, 50) == 5
    assert next_count(0, 10, 100, pool, LIMITS, 1, 50) == 20
    pool.grown_at = 10 * SECOND
    assert next_count(14 * SECOND, 5, 100, pool, LIMITS, 1, 50) == 5
    assert next_count(15 * SECOND, 5, 100, pool, LIMITS, 1, 50) == 10


def test_it_shrinks_to_the_highest_wish_of_the_window_and_keeps_a_small_surplus() -> None:
    pool = Pool()
    for second, wish in ((0, 8), (60, 3), (120, 2)):
        pool.note(Wish(second * SECOND, wish), 180 * SECOND)
    assert next_count(120 * SECOND, 8, 2, pool, LIMITS, 1, 8) == 8
    pool.note(Wish(181 * SECOND, 2), 180 * SECOND)
    assert next_count(181 * SECOND, 8, 2, pool, LIMITS, 1, 8) == 3
    assert next_count(181 * SECOND, 4, 2, pool, LIMITS, 1, 8) == 4


@profile(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 30)), min_size=1, max_size=60))
def test_bounds_hold_and_a_falling_wish_never_makes_it_grow(steps: list[tuple[int, int]]) -> None:
    pool, now, count = Pool(), 0, 1
    for wait, wish in steps:
        now += wait * SECOND
        pool.note(Wish(now, wish), int(LIMITS.scale_down_s * SECOND))
        fresh = next_count(now, count, wish, pool, LIMITS, 1, 8)
        assert 1 <= fresh <= 8
        assert fresh <= count or wish > count
        assert fresh >= min(count, max(1, min(8, pool.highest)))
        if fresh > count:
            pool.grown_at = now
        count = fresh


@profile(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 9)), max_size=50))
def test_the_highest_wish_is_that_of_a_plain_list(steps: list[tuple[int, int]]) -> None:
    pool, now, plain = Pool(), 0, []
    for wait, wish in steps:
        now += wait
        plain.append((now, wish))
        pool.note(Wish(now, wish), 100)
        assert pool.highest == max(wish for at, wish in plain if at > now - 100)


def unit(name: str, memory: int = 0, alive: bool = True, started_at: int = 0, cpu: int = 0) -> Unit:
    """Return a unit of the pool."""
    sample = UnitSample(name, 1, "S", cpu, memory, 1, 1, 0, 0) if memory else None
    return Unit(name, pool="w", alive=alive, started_at=started_at, sample=sample)


def test_memory_bounds_what_the_machine_carries_and_a_full_one_carries_no_more() -> None:
    units = [unit("w-1", memory=100), unit("w-2", memory=50)]
    assert room(HostSample(100, 1000, 4000, 2), units, 2) == 10
    assert room(HostSample(960, 1000, 4000, 2), units, 2) == 10
    assert room(HostSample(960, 1000, 4000, 2), [unit("w-1", memory=100, cpu=900)], 1) == 1
    assert room(None, units, 2) is None
    assert room(HostSample(100, 1000, 4000, 2), [unit("w-1")], 1) is None


def test_only_idle_processes_go_those_that_do_not_run_first_then_the_oldest() -> None:
    units = {
        "w-1": unit("w-1", started_at=5),
        "w-2": unit("w-2", started_at=1),
        "w-3": unit("w-3", alive=False, started_at=9),
        "w-4": unit("w-4", started_at=2),
    }
    names = list(units)
    assert retire(names, units, {"w-2": 1}, 2) == ["w-3", "w-4"]
    assert retire(names, units, dict.fromkeys(names, 1), 2) == []
    assert enlist(WORKER, ("w-1", "w-4"), 4) == ("w-1", "w-2", "w-3", "w-4")


def test_a_night_may_go_over_midnight() -> None:
    assert [at_night(minute, 1320, 360) for minute in (1319, 1320, 0, 359, 360)] == [
        False,
        True,
        True,
        True,
        False,
    ]
    assert [at_night(minute, 60, 120) for minute in (59, 60, 119, 120)] == [False, True, True, False]

"""The search for better settings, and the check on work that it has not seen."""

import random

import pytest
from msgspec.structs import replace

from actors.faces.console.tune import halves
from actors.simulator import Choice, Job, Player, Result, Scenario
from actors.tuning import (
    FIFO,
    POLICIES,
    Guards,
    broken,
    candidates,
    confirm,
    last_part,
    measured,
    search,
    standard,
)
from actors.what_if import CannotSay
from tests.simulator.test_engine import mixed
from tests.simulator.test_what_if import log_of, recording_of

BEST = Choice(policy="pull_best")
DAY = 86_400.0


def telling(tasks: int = 400, seed: int = 5, told: bool = True) -> Scenario:
    """Two agents at 85 % load; unless `told`, a kind says nothing any more about what it takes."""
    chance = random.Random(seed)
    jobs, now = [], 0.0
    for _ in range(tasks):
        now += chance.expovariate(0.85 * 2 / 100.0)
        long = chance.random() < 0.2
        said = long if told else chance.random() < 0.2
        jobs.append(Job(arrival=now, size=400.0 if long else 25.0, kind="long" if said else "short"))
    first = jobs[0].arrival
    return Scenario(
        jobs=tuple(replace(job, arrival=job.arrival - first) for job in jobs),
        players=(Player(name="a"), Player(name="b")),
        choices=(),
    )


def test_candidates_begin_with_what_is_and_stay_within_their_ranges() -> None:
    found = candidates(20, FIFO)
    assert found[0] == FIFO
    assert BEST in found
    assert {choice.policy for choice in found} <= set(POLICIES)
    assert len({str(choice) for choice in found}) == len(found) >= 18
    assert candidates(20, FIFO) == found
    assert not any("prefetch" in choice.parameters for choice in found)


def test_the_last_part_of_a_scene_begins_anew_with_the_outages_of_its_time() -> None:
    scene = mixed(90)
    part = last_part(scene, 3)
    assert len(part.jobs) == 30
    assert part.jobs[0].arrival == 0
    assert part.jobs[-1].size == scene.jobs[-1].size
    start = scene.jobs[60].arrival
    away = [(a - start, b - start) for player in scene.players for a, b in player.outages if b > start]
    assert [window for player in part.players for window in player.outages] == [
        (max(0.0, a), b) for a, b in away
    ]


def test_short_tasks_first_is_found_where_kinds_tell_the_size_and_confirmed_on_a_later_part() -> None:
    said: list[str] = []
    found = search([telling()], FIFO, count=9, guards=Guards(share=100.0, p99=3.0), said=said.append)
    assert found.policy == "pull_best"
    assert len(said) == 3
    verdict = confirm([telling(seed=6)], found, FIFO, Guards(share=100.0, p99=3.0))
    assert verdict.objections == ()
    assert verdict.gain > 0.2
    assert 0 < verdict.low <= verdict.gain <= verdict.high
    assert verdict.candidate.mean < verdict.current.mean == 1.0


def test_what_was_tuned_to_a_time_that_is_over_is_refused_by_the_held_out_work() -> None:
    over_tuned = search([telling()], FIFO, count=9, guards=Guards(share=100.0, p99=3.0))
    verdict = confirm([telling(seed=6, told=False)], over_tuned, FIFO, Guards(share=100.0, p99=3.0))
    assert any("the mean improves by" in text for text in verdict.objections)


def test_guards_are_named_and_a_current_excess_is_no_reason_to_refuse() -> None:
    results = _results(mixed(200), BEST)
    fifo = _results(mixed(200), FIFO)
    it = standard(results, fifo)
    strict = Guards(p99=0.1, spread=0.0, share=1.0)
    assert len(broken(it, replace(it, spread=0.0, share=0.0), strict)) == 3 - (it.p99 <= 1.0)
    assert broken(it, it, Guards(p99=100.0, spread=0.0, share=0.0)) == []


def _results(scene: Scenario, choice: Choice) -> list[Result]:
    return [measured(scene, choice)]


def test_the_last_day_is_held_out_and_a_log_too_short_cannot_say() -> None:
    events = log_of(telling(2000), FIFO)
    recording = recording_of(events)
    before, last = halves(recording)
    split = recording.scenario.horizon - DAY
    assert before.jobs[-1].arrival < split <= last.judged_from
    assert len(last.jobs) == 2000
    assert confirm([last], FIFO, FIFO).tasks == sum(job.arrival >= split for job in last.jobs)
    with pytest.raises(CannotSay, match="expected at least 200 tasks on the last day and before it"):
        halves(recording, days=1)

"""Whole forests in memory, one for each seed: no promise is broken, and each bug put in on purpose is found."""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from tests.simulation import storm
from tests.simulation.mutations import MUTATIONS
from tests.simulation.run import show
from tests.simulation.storm import run

SEEDS = 200
# So many seeds must be enough for any of the bugs; most need a handful.
ENOUGH = 150
# Each of these found a bug once.
FOUND = (
    3,
    4,
    13,
    16,
    17,
    65,
    141,
    156,
    233,
    282,
    285,
    297,
    396,
    648,
    2017,
    2097,
    3116,
    3425,
    3535,
    5130,
    5315,
    6111,
    6365,
    7021,
    7200,
    9839,
)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("quarter", range(4))
def test_no_seed_breaks_a_promise(quarter: int) -> None:
    for seed in range(quarter, SEEDS, 4):
        result = run(seed)
        assert not result.broken, show(result)
        assert result.decisions > 0


@pytest.mark.parametrize("seed", [seed for seed in FOUND if seed >= SEEDS])
def test_a_seed_that_found_a_bug_stays_whole(seed: int) -> None:
    result = run(seed)
    assert not result.broken, show(result)


def test_a_seed_is_the_same_story_every_time() -> None:
    for seed in (1, 17, 42):
        assert run(seed).digest == run(seed).digest


@pytest.mark.parametrize(
    ("name", "known", "early", "mutation"), MUTATIONS, ids=[item[0] for item in MUTATIONS]
)
def test_a_bug_put_in_on_purpose_is_found(
    name: str,
    known: int,
    early: bool,
    mutation: Callable[[], AbstractContextManager[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What has not settled by then never will: waiting longer only takes time here.
    monkeypatch.setattr(storm, "CALM_S", 600.0)
    with mutation():
        assert any(run(seed, early).broken for seed in (known, *range(ENOUGH))), (
            f"{ENOUGH} seeds do not notice: {name}"
        )

"""The running hash: order, bytes, and refusals that leave it as it was."""

from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.chain import START, Chain, Gap, Regression
from tests.projections.scenes import everything


def test_the_head_is_the_stated_formula() -> None:
    chain = Chain()
    chain.push(1, b"one")
    chain.push(2, b"two")
    first = blake2b(START + (1).to_bytes(8, "big") + b"one", digest_size=16).digest()
    second = blake2b(first + (2).to_bytes(8, "big") + b"two", digest_size=16).digest()
    assert (chain.position, chain.head, chain.count) == (2, second, 2)
    assert chain.head_hex == second.hex()


@pytest.mark.parametrize(
    ("position", "problem", "said"),
    [
        (4, Gap, "expected position 3, got 4: 3 missing"),
        (9, Gap, "expected position 3, got 9: 3 to 8 missing"),
        (2, Regression, "expected position 3, got 2 again"),
    ],
)
def test_only_the_next_position_is_taken(position: int, problem: type[Exception], said: str) -> None:
    chain = Chain()
    chain.push(1, b"one")
    chain.push(2, b"two")
    before = chain.copy()
    with pytest.raises(problem, match=said) as caught:
        chain.push(position, b"three")
    assert chain == before
    assert (caught.value.position, caught.value.expected) == (position, 3)  # type: ignore[attr-defined]


def test_a_batch_with_a_hole_leaves_the_chain_as_it_was() -> None:
    events = everything().events
    chain = Chain()
    chain.extend(events[:3])
    before = chain.copy()
    with pytest.raises(Gap):
        chain.extend([*events[3:5], events[6]])
    assert chain == before


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=8), st.data())
def test_every_byte_counts(stored: list[bytes], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(stored) - 1))
    other = data.draw(st.binary(max_size=20).filter(lambda value: value != stored[at]))
    heads = []
    for bytes_ in (stored, [*stored[:at], other, *stored[at + 1 :]]):
        chain = Chain()
        for position, event in enumerate(bytes_, 1):
            chain.push(position, event)
        heads.append(chain.head)
    assert heads[0] != heads[1]


def test_pushing_and_extending_agree_from_any_place() -> None:
    events = everything().events
    whole, parts = Chain(), Chain()
    whole.extend(events)
    for event in events[:7]:
        parts.push(event.position, event.data)
    later = Chain(parts.position, parts.head, parts.count)
    later.extend(events[7:])
    assert later == whole

"""The ledger's indexes: made at once, so that nobody's first question finds a change counted twice."""

import msgspec

from events.codec import canonical
from projections.dispatch import Dispatch
from tests.distribution import NOW, settings


def begun() -> Dispatch:
    """Return a fold with a task that waits for its claim, which nobody has asked anything."""
    dispatch = Dispatch()
    dispatch.configure(settings(), NOW)
    dispatch.join("CC01", NOW)
    dispatch.submit("q", "t", 1, NOW)
    dispatch.assign("q/t", "CC01", NOW)
    return dispatch


def test_a_fold_that_nobody_asked_counts_what_runs_once() -> None:
    dispatch = begun()
    assert dispatch.start("q/t", "CC01", 1, 2, NOW + 1)
    assert dispatch.claims == {"CC01": 1}
    assert dispatch.at_work == {"q/": [(NOW + 1, "q/t")]}
    assert dispatch.finish("q/t", "CC01", 2, 10, NOW + 2)
    assert (dispatch.held, dispatch.claims, dispatch.at_work) == ({"CC01": {}}, {"CC01": 0}, {})


def test_a_restored_fold_counts_what_runs_once() -> None:
    before = begun()
    before.start("q/t", "CC01", 1, 2, NOW + 1)
    restored = msgspec.json.decode(canonical(before), type=Dispatch)
    assert (restored.held, restored.claims, restored.at_work) == (before.held, before.claims, before.at_work)
    again = msgspec.json.decode(canonical(begun()), type=Dispatch)
    again.start("q/t", "CC01", 1, 2, NOW + 1)
    assert (again.claims, again.at_work) == (before.claims, before.at_work)

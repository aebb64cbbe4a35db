"""What an act costs here and now: dearer where a unit flaps, cheaper in a forest of many units."""

from msgspec.structs import replace

from actors.elves import Draft, View

# Up to so many units a cost is what it is; beyond, it is ten by their number of that, at least a tenth.
_FEW = 10
# A second act on the same unit within half an hour costs double, every further one four times.
_DEAREST = 2


def priced(draft: Draft, view: View) -> Draft:
    """Return the draft with its price."""
    if draft.cost == 0:
        return draft
    cost = draft.cost
    if str(draft.action.__struct_config__.tag).endswith("_unit"):
        cost <<= min(_DEAREST, view.standing.flapping(draft.target, view.timeline.now))
    cost = scaled(cost, sum(len(worker.units) for worker in view.settings.workers))
    return draft if cost == draft.cost else replace(draft, cost=cost)


def scaled(cost: int, units: int) -> int:
    """Return a cost in a forest of so many units, rounded up to whole points."""
    return cost if units <= _FEW else max(1, -(-cost * _FEW // min(units, _FEW * _FEW)))

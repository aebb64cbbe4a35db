"""While the machine carries no more processes, pools give to each other: from short work to long.

Rules `even_cpu` and `even_memory`, by what the machine has no more of. One process at a time, from a pool above
its `min` that is through with its work in less than half the time and whose process frees about as much as the new
one takes. A full machine gives the giver nothing back, so nothing goes to and fro.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from msgspec import Struct

from actors.elves import Draft, View
from actors.elves.pools import START_COST, STOP_COST, PoolsState, load_of
from actors.elves.scaling import computes, enlist, is_full, retire, started
from events.decisions import ScalePool
from events.observations import UnitSample
from events.settings import Limits, WorkerSettings
from projections.units import SECOND, scalable

_TIMES = 2.0
_GAIN_S = 10.0
# A process frees nearly what the other one will take.
_FREES = 0.8


class Side(Struct, frozen=True):
    """One pool: who is wanted, what its living processes use, how many more it asks for, how long its work lasts."""

    worker: WorkerSettings
    wanted: tuple[str, ...]
    samples: list[UnitSample]
    lacks: int
    lasts_s: float

    @property
    def largest(self) -> int:
        """The memory of its largest process."""
        return max(sample.memory for sample in self.samples)


def decide(state: PoolsState, taken: Collection[str], view: View) -> Iterable[Draft]:
    """Say which pool gives a process to which, if any; those `taken` are being scaled already."""
    sides = [side for side in _sides(state, view) if side.worker.name not in taken]
    limits, now = view.settings.limits, view.timeline.now
    for needy in sorted(sides, key=lambda side: (-side.lasts_s, side.worker.name)):
        short = is_full(state.host, needy.samples, limits)
        pool = state.pools[needy.worker.name]
        soon = pool.grown_at and now - pool.grown_at < limits.scale_step_s * SECOND
        if needy.lacks <= 0 or not short or soon or len(needy.wanted) >= len(needy.worker.names):
            continue
        givers = [side for side in sides if side is not needy and _gives(side, needy, short, limits)]
        if givers:
            yield from _swap(
                min(givers, key=lambda side: (side.lasts_s, side.worker.name)), needy, short, state
            )
            return


def _sides(state: PoolsState, view: View) -> Iterator[Side]:
    for worker in view.settings.workers:
        pool = state.pools.get(worker.name)
        if pool is None or not pool.wishes or not scalable(worker) or worker.name in state.units.pinned:
            continue
        wanted = state.units.wanted(worker)
        units = [state.units.get(name) for name in wanted]
        samples = [unit.sample for unit in units if unit.alive and unit.sample and unit.sample.memory]
        if not samples or len(samples) < len(wanted):
            # Somebody is on the way already.
            continue
        load = load_of(worker, state, view)
        lasts = (load.waiting + load.busy) * load.service_s / (len(wanted) * worker.slots)
        yield Side(worker, wanted, samples, pool.wishes[-1].count - len(wanted), lasts)


def _gives(giver: Side, needy: Side, short: str, limits: Limits) -> bool:
    if len(giver.wanted) <= len(giver.worker.units) or needy.lasts_s < _TIMES * giver.lasts_s + _GAIN_S:
        return False
    return computes(giver.samples, limits) if short == "cpu" else giver.largest >= _FREES * needy.largest


def _swap(giver: Side, needy: Side, short: str, state: PoolsState) -> Iterator[Draft]:
    held: dict[str, int] = {}
    for claim in state.custody.claims.values():
        held[claim.unit] = held.get(claim.unit, 0) + 1
    units = state.units.units
    # Whoever is at work ends it first.
    oldest = min(giver.wanted, key=lambda name: (started(units, name), name))
    (going,) = retire(giver.wanted, units, held, 1) or [oldest]
    facts: dict[str, Any] = {
        "from": giver.worker.name,
        "to": needy.worker.name,
        "from_lasts_s": round(giver.lasts_s, 3),
        "to_lasts_s": round(needy.lasts_s, 3),
        "host_cpu": state.host.cpu if state.host else 0,
        "host_memory": state.host.memory if state.host else 0,
    }
    text = (
        f"the machine has no more {'CPU' if short == 'cpu' else 'memory'}: {giver.worker.name}, whose work lasts"
        f" {giver.lasts_s:.0f} s, gives a process to {needy.worker.name}, whose work lasts {needy.lasts_s:.0f} s"
    )
    left = tuple(name for name in giver.wanted if name != going)
    more = enlist(needy.worker, needy.wanted, len(needy.wanted) + 1)
    for worker, names, cost in ((giver.worker, left, STOP_COST), (needy.worker, more, START_COST)):
        yield Draft(
            rule=f"even_{short}",
            target=worker.name,
            action=ScalePool(pool=worker.name, units=names),
            reason="machine_full",
            text=text,
            inputs=facts,
            cost=cost,
        )

"""What a node finds when it takes over: the log's belief about every unit against what really lives."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from actors.ground import NATS_UNIT
from actors.keeper_client import Exit
from actors.keeper_client import Unit as Living
from actors.process import Identity
from actors.processes import Processes
from events.outcomes import EffectFailed, EffectVerified, WorkerStarted
from projections.standing import Effect
from projections.units import Unit, Units


class Adopted(Struct, frozen=True):
    """The unit's own generation lives; if the log does not know yet, its start was ordered and not completed.

    A `stray` is not the keeper's child: it lived under one that was killed, so nobody reaps it for us.
    """

    unit: Unit
    identity: Identity
    stray: bool = False


class Over(Struct, frozen=True):
    """The unit's process ended while nobody was there to write it down; the keeper knows how."""

    exit: Exit


class Vanished(Struct, frozen=True):
    """The unit's process is gone and nobody knows how: healing treats that as a failure."""

    unit: Unit


class Stranger(Struct, frozen=True):
    """A process under the keeper that the log does not know."""

    living: Living


Finding = Adopted | Over | Vanished | Stranger


def compare(
    units: Units,
    known: Callable[[Unit], Identity],
    node: str,
    processes: Processes,
    living: Sequence[Living],
    exits: Callable[[], Sequence[Exit]],
) -> list[Finding]:
    """Return every difference; `known` says which process a living unit was, `exits` is asked only if one is missing.

    `node` is what all processes of this folder carry first in their marker.
    """
    by_name = {item.unit: item for item in living if item.unit != NATS_UNIT}
    found: list[Finding] = []
    book: list[Sequence[Exit]] = []

    def once() -> Sequence[Exit]:
        if not book:
            book.append(exits())
        return book[0]

    for unit in units.units.values():
        here = by_name.pop(unit.name, None)
        if here and here.nonce == unit.nonce and not unit.exited:
            found.append(Adopted(unit, Identity(processes.boot(), here.pid, here.start)))
            continue
        if here:
            found.append(Stranger(here))
        if unit.alive or (unit.generation and not unit.exited):
            found.extend(missing(unit, known(unit), node, processes, once))
    found.extend(Stranger(item) for item in by_name.values())
    return found


def missing(
    unit: Unit, identity: Identity, node: str, processes: Processes, exits: Callable[[], Sequence[Exit]]
) -> list[Finding]:
    """Return what became of a unit that is believed alive, or ordered, and is no child of the keeper."""
    if not unit.alive:
        found = processes.leader(f"{node}:{unit.name}:{unit.generation}:{unit.nonce}")
        if found:
            return [Adopted(unit, found, stray=True)]
    process = processes.hold(identity) if unit.alive else None
    if process is not None:
        process.close()
        if is_ours(node, identity, processes):
            return [Adopted(unit, identity, stray=True)]
    ended = next((item for item in exits() if item.unit == unit.name and item.nonce == unit.nonce), None)
    return [Over(ended)] if ended else [Vanished(unit)]


def is_ours(node: str, identity: Identity, processes: Processes) -> bool:
    """Tell whether a process belongs to this folder: a copy of a folder believes in the same ones.

    One that overwrote its environment says nothing and is taken for ours.
    """
    carried = processes.marker(identity)
    return not carried or carried.startswith(f"{node}:")


def verdict(effect: Effect, unit: Unit, state: str) -> EffectVerified | EffectFailed:
    """Judge an act whose node died under it by the kernel's letter for its unit, `X` for gone."""
    error = ""
    if effect.do == "continue_unit" and state in "TtZX":
        now = "stopped" if state in "Tt" else "gone"
        error = f"the node ended before the effect was seen; the unit is {now}"
    elif not unit.alive or unit.ended_by_us or effect.do == "take_evidence":
        error = "the node ended before the effect was seen"
    if error:
        return EffectFailed(decision=effect.decision, target=effect.target, error=error)
    detail = f"found running in generation {unit.generation}"
    return EffectVerified(decision=effect.decision, target=effect.target, detail=detail)


def started_late(unit: Unit, identity: Identity) -> WorkerStarted:
    """Return the event that its node could not write any more."""
    return WorkerStarted(
        unit=unit.name,
        pool=unit.pool,
        generation=unit.generation,
        pid=identity.pid,
        start=identity.start,
        nonce=unit.nonce,
        adopted=True,
    )

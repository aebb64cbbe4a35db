"""What a node finds when it takes over: the log's belief about every unit against what really lives."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from actors.ground import NATS_UNIT
from actors.keeper_client import Exit
from actors.keeper_client import Unit as Living
from actors.process import Identity
from actors.processes import Processes
from events.outcomes import WorkerStarted
from projections.units import Unit, Units


class Adopted(Struct, frozen=True):
    """The unit's own generation lives; if the log does not know yet, its start was ordered and not completed."""

    unit: Unit
    identity: Identity


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
    units: Units, processes: Processes, living: Sequence[Living], exits: Callable[[], Sequence[Exit]]
) -> list[Finding]:
    """Return every difference; `exits` is asked only if somebody is missing."""
    by_name = {item.unit: item for item in living if item.unit != NATS_UNIT}
    found: list[Finding] = []
    book: Sequence[Exit] | None = None
    for unit in units.units.values():
        here = by_name.pop(unit.name, None)
        if here and here.nonce == unit.nonce and not unit.exited:
            found.append(Adopted(unit, Identity(processes.boot(), here.pid, here.start)))
            continue
        if here:
            found.append(Stranger(here))
        if unit.alive or (unit.generation and not unit.exited):
            book = exits() if book is None else book
            found.extend(_missing(unit, processes, book))
    found.extend(Stranger(item) for item in by_name.values())
    return found


def _missing(unit: Unit, processes: Processes, book: Sequence[Exit]) -> list[Finding]:
    """Believed alive, or ordered, and not with the keeper."""
    identity = Identity(processes.boot(), unit.pid, unit.start)
    process = processes.hold(identity) if unit.alive else None
    if process is not None:
        process.close()
        return [Adopted(unit, identity)]
    ended = next((item for item in book if item.unit == unit.name and item.nonce == unit.nonce), None)
    return [Over(ended)] if ended else [Vanished(unit)]


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

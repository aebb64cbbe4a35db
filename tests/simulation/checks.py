"""What must hold when all is over: the promises of the product as questions to one log and one machine."""

from __future__ import annotations

from collections import Counter
from typing import Any

from actors.audit import replay
from actors.elf import ElfActor
from actors.elves.deliberation import encode_mind, fold, new_mind
from actors.policies import POLICIES
from events.decisions import Decided
from events.outcomes import WorkerStarted
from events.tasks import TaskDied, TaskFinished, TaskSubmitted
from projections.mana import POINT
from projections.standing import Standing
from tests.simulation.machine import Broken
from tests.simulation.world import World

UNITS = ("a", "b", "w-1", "w-2")


def settled(made: World) -> str:
    """Say what is still missing, nothing when every wanted unit runs, every task ended and no act is open."""
    node = made.node
    if node is None or not node.leads:
        return "no node leads"
    for unit in UNITS:
        being = made.machine.main(unit)
        if being is None:
            return f"{unit} does not run"
        if being.state != "S":
            return f"{unit} is stopped"
    events = made.server.memory.events
    ended = {event.body.task for event in events if isinstance(event.body, TaskFinished | TaskDied)}
    missing = set(made.submitted) - ended
    if missing:
        return f"tasks without an end: {sorted(missing)}"
    for policy in POLICIES:
        elf = made.stage.find(policy.name)
        if not isinstance(elf, ElfActor) or elf.position < len(events):
            return f"{policy.name} has not read all"
        if elf._decider.waiting:
            return f"{policy.name} waits for its batch"
    return _beliefs(made)


def _beliefs(made: World) -> str:
    """What the elves believe must be what is."""
    healing: Any = made.stage.find("healing")
    mind = healing._decider.mind
    if mind.view.standing.effects:
        return f"open effects: {sorted(mind.view.standing.effects)}"
    for unit in UNITS:
        being = made.machine.main(unit)
        known = mind.own.units.get(unit)
        if not known.alive or being is None or known.pid != being.pid:
            return f"{unit} is believed {'alive' if known.alive else 'dead'} with pid {known.pid}"
        if known.owes_restart:
            return f"{unit} still owes a restart"
    return ""


def check_end(made: World) -> int:
    """Check the whole log; returns the number of decisions. Raises Broken."""
    events = made.server.memory.events
    _nothing_lost(made)
    _nothing_twice(made)
    _folds_agree(made)
    report = replay(lambda: iter([events]))
    if report.divergences:
        raise Broken(f"replay differs: {report.divergences[0]} and {len(report.divergences) - 1} more")
    return report.decisions


def _nothing_lost(made: World) -> None:
    events = made.server.memory.events
    for name, position in made.server.acknowledged:
        if events[position - 1].id != name:
            raise Broken(f"acknowledged at {position} and not there: {name}")
    stored = {event.body.task for event in events if isinstance(event.body, TaskSubmitted)}
    lost = set(made.submitted) - stored
    if lost:
        raise Broken(f"submissions lost: {sorted(lost)}")


def _nothing_twice(made: World) -> None:
    events = made.server.memory.events
    ends = Counter(event.body.task for event in events if isinstance(event.body, TaskFinished | TaskDied))
    twice = [task for task, count in ends.items() if count > 1]
    if twice:
        raise Broken(f"tasks with two ends: {twice}")
    decided = Counter(event.id for event in events if isinstance(event.body, Decided))
    again = [name for name, count in decided.items() if count > 1]
    if again:
        raise Broken(f"decided twice: {again}")
    born = Counter(
        (event.body.unit, event.body.generation)
        for event in events
        if isinstance(event.body, WorkerStarted) and not event.body.adopted
    )
    double = [key for key, count in born.items() if count > 1]
    if double:
        raise Broken(f"generations started twice: {double}")


def _folds_agree(made: World) -> None:
    """Fold from zero is snapshot and tail; nobody spends mana that is not there; one act at a time on a unit."""
    events = made.server.memory.events
    for policy in POLICIES:
        mind = new_mind(policy)
        elf = made.stage.find(policy.name)
        for event in events:
            body = event.body
            if isinstance(body, Decided) and body.elf == policy.name and body.mode == "act":
                if body.cost * POINT > mind.mana.units:
                    raise Broken(f"{body.text}: costs {body.cost}, there are {mind.mana.level}")
                _one_at_a_time(mind.view.standing, body, event.position)
            fold(policy, mind, event)
            here = isinstance(elf, ElfActor) and elf.position == event.position
            if here and encode_mind(mind) != encode_mind(elf._decider.mind):  # type: ignore[union-attr]
                raise Broken(f"{policy.name}: fold from zero differs at {event.position}")


def _one_at_a_time(standing: Standing, decided: Decided, position: int) -> None:
    does = str(decided.action.__struct_config__.tag)
    if (
        does.endswith("_unit")
        and does not in ("quarantine_unit", "tell_unit")
        and standing.busy(decided.target)
    ):
        raise Broken(f"a second act on {decided.target} at {position} while {standing.effects}")

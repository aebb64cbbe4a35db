"""The Balance elf's rules for a queue that overflows although its pools are as large as they may be.

First other workers (see `pools`), then another queue that can do the same work, last a larger batch, unless settings
name other steps of the playbook `queue_overflow`.
"""

from collections.abc import Iterable, Iterator, Sequence
from math import ceil
from typing import Any

from msgspec import Struct

from actors.elves import Draft, View
from actors.elves.playbooks import steps_of
from actors.elves.pools import PoolsState
from events.decisions import MoveTasks, ProposeBatch
from events.envelope import Recorded
from events.settings import QueueSettings, WorkerSettings
from events.tasks import TaskCancelled, TaskDied, TaskDropped, TaskFinished, TaskMoved
from projections.units import SECOND

AT_ONCE = 100
MOVES = 2
NOT_BACK_US = 600 * SECOND
GAIN_S = 10.0
TICKS = 2
BATCH_STEP = 1.5
BATCH_CAP = 1000
PER_POINT = 10


class Moved(Struct):
    """How often a task was moved, from where and when last."""

    count: int
    source: str
    at: int


class Overflow(Struct):
    """Tasks that were moved and have not ended."""

    moved: dict[str, Moved] = {}


def fold(state: Overflow, event: Recorded, now: int) -> None:
    """Take one event."""
    match event.body:
        case TaskMoved(task=task, queue=queue):
            known = state.moved.get(task)
            state.moved[task] = Moved(known.count + 1 if known else 1, queue, now)
        case (
            TaskFinished(task=task) | TaskDied(task=task) | TaskCancelled(task=task) | TaskDropped(task=task)
        ):
            state.moved.pop(task, None)
        case _:
            return


def decide(state: Overflow, pools: PoolsState, view: View) -> Iterable[Draft]:
    """Say what is to be moved, and which batches could be larger."""
    for queue in view.settings.queues:
        held = pools.queues.get(queue.name)
        serving = [worker for worker in view.settings.workers if worker.queue == queue.name]
        if queue.serve != "pull" or held.over < TICKS or not serving or view.standing.busy(queue.name):
            continue
        yield from _follow(queue, serving, state, pools, view)


def _follow(
    queue: QueueSettings, serving: Sequence[WorkerSettings], state: Overflow, pools: PoolsState, view: View
) -> Iterator[Draft]:
    """Take the playbook's steps in their order, up to the first that still helps."""
    for step in steps_of(view.settings, "queue_overflow"):
        match step:
            case "spawn_additional_worker":
                if not _grown(serving, pools):
                    return
            case "redistribute_tasks":
                draft = _move(queue, state, pools, view)
                if draft:
                    yield draft
                if draft or _has_room(queue, pools, view):
                    return
            case _:
                yield from (_batch(worker, queue, pools) for worker in serving if worker.batch > 1)


def _grown(serving: Sequence[WorkerSettings], pools: PoolsState) -> bool:
    """Tell whether no pool of the queue can get another process, so that more workers are no answer."""
    return all(len(pools.units.wanted(worker)) >= len(worker.names or worker.units) for worker in serving)


def slots(queue: str, pools: PoolsState, view: View) -> int:
    """Return how many tasks of a queue are worked on at once when all its living processes are busy."""
    return sum(
        worker.slots
        for worker in view.settings.workers
        if worker.queue == queue
        for name in pools.units.wanted(worker)
        if pools.units.get(name).alive
    )


def drain_s(queue: str, pools: PoolsState, view: View, service_s: float = 0.0) -> float | None:
    """Return the seconds until a queue's backlog is done; None where nobody serves it."""
    lanes = slots(queue, pools, view)
    if not lanes:
        return None
    return pools.queues.get(queue).backlog * (service_s or pools.paces.get(queue).service_ms / 1000) / lanes


def _has_room(queue: QueueSettings, pools: PoolsState, view: View) -> bool:
    return any(
        pools.queues.get(goal).backlog < view.settings.limits.queue_backlog for goal in queue.overflow_to
    )


def _move(queue: QueueSettings, state: Overflow, pools: PoolsState, view: View) -> Draft | None:
    """Return the move that evens the times at which both queues will be through, if it is worth it."""
    service_s = pools.paces.get(queue.name).service_ms / 1000
    here = drain_s(queue.name, pools, view)
    if not here or not service_s:
        return None
    found = [(drain_s(goal, pools, view), goal) for goal in queue.overflow_to]
    there, goal = min(((time, goal) for time, goal in found if time is not None), default=(0.0, ""))
    if not goal or here - there < GAIN_S:
        return None
    mine, theirs = slots(queue.name, pools, view), slots(goal, pools, view)
    # Both are through at the same time: (here - m·S/mine) = (there + m·S/theirs).
    even = int((here - there) / (service_s / mine + service_s / theirs))
    tasks = _movable(queue.name, goal, state, pools, view.timeline.now)[-min(even, AT_ONCE) :] if even else ()
    if not tasks:
        return None
    facts: dict[str, Any] = {
        "drain_s": round(here, 3),
        "goal_drain_s": round(there, 3),
        "service_s": round(service_s, 6),
        "slots": mine,
        "goal_slots": theirs,
        "even": even,
    }
    return Draft(
        rule="overflow",
        target=queue.name,
        action=MoveTasks(tasks=tuple(tasks), source=queue.name, goal=goal),
        reason="evens",
        text=f"{queue.name} takes {here:.0f} s more, {goal} {there:.0f} s: {len(tasks)} waiting tasks go there",
        inputs=facts,
        cost=max(1, len(tasks) // PER_POINT),
    )


def _movable(source: str, goal: str, state: Overflow, pools: PoolsState, now: int) -> list[str]:
    """Return the waiting tasks that may be moved, in the order in which they came: nothing goes to and fro."""
    chosen = []
    for task in pools.custody.waiting.get(source, {}):
        known = state.moved.get(task)
        back = known is not None and known.source == goal and now - known.at < NOT_BACK_US
        if known is None or (known.count < MOVES and not back):
            chosen.append(task)
    return chosen


def _batch(worker: WorkerSettings, queue: QueueSettings, pools: PoolsState) -> Draft:
    """Advise a larger batch for a handler that takes batches: the playbook's last step, never done unasked."""
    batch = min(BATCH_CAP, ceil(worker.batch * BATCH_STEP))
    return Draft(
        rule="batch",
        target=worker.name,
        action=ProposeBatch(pool=worker.name, now=worker.batch, batch=batch),
        reason="backlog",
        text=f"{worker.name} could take {batch} tasks of {queue.name} at once instead of {worker.batch}",
        inputs={"backlog": pools.queues.get(queue.name).backlog, "batch": worker.batch},
        advice=True,
    )

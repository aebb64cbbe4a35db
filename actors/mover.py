"""Takes waiting tasks to another queue: leaves one and enters the other in one atomic batch, or not at all."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from msgspec.structs import replace

from actors.feed import Subscription
from actors.follower import Follower
from actors.journal import Journal
from actors.runtime import Watcher
from actors.snapshots import Snapshots
from events.decisions import MoveTasks
from events.envelope import Recorded
from events.event import Event
from events.log import Conflict, Entry, Expect, Receipt, entry
from events.outcomes import EffectFailed, EffectVerified
from events.subjects import task_filter
from events.tasks import TaskMoved, TaskSubmitted
from projections.moves import Moves

_log = logging.getLogger("elf.mover")

Spawn = Callable[[Callable[[], Awaitable[None]]], object]
Read = Callable[[int], Awaitable[Recorded | None]]


class Mover(Follower[Moves]):
    """One move at a time for each decision; a task that somebody claimed meanwhile stays where it is."""

    def __init__(
        self,
        watcher: Watcher,
        subscribe: Callable[[Subscription], None],
        snapshots: Snapshots,
        journal: Journal,
        spawn: Spawn,
        read: Read,
        epoch: int,
    ) -> None:
        super().__init__("mover", watcher, subscribe, snapshots, Moves())
        self._journal = journal
        self._spawn = spawn
        self._read = read
        self._epoch = epoch
        self._begun: set[str] = set()

    def seen(self, event: Recorded) -> None:
        """Carry out what is open once this node leads; doing again what an earlier one began changes nothing."""
        if not self._epoch or self.position < self._epoch:
            return
        for decision, move in list(self.fold.open.items()):
            if decision not in self._begun:
                self._begun.add(decision)
                at = {task: self.fold.waiting.get(f"{move.source}/{task}", 0) for task in move.tasks}
                self._spawn(partial(self._move, decision, move, at))
        self._begun &= self.fold.open.keys()

    async def _move(self, decision: str, move: MoveTasks, at: Mapping[str, int]) -> None:
        moved = 0
        for task in move.tasks:
            try:
                moved += await self._move_one(decision, move, task, at[task])
            except Exception as problem:
                extra = {"task": task, "decision": decision}
                _log.warning("%s stays in %s: %s", task, move.source, problem, extra=extra)
        told: Event
        if moved:
            detail = f"{moved} of {len(move.tasks)} tasks went from {move.source} to {move.goal}"
            told = EffectVerified(decision=decision, target=move.source, detail=detail)
        else:
            told = EffectFailed(
                decision=decision, target=move.source, error="none of the tasks waits any more"
            )
        self._journal.write(told, cause=decision)

    async def _move_one(self, decision: str, move: MoveTasks, task: str, position: int) -> bool:
        found = await self._read(position) if position else None
        if found is None or not isinstance(found.body, TaskSubmitted):
            return False
        reason = f"{move.source} overflows"
        left = TaskMoved(task=task, queue=move.source, to=move.goal, reason=reason)
        entered = replace(found.body, queue=move.goal)
        there = Expect(task_filter(move.source, task), position)
        fresh = Expect(task_filter(move.goal, task), 0)
        result = await self._append(
            [
                entry(self._journal.envelope(left, id=f"{decision}-{task}-left", cause=decision), there),
                entry(
                    self._journal.envelope(
                        entered, id=f"{decision}-{task}-entered", cause=decision, trace=found.trace
                    ),
                    fresh,
                ),
            ]
        )
        if isinstance(result, Receipt):
            return True
        if not isinstance(result, Conflict):
            raise result
        return False

    async def _append(self, entries: Sequence[Entry]) -> Receipt | Exception:
        told: asyncio.Future[Receipt | Exception] = asyncio.get_running_loop().create_future()
        self._journal.append(entries, lambda result: None if told.done() else told.set_result(result))
        return await told

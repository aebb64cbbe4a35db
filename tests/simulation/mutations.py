"""Bugs put in on purpose: the simulation must find each of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from actors.audit import _Auditor
from actors.elves.decider import Decider
from actors.elves.deliberation import deliberate, fold, is_trigger
from actors.executor import Executor
from actors.executor_orders import TakeOver
from actors.worker import WorkerActor
from events.decisions import Decided
from events.envelope import Recorded
from events.event import Event
from events.log import Receipt
from tests.simulation.machine import Machine


@contextlib.contextmanager
def _instead(owner: type, name: str, other: Any) -> Iterator[None]:
    kept = getattr(owner, name)
    setattr(owner, name, other)
    try:
        yield
    finally:
        setattr(owner, name, kept)


def decide_before_the_predecessor_is_folded() -> AbstractContextManager[None]:
    """The elf does not wait until it has read its own last batch."""

    def take(self: Decider, event: Recorded) -> list[Decided]:
        fold(self.policy, self.mind, event)
        if not self._leads(event) or not is_trigger(self.policy, event):
            return []
        return deliberate(self.policy, self.mind, event.position)

    return _instead(Decider, "take", take)


def act_before_the_order_is_durable() -> AbstractContextManager[None]:
    """The process is started while the order to start it is on its way to the log."""

    def write(self: WorkerActor, then: Callable[[], None], *bodies: Event) -> None:
        self._journal.write(*bodies, cause=self._doing, done=lambda _: None)
        then()

    return _instead(WorkerActor, "write", write)


def batch_in_flight_outlives_its_epoch() -> AbstractContextManager[None]:
    """Replay goes on waiting for a batch of a node that is dead."""
    original = _Auditor.take

    def take(self: _Auditor, event: Recorded) -> None:
        before = self._in_flight_until
        original(self, event)
        self._in_flight_until = max(before, self._in_flight_until)

    return _instead(_Auditor, "take", take)


def executor_takes_its_place_for_its_epoch() -> AbstractContextManager[None]:
    """A restarted executor believes to lead since the position that it waits for."""
    original = Executor.handle

    def handle(self: Executor, message: Any) -> Any:
        if isinstance(message, TakeOver):
            message = TakeOver(max(message.epoch, message.behind), message.done)
        return original(self, message)

    return _instead(Executor, "handle", handle)


def receipts_are_not_looked_at() -> AbstractContextManager[None]:
    """What the log did not take is dropped."""
    from actors.journal import Journal

    def until_stored(self: Journal, entries: Any) -> Callable[[Receipt | Exception], None]:
        return lambda _: None

    return _instead(Journal, "_until_stored", until_stored)


def nobody_is_swept() -> AbstractContextManager[None]:
    """Children of an older generation go on beside a new one."""
    return _instead(Machine, "sweep", lambda *_: [])


# The name, a seed that found it (tried first, which saves the search), whether runners acknowledge early, and what else
# is changed.
MUTATIONS: tuple[tuple[str, int, bool, Callable[[], AbstractContextManager[None]]], ...] = (
    ("decide before the predecessor is folded", 0, False, decide_before_the_predecessor_is_folded),
    ("act before the order is durable", 0, False, act_before_the_order_is_durable),
    ("acknowledge before the result is stored", 17, True, nullcontext),
    ("a batch in flight outlives its epoch", 11, False, batch_in_flight_outlives_its_epoch),
    ("the executor takes its place for its epoch", 4, False, executor_takes_its_place_for_its_epoch),
    ("receipts are not looked at", 29, False, receipts_are_not_looked_at),
    ("nobody is swept", 0, False, nobody_is_swept),
)

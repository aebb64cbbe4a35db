"""The one shell for all elves: feeds events to a pure policy and writes its decisions, one batch in flight."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec import Struct

from actors.clock import Clock
from actors.elves import Policy
from actors.elves.decider import Decider
from actors.elves.deliberation import decision_id, due_of
from actors.feed import Chunk, Subscription
from actors.journal import Journal, fenced
from actors.runtime import Actor, Watcher, tell
from actors.snapshots import Snapshots
from events.envelope import Recorded
from events.log import Conflict, Entry, LogFull, LogUnreachable, Receipt, entry
from events.observations import DeciderResumed, LeaseTaken
from events.outcomes import Checkpointed
from events.subjects import LEASE

_log = logging.getLogger("elf.elf")

CHECKPOINT_EVERY = 10_000
_AGAIN_S = 1.0


class Written(Struct, frozen=True):
    """What became of a batch; an answer that comes late may be to one that was read meanwhile."""

    batch: list[Entry]
    result: Receipt | Exception


class Due(Struct, frozen=True):
    """An elf's answer changes at this forest time without any event."""

    elf: str
    at: int


class ElfActor(Actor):
    """One elf. It acts on the log only: what it decides it knows only when it reads it."""

    def __init__(
        self,
        watcher: Watcher,
        policy: Policy[Any],
        journal: Journal,
        clock: Clock,
        snapshots: Snapshots,
        subscribe: Callable[[Subscription], None],
        due: Callable[[Due], None],
        lost: Callable[[str], None],
        epoch: int = 0,
        resumes: tuple[int, str] | None = None,
    ) -> None:
        super().__init__(policy.name, watcher)
        self._policy = policy
        self._journal = journal
        self._clock = clock
        self._snapshots = snapshots
        self._subscribe = subscribe
        self._tell_due = due
        self._lost = lost
        self._epoch = epoch
        self._resumes = resumes
        self._batch: list[Entry] = []
        self._due = 0
        self._subscription: Subscription
        self._decider: Decider

    def begin(self) -> None:
        """Restore the snapshot and ask for the events behind it."""
        after, error = self._resumes or (None, "")
        self._decider = Decider(self._policy, self._snapshots.load(self._policy), self._epoch, after)
        self.position = self._decider.position
        ref = self.actor_ref
        self._subscription = Subscription(self.name, self.position, lambda chunk: tell(ref, chunk))
        self._subscribe(self._subscription)
        # What a predecessor still had to say it will not say any more.
        self._journal.forgive(f"{self.name}/")
        if after is not None:
            resumed = self._journal.envelope(DeciderResumed(elf=self.name, after=after, error=error[:300]))
            # A batch of the one that failed may be on its way: it must be read before anything new is decided.
            self._journal.append([entry(resumed)], behind=True)

    def handle(self, message: Any) -> Any:
        """Take events and receipts."""
        match message:
            case Chunk(events=events):
                for event in events:
                    self._take(event)
                self._subscription.taken = self.position
                self._say_due()
            case Written(result=result, batch=batch):
                if batch is self._batch:
                    self._written(result)
                else:
                    self._journal.paid(self._debt(batch))
            case "again":
                self._append()
            case _:
                return super().handle(message)
        return None

    def _take(self, event: Recorded) -> None:
        decisions = self._decider.take(event)
        self.position = event.position
        if decisions:
            self._batch = [
                fenced(self._journal.envelope(decided, id=decision_id(decided)), LEASE, self._epoch)
                for decided in decisions
            ]
            self._append()
        elif not self._decider.waiting:
            self._batch = []
        if isinstance(event.body, LeaseTaken) and 0 < self._decider.epoch < event.position:
            self._give_way(f"{event.body.holder} took the lease at position {event.position}")
        if event.position % CHECKPOINT_EVERY == 0:
            self._checkpoint()

    def _give_way(self, why: str) -> None:
        """Decide nothing more: somebody else leads."""
        self._decider.step_down()
        self._batch = []
        self._journal.forgive(f"{self.name}/")
        self._lost(why)

    def _append(self) -> None:
        if self._batch:
            self._journal.append(self._batch, partial(self._pass, self.actor_ref, self._batch))

    def _pass(self, ref: Any, batch: list[Entry], result: Receipt | Exception) -> None:
        """On the bus: whether all is said must be known before anything else is written."""
        debt = self._debt(batch)
        (self._journal.owe if isinstance(result, LogFull) else self._journal.paid)(debt)
        if not tell(ref, Written(batch, result)):
            self._journal.paid(debt)

    def _debt(self, batch: list[Entry]) -> str:
        return f"{self.name}/{batch[0].envelope.id}"

    def _written(self, result: Receipt | Exception) -> None:
        if isinstance(result, Receipt):
            return
        if isinstance(result, Conflict):
            self._give_way(f"{self.name}: {result}")
            return
        if isinstance(result, LogUnreachable):
            # Whether they stand is to be read and not guessed: the log knows ids for two minutes only.
            raise result
        # No room: the same decisions are said again; their ids make that harmless.
        said = "%s cannot write its decisions: %s"
        _log.warning(said, self.name, result, extra={"position": self.position})
        ref = self.actor_ref
        self._clock.later(_AGAIN_S, lambda: _again(ref))

    def _say_due(self) -> None:
        if not self._decider.epoch:
            return
        due = due_of(self._policy, self._decider.mind)
        if due != self._due:
            self._due = due
            self._tell_due(Due(self.name, due))

    def _checkpoint(self) -> None:
        digest = self._snapshots.save(self._policy.name, self._decider.mind)
        if self._decider.epoch == self._decider.mind.view.timeline.epoch:
            self._journal.write(Checkpointed(elf=self.name, as_of=self.position, digest=digest))

    def end(self) -> None:
        """Keep what is known for the next start."""
        if hasattr(self, "_decider") and self._decider.position == self.position:
            self._snapshots.save(self._policy.name, self._decider.mind)


def _again(ref: Any) -> None:
    tell(ref, "again")

"""A follower that also carries out what it finds in the log, once it knows all that was done before it."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from actors.clock import Clock
from actors.feed import Subscription
from actors.follower import F, Follower
from actors.journal import Journal
from actors.runtime import Down, Watcher, tell
from actors.snapshots import Snapshots
from events.envelope import Recorded
from events.log import Receipt, entry
from events.observations import DeciderResumed

_AGAIN_S = 1.0
# The lease stands at the epoch; behind it follow, in the same batch, who started and with which settings.
_LEASE_BATCH = 2


class Lead(Struct, frozen=True):
    """What a doer needs of its node: its pen, its clock, since when it leads, and how the one before it failed."""

    journal: Journal
    clock: Clock
    epoch: int
    down: Down | None = None


class _Behind(Struct, frozen=True):
    position: int


class Doer(Follower[F]):
    """`take_over` settles what was left open, `carry_out` sees every event from then on."""

    def __init__(
        self,
        name: str,
        watcher: Watcher,
        subscribe: Callable[[Subscription], None],
        snapshots: Snapshots,
        blank: F,
        lead: Lead,
    ) -> None:
        super().__init__(name, watcher, subscribe, snapshots, blank)
        self.journal = lead.journal
        self.clock = lead.clock
        self.leads = False
        self._down = lead.down
        self._behind = 0 if lead.down else lead.epoch + _LEASE_BATCH

    def begin(self) -> None:
        """After a failure, say so: what the failed one had written stands before that."""
        super().begin()
        if self._down:
            self._say_resumed(self._down)

    def handle(self, message: Any) -> Any:
        """Take events and the place behind which to take over."""
        if isinstance(message, _Behind):
            self._behind = message.position
            self._maybe()
            return None
        return super().handle(message)

    def seen(self, event: Recorded) -> None:
        """Carry out what stands behind the take-over."""
        if self.leads:
            self.carry_out(event)
        else:
            self._maybe()

    def take_over(self) -> None:
        """Settle what the log holds open."""

    def carry_out(self, event: Recorded) -> None:
        """Do what an event asks for; it is folded already."""

    def tell_me(self, message: object) -> None:
        """Send a message to this actor from any thread."""
        tell(self.actor_ref, message)

    def _maybe(self) -> None:
        if self._behind and not self.leads and self.position >= self._behind:
            self.leads = True
            self.take_over()

    def _say_resumed(self, down: Down) -> None:
        resumed = DeciderResumed(elf=self.name, after=down.position, error=down.error[:300])
        envelope = self.journal.envelope(resumed)
        ref = self.actor_ref

        def said(result: Receipt | Exception) -> None:
            if isinstance(result, Receipt):
                tell(ref, _Behind(result.positions[-1]))
            else:
                self.clock.later(_AGAIN_S, again)

        def again() -> None:
            self.journal.append([entry(envelope)], said, behind=True)

        again()

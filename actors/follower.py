"""An actor whose knowledge is one fold of the log: restored from a snapshot, followed, kept for the next start."""

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

from actors.feed import Chunk, Subscription
from actors.runtime import Actor, Watcher, tell
from actors.snapshots import EVERY, Snapshots
from events.envelope import Recorded


class Fold(Protocol):
    """A pure fold that moves its position last, so that one cut short is recognised."""

    position: int

    def apply(self, event: Recorded) -> None:
        """Take one event."""


F = TypeVar("F", bound=Fold)


class Follower(Actor, Generic[F]):
    """Folds every event from its snapshot on; `seen` is what else an event asks for."""

    def __init__(
        self,
        name: str,
        watcher: Watcher,
        subscribe: Callable[[Subscription], None],
        snapshots: Snapshots,
        blank: F,
    ) -> None:
        super().__init__(name, watcher)
        self._subscribe = subscribe
        self._snapshots = snapshots
        self.fold = blank
        self._subscription: Subscription

    def begin(self) -> None:
        """Restore the snapshot and ask for the events behind it."""
        kind: Any = type(self.fold)
        kept = self._snapshots.restore(self.name, kind)
        if kept:
            self.fold, self.position = kept
        ref = self.actor_ref
        self._subscription = Subscription(self.name, self.position, lambda chunk: tell(ref, chunk))
        self._subscribe(self._subscription)

    def handle(self, message: Any) -> Any:
        """Take events; everything else is the heir's."""
        if not isinstance(message, Chunk):
            return super().handle(message)
        for event in message.events:
            self.position = event.position
            self.fold.apply(event)
            if event.position % EVERY == 0:
                self._keep()
            self.seen(event)
        self._subscription.taken = self.position
        return None

    def seen(self, event: Recorded) -> None:
        """Do what an event asks for beyond being known; it is folded already."""

    def end(self) -> None:
        """Keep what is known for the next start, unless an event was taken in half."""
        if self.position and self.fold.position == self.position:
            self._keep()

    def _keep(self) -> None:
        state: Struct = self.fold  # type: ignore[assignment]  # folds are structs; a protocol cannot say so
        self._snapshots.keep(self.name, self.position, state)

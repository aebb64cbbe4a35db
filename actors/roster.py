"""Keeps the page of what is now, and hands it out."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from actors.clock import Clock
from actors.feed import Chunk, Subscription
from actors.runtime import Actor, Watcher, tell
from actors.snapshots import EVERY, Snapshots
from projections.status import Status


class Show(Struct, frozen=True):
    """Asks for the page; `reply` gets it."""

    reply: Callable[[dict[str, Any]], None]


class Roster(Actor):
    """Folds the log into `projections.status.Status`."""

    def __init__(
        self,
        watcher: Watcher,
        clock: Clock,
        subscribe: Callable[[Subscription], None],
        snapshots: Snapshots,
    ) -> None:
        super().__init__("roster", watcher)
        self._clock = clock
        self._subscribe = subscribe
        self._snapshots = snapshots
        self._status = Status()
        self._subscription: Subscription

    def begin(self) -> None:
        """Restore the snapshot and ask for the events behind it."""
        kept = self._snapshots.restore(self.name, Status)
        if kept:
            self._status, self.position = kept
        ref = self.actor_ref
        self._subscription = Subscription(self.name, self.position, lambda chunk: tell(ref, chunk))
        self._subscribe(self._subscription)

    def handle(self, message: Any) -> Any:
        """Take events and questions."""
        match message:
            case Chunk(events=events):
                for event in events:
                    self._status.apply(event)
                    self.position = event.position
                    if event.position % EVERY == 0:
                        self._keep()
                self._subscription.taken = self.position
            case Show(reply=reply):
                reply(self._status.page(self._clock.now()) | {"position": self.position})
            case _:
                return super().handle(message)
        return None

    def _keep(self) -> None:
        self._snapshots.keep(self.name, self.position, self._status)

    def end(self) -> None:
        """Keep what is known for the next start, unless an event was taken in half."""
        if self.position and self._status.timeline.position == self.position:
            self._keep()

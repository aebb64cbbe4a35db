"""Keeps the page of what is now, and hands it out."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from actors.clock import Clock
from actors.feed import Chunk, Subscription
from actors.runtime import Actor, Watcher, tell
from projections.status import Status


class Show(Struct, frozen=True):
    """Asks for the page; `reply` gets it."""

    reply: Callable[[dict[str, Any]], None]


class Roster(Actor):
    """Folds the log into `projections.status.Status`."""

    def __init__(self, watcher: Watcher, clock: Clock, subscribe: Callable[[Subscription], None]) -> None:
        super().__init__("roster", watcher)
        self._clock = clock
        self._subscribe = subscribe
        self._status = Status()
        self._subscription: Subscription

    def begin(self) -> None:
        """Ask for the log from its beginning."""
        ref = self.actor_ref
        self._subscription = Subscription(self.name, 0, lambda chunk: tell(ref, chunk))
        self._subscribe(self._subscription)

    def handle(self, message: Any) -> Any:
        """Take events and questions."""
        match message:
            case Chunk(events=events):
                for event in events:
                    self._status.apply(event)
                self.position = events[-1].position
                self._subscription.taken = self.position
            case Show(reply=reply):
                reply(self._status.page(self._clock.now()) | {"position": self.position})
            case _:
                return super().handle(message)
        return None

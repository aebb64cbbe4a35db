"""Keeps the page of what is now, and hands it out."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from actors.clock import Clock
from actors.feed import Subscription
from actors.follower import Follower
from actors.runtime import Watcher
from actors.snapshots import Snapshots
from projections.status import Status


class Show(Struct, frozen=True):
    """Asks for the page; `reply` gets it."""

    reply: Callable[[dict[str, Any]], None]


class Roster(Follower[Status]):
    """Folds the log into `projections.status.Status`."""

    def __init__(
        self,
        watcher: Watcher,
        clock: Clock,
        subscribe: Callable[[Subscription], None],
        snapshots: Snapshots,
    ) -> None:
        super().__init__("roster", watcher, subscribe, snapshots, Status())
        self._clock = clock

    def handle(self, message: Any) -> Any:
        """Take events and questions."""
        if not isinstance(message, Show):
            return super().handle(message)
        message.reply(self.fold.page(self._clock.now()) | {"position": self.position})
        return None

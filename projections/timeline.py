"""Who leads and what time it is in the forest: both follow from the log alone."""

from msgspec import Struct

from events.envelope import Recorded
from events.observations import LeaseTaken, NodeStopping


class Timeline(Struct):
    """Forest time (microseconds) is the running maximum of the times that the lease holder wrote.

    Only this time may be used by folds and policies; other writers' clocks are information.
    """

    position: int = 0
    epoch: int = 0
    holder: str = ""
    now: int = 0
    stopping: bool = False

    def apply(self, event: Recorded) -> None:
        """Fold one event."""
        self.position = event.position
        body = event.body
        if isinstance(body, LeaseTaken):
            self.epoch = event.position
            self.holder = body.holder
            self.stopping = False
        elif isinstance(body, NodeStopping) and body.node == self.holder:
            self.stopping = True
        if event.time > self.now and event.source == f"node.{self.holder}":
            self.now = event.time

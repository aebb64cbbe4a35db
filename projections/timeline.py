"""Who leads and what time it is in the forest: both follow from the log alone."""

from msgspec import Struct

from events.envelope import Recorded
from events.observations import LeaseTaken, NodeStopping, Resumed, StoodBy

_TURNS = frozenset({LeaseTaken, NodeStopping, StoodBy, Resumed})


class Timeline(Struct):
    """Forest time (microseconds) is the running maximum of the times that the lease holder wrote.

    Only this time may be used by folds and policies; other writers' clocks are information. While the disk is
    `full` nobody decides.
    """

    position: int = 0
    epoch: int = 0
    holder: str = ""
    now: int = 0
    stopping: bool = False
    full: bool = False

    def apply(self, event: Recorded) -> None:
        """Fold one event."""
        self.position = event.position
        if type(event.body) in _TURNS:
            self._turn(event)
        if event.time > self.now and event.source.startswith("node.") and event.source[5:] == self.holder:
            self.now = event.time

    def _turn(self, event: Recorded) -> None:
        body = event.body
        if isinstance(body, LeaseTaken):
            self.epoch = event.position
            self.holder = body.holder
            self.stopping = self.full = False
        elif isinstance(body, NodeStopping) and body.node == self.holder:
            self.stopping = True
        elif isinstance(body, StoodBy | Resumed) and body.node == self.holder:
            self.full = isinstance(body, StoodBy)

"""What a node does about a full disk: says so in the log, starts a stuck server again, goes on afterwards."""

import signal
from collections.abc import Callable

from actors.bus import Bus
from actors.ground import Ground
from actors.journal import Journal
from actors.nats_server import limit_stream
from actors.room import Said
from events.log import Receipt
from events.observations import Resumed, StoodBy


class Standby:
    """The hands of `Room`."""

    def __init__(self, ground: Ground, bus: Bus, journal: Journal, resumed: Callable[[], None]) -> None:
        self._ground = ground
        self._bus = bus
        self._journal = journal
        self._resumed = resumed

    def write(self, body: StoodBy | Resumed, said: Said) -> None:
        """See `Hands.write`."""
        self._journal.write(body, done=lambda result: said(isinstance(result, Receipt)))

    def restart_server(self, by_force: bool) -> None:
        """See `Hands.restart_server`; the node starts what ended."""
        self._ground.signal_server(signal.SIGKILL if by_force else signal.SIGTERM)

    def limit(self, spare: int) -> None:
        """See `Hands.limit`; a server that somebody else runs has its own limits."""
        if self._ground.owns_server:
            self._bus.spawn(lambda: limit_stream(self._bus.connection, spare))

    def resumed(self) -> None:
        """See `Hands.resumed`."""
        self._resumed()

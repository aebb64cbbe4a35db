"""What a node does when the ground under it gives way: another server, another keeper, nothing else restarted."""

import logging
import threading
from collections.abc import Callable

from actors.bus import Bus
from actors.executor_orders import Orphaned
from actors.ground import NATS_UNIT, Ground
from actors.journal import Journal
from actors.keeper_client import Exit
from actors.single_entry import TAKEN
from events.observations import KeeperReplaced

_log = logging.getLogger("elf.node")


class Upkeep:
    """Called by the keeper's threads. `ending` says that the node ends in order, `fatal` that it cannot go on."""

    def __init__(
        self,
        node: str,
        ground: Ground,
        bus: Bus,
        journal: Journal,
        tell: Callable[[str, object], bool],
        ending: Callable[[], bool],
        fatal: Callable[[], bool],
    ) -> None:
        self._node = node
        self._ground = ground
        self._bus = bus
        self._journal = journal
        self._tell = tell
        self._ending = ending
        self._fatal = fatal
        self._server_wishes = 0

    def watch(self) -> None:
        """Begin to hear of every end."""
        self._ground.watch(self.exited, self._keeper_lost)

    def exited(self, ended: Exit) -> None:
        """Take the end of a process."""
        if ended.unit == NATS_UNIT:
            if not self._ending():
                self._bus.later(0.5 if ended.code == TAKEN else 0.0, self._server_again)
            return
        self._tell("executor", ended)

    def _server_again(self) -> None:
        """nats-server is ground, not a unit: without it nothing could be decided about it."""

        self._server_wishes += 1
        wish = self._server_wishes

        def start() -> None:
            # A new node hears of all ends there ever were: the last wish is enough.
            if wish != self._server_wishes:
                return
            try:
                self._ground.start_server()
            except Exception as problem:
                _log.error("nats-server does not start: %s", problem)
                self._bus.later(1.0, self._server_again)

        threading.Thread(target=start, name="elf-nats-start").start()

    def _keeper_lost(self) -> None:
        """Another keeper takes the place of one that is gone; what lived under it lives on."""
        if self._ground.leaving or self._fatal():
            return
        try:
            self._ground.renew()
            self.watch()
        except OSError as problem:
            _log.error("no keeper: %s", problem)
            self._bus.later(
                1.0, lambda: threading.Thread(target=self._keeper_lost, name="elf-keeper-again").start()
            )
            return
        pid = self._ground.keeper.identity.pid
        _log.warning("the keeper was gone; a new one (pid %s) takes its place, nothing is restarted", pid)
        self._journal.write(KeeperReplaced(node=self._node, pid=pid))
        self._tell("executor", Orphaned())
        if not self._ending():
            # It may have ended in the moment that had no keeper; while it lives this does nothing.
            self._server_again()

"""Tells people what concerns them: every channel for itself, so that a slow or dead one keeps nobody waiting."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from actors.channels import NotSent, Sender
from actors.doer import Doer, Lead
from actors.feed import Subscription
from actors.runtime import Watcher
from actors.snapshots import Snapshots
from events.envelope import Recorded
from events.jobs import Notified
from events.observations import NodeStopping
from projections.outbox import Notice, Outbox

_log = logging.getLogger("elf.notifier")

# So many messages go out as one; so long a message is tried.
TOGETHER = 20
GIVE_UP_US = 24 * 3_600_000_000
_LONGEST_WAIT_S = 300.0


class _Sent(Struct, frozen=True):
    channel: str
    notices: Sequence[Notice]
    error: str


class _Again(Struct, frozen=True):
    channel: str


class Notifier(Doer[Outbox]):
    """At most one send under way for each channel; what waits is in the log."""

    def __init__(
        self,
        watcher: Watcher,
        subscribe: Callable[[Subscription], None],
        snapshots: Snapshots,
        lead: Lead,
        sender: Callable[[str], Sender | None],
    ) -> None:
        """`sender(channel)` is None for a channel that the configuration in force does not have."""
        super().__init__("notifier", watcher, subscribe, snapshots, Outbox(), lead)
        self._sender = sender
        self._busy: set[str] = set()
        self._sent: dict[str, set[str]] = {}
        self._tries: dict[str, int] = {}
        self._ending = False

    def handle(self, message: Any) -> Any:
        """Take events and what became of sends."""
        match message:
            case _Sent(channel=channel, notices=notices, error=error):
                self._settle(channel, notices, error)
            case _Again(channel=channel):
                self._busy.discard(channel)
                self._send(channel)
            case _:
                return super().handle(message)
        return None

    def take_over(self) -> None:
        """Send what nobody saw sent."""
        for channel in list(self.fold.waiting):
            sender = self._sender(channel)
            if sender:
                sender.stop()
            self._send(channel)

    def end(self) -> None:
        """What is under way is sent again by whoever comes next."""
        super().end()
        self._ending = True
        for channel in self._busy:
            sender = self._sender(channel)
            if sender:
                sender.stop()

    def carry_out(self, event: Recorded) -> None:
        """Send what waits by now."""
        if isinstance(event.body, NodeStopping):
            self._ending = True
        if isinstance(event.body, Notified):
            self._sent.get(event.body.channel, set()).discard(event.body.notice)
        for channel in self.fold.waiting:
            self._send(channel)

    def _send(self, channel: str) -> None:
        if self._ending or channel in self._busy:
            return
        known = self._sent.setdefault(channel, set())
        notices = [each for key, each in self.fold.waiting.get(channel, {}).items() if key not in known]
        sender = self._sender(channel) if notices else None
        if sender is None:
            return
        self._busy.add(channel)
        some, dropped = notices[:TOGETHER], self.fold.dropped.get(channel, 0)
        threading.Thread(
            target=lambda: self.tell_me(_Sent(channel, some, _try(sender, some, dropped))),
            name=f"elf-notify-{channel}",
            daemon=True,
        ).start()

    def _settle(self, channel: str, notices: Sequence[Notice], error: str) -> None:
        tries = self._tries.get(channel, 0) + 1
        now = self.clock.now()
        over = [each for each in notices if not error or now - each.time >= GIVE_UP_US]
        for each in over:
            self._sent[channel].add(each.id)
            said = Notified(channel=channel, notice=each.id, ok=not error, attempts=tries, error=error)
            self.journal.write(said, cause=each.id)
        if not error:
            self._tries.pop(channel, None)
            self._busy.discard(channel)
            self._send(channel)
            return
        self._tries[channel] = tries
        wait = min(_LONGEST_WAIT_S, 2.0 ** min(tries - 1, 12))
        _log.warning("channel %s: %s; tried again in %g s", channel, error, wait)
        self.clock.later(wait, lambda: self.tell_me(_Again(channel)))


def _try(sender: Sender, notices: Sequence[Notice], dropped: int) -> str:
    try:
        sender.send(notices, dropped)
    except NotSent as problem:
        return str(problem)
    except Exception as problem:
        return f"{type(problem).__name__}: {problem}"
    return ""

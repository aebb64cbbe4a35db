"""One reader of the log for all actors: each gets every event from its own position on, in order, without a gap."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence

from msgspec import Struct

from actors.bus import Bus
from actors.jetstream import Reader
from events.envelope import Recorded
from events.subjects import LOG
from projections.segments import Segments

_log = logging.getLogger("elf.feed")

# So far may the slowest actor stay behind, in events and in bytes, before reading pauses: a bound on the memory that
# mailboxes hold. It is more than the projector takes at once.
_LAG = 750
_LAG_BYTES = 16 * 1024 * 1024
# So many may be on their way from the server meanwhile.
_CREDIT = 250


class Chunk(Struct, frozen=True):
    """Consecutive events of the log."""

    events: Sequence[Recorded]


class Subscription:
    """One actor's place in the log. `taken` is set by the actor, `sent` by the feed."""

    def __init__(self, name: str, after: int, deliver: Callable[[Chunk], bool]) -> None:
        self.name = name
        self.sent = after
        self.taken = after
        self.deliver = deliver
        self.joined = False

    def send(self, events: Sequence[Recorded]) -> bool:
        """Deliver what lies behind the actor's place; False when the actor is gone."""
        if events[0].position <= self.sent:
            events = [event for event in events if event.position > self.sent]
            if not events:
                return True
        self.sent = events[-1].position
        return self.deliver(Chunk(events))


class Window:
    """What has been handed out and not been taken by everybody yet."""

    def __init__(self, taken: int = 0) -> None:
        self._last = taken
        self._chunks: deque[tuple[int, int]] = deque()
        self._bytes = 0

    def add(self, events: Sequence[Recorded]) -> None:
        """Count one chunk."""
        size = sum(len(event.data) for event in events)
        self._last = events[-1].position
        self._chunks.append((self._last, size))
        self._bytes += size

    def is_full(self, taken: int) -> bool:
        """Tell whether more than the limit lies behind what all have taken."""
        while self._chunks and self._chunks[0][0] <= taken:
            self._bytes -= self._chunks.popleft()[1]
        return self._last - taken > _LAG or self._bytes > _LAG_BYTES


class Feed:
    """Reads once and hands on. `subscribe` may be called from any thread; the rest lives on the bus."""

    def __init__(self, bus: Bus, failed: Callable[[str], None], segments: Segments | None = None) -> None:
        self._bus = bus
        self._segments = segments
        self._failed = failed
        self._subscriptions: dict[str, Subscription] = {}
        self.position = 0
        self._reading = False
        self._window = Window()
        self._moved = asyncio.Event()

    def subscribe(self, subscription: Subscription) -> None:
        """Begin to deliver; a subscription of the same name is replaced."""
        self._bus.call(lambda: self._add(subscription))

    def _add(self, subscription: Subscription) -> None:
        self._subscriptions[subscription.name] = subscription
        if self._reading and subscription.sent < self.position:
            self._bus.spawn(lambda: self._catch_up(subscription))
        else:
            subscription.joined = True

    async def start_with(self, names: set[str], before: Callable[[], object] = lambda: None) -> None:
        """Begin to read once all these have subscribed, from where the one farthest back stands.

        `before` is called when everybody is there and nobody has read anything.
        """
        while not names <= set(self._subscriptions):
            await asyncio.sleep(0.001)
        before()
        self.position = min(item.sent for item in self._subscriptions.values())
        # From here on a subscription that is behind must catch up by itself.
        self._reading = True
        self._bus.spawn(self._read)

    async def _read(self) -> None:
        try:
            async for events in self._from(self.position):
                self.position = events[-1].position
                self._window.add(events)
                moved, self._moved = self._moved, asyncio.Event()
                moved.set()
                for subscription in list(self._subscriptions.values()):
                    if subscription.joined and not subscription.send(events):
                        self._drop(subscription)
                await self._wait_for_the_slowest()
        except asyncio.CancelledError:
            raise
        except Exception as problem:
            _log.exception("the log cannot be read")
            self._failed(f"the log cannot be read: {problem}")

    async def _catch_up(self, subscription: Subscription) -> None:
        reading = self._from(subscription.sent)
        window = Window(subscription.sent)
        try:
            async for events in reading:
                if self._subscriptions.get(subscription.name) is not subscription:
                    return
                if not subscription.send(events):
                    self._drop(subscription)
                    return
                if subscription.sent >= self.position:
                    subscription.joined = True
                    return
                window.add(events)
                while window.is_full(subscription.taken):
                    await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            raise
        except Exception as problem:
            _log.exception("%s cannot read what it missed", subscription.name)
            self._failed(f"{subscription.name} cannot read what it missed: {problem}")
        finally:
            await reading.aclose()

    async def _from(self, after: int) -> AsyncGenerator[Sequence[Recorded], None]:
        """Yield everything behind a position: what is sealed from its segments, the rest from the stream."""
        if self._segments and after < self._segments.last:
            sealed = self._segments.events(after)
            while (events := await asyncio.to_thread(next, sealed, None)) is not None:
                yield events
                after = events[-1].position
        reader = Reader(self._bus.connection, LOG, after, credit=_CREDIT)
        try:
            async for events in reader.read():
                yield events
        except GeneratorExit:
            # Whoever was behind has caught up; at the node's end the consumer goes by itself.
            await reader.close()
            raise

    async def beyond(self, position: int, seconds: float) -> None:
        """Wait until something stands behind a position and everybody was told, or so long."""
        try:
            async with asyncio.timeout(seconds):
                while self.position <= position:
                    await self._moved.wait()
        except TimeoutError:
            return

    def _drop(self, subscription: Subscription) -> None:
        if self._subscriptions.get(subscription.name) is subscription:
            del self._subscriptions[subscription.name]

    async def _wait_for_the_slowest(self) -> None:
        while self._window.is_full(
            min((item.taken for item in self._subscriptions.values() if item.joined), default=self.position)
        ):
            await asyncio.sleep(0.005)

    async def told(self, name: str, position: int, unless: Callable[[], bool]) -> None:
        """Wait until an actor has taken everything up to a position, or until `unless`."""
        while not unless():
            found = self._subscriptions.get(name)
            if found and found.taken >= position:
                return
            await asyncio.sleep(0.002)

    def slowest(self) -> int:
        """Return how far everybody has been sent: below it nobody reads the stream any more."""
        return min((item.sent for item in self._subscriptions.values()), default=0)

    def lags(self) -> dict[str, int]:
        """Return by how many positions each actor is behind the reader."""
        return {name: self.position - item.taken for name, item in list(self._subscriptions.items())}

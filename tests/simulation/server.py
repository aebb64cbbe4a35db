"""The log's server in memory, with the weather it stands in; a line to it; a reader; the node's bus on top."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from actors.bus import Bus
from actors.jetstream import JetStreamLog
from actors.recorder import Recorder
from events.envelope import Recorded
from events.log import Conflict, Entry, LogFull, LogUnreachable, MemoryLog, Receipt
from tests.simulation.agenda import Agenda
from tests.simulation.loop import StepLoop

_DUPLICATES_S = 120.0
_ANSWER_S = 5.0


class Weather:
    """How bad it is. All zero and False is calm."""

    def __init__(self) -> None:
        self.lose = 0.0
        self.lose_answer = 0.0
        self.write_s = 0.002
        self.down = False
        self.full = False
        self.again = 0.0

    def calm(self) -> None:
        """Let all faults end."""
        self.__init__()  # type: ignore[misc]


class Server:
    """Stores what comes, in the order it comes; knows ids for two minutes, as the real one."""

    def __init__(self, agenda: Agenda, weather: Weather) -> None:
        self.agenda = agenda
        self.weather = weather
        self.memory = MemoryLog()
        self.acknowledged: list[tuple[str, int]] = []
        self._since: dict[str, float] = {}
        self._readers: list[Callable[[], None]] = []

    def store(self, batch: Sequence[Entry]) -> Receipt:
        """Take a batch. Raises Conflict or LogFull."""
        if self.weather.full:
            raise LogFull("expected room, got none")
        for item in batch:
            since = self._since.get(item.envelope.id)
            if since is not None and self.agenda.now - since > _DUPLICATES_S:
                del self.memory._ids[item.envelope.id]
                del self._since[item.envelope.id]
        before = len(self.memory.events)
        receipt = self.memory.take(batch)
        for event in self.memory.events[before:]:
            self._since[event.id] = self.agenda.now
        if len(self.memory.events) > before:
            for wake in list(self._readers):
                wake()
        return receipt

    def hear(self, wake: Callable[[], None]) -> None:
        """Call `wake` when there is something new."""
        self._readers.append(wake)

    def forget(self, wake: Callable[[], None]) -> None:
        """Call it no more."""
        if wake in self._readers:
            self._readers.remove(wake)


class Line(JetStreamLog):
    """One connection: requests arrive in order, answers may not come. Goes with its loop."""

    def __init__(self, server: Server, loop: StepLoop) -> None:
        self._server = server
        self._loop = loop
        self._last_arrival = 0.0

    async def append(self, batch: Sequence[Entry]) -> Receipt:
        """See `EventLog.append`."""
        if not batch:
            return Receipt(())
        answer = await self._ask(lambda: self._server.store(batch), self._server.weather.write_s)
        assert isinstance(answer, Receipt)
        pairs = zip(batch, answer.positions, strict=True)
        self._server.acknowledged.extend((item.envelope.id, position) for item, position in pairs)
        return answer

    async def pipeline(self, batch: Sequence[Entry]) -> list[Receipt | Exception]:
        """See `JetStreamLog.pipeline`."""
        results = await asyncio.gather(*(self.append([item]) for item in batch), return_exceptions=True)
        return [
            item if isinstance(item, Receipt | Exception) else LogUnreachable(repr(item)) for item in results
        ]

    async def last(self, filter: str) -> Recorded | None:
        """See `EventLog.last`."""
        memory = self._server.memory
        position = await self._ask(lambda: memory._last_position(filter), 0.001)
        return memory.events[position - 1] if position else None

    async def end(self) -> int:
        """See `EventLog.end`."""
        return len(self._server.memory.events)

    async def at(self, position: int) -> Recorded | None:
        """See `JetStreamLog.at`."""
        events = self._server.memory.events
        return events[position - 1] if 0 < position <= len(events) else None

    async def _ask(self, what: Callable[[], Any], mean: float) -> Any:
        server, agenda = self._server, self._server.agenda
        future = self._loop.create_future()

        def answer(result: Any) -> None:
            if not self._loop.gone and not future.done():
                if isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)

        def arrive() -> None:
            weather, chance = server.weather, agenda.chance
            if weather.down or chance.random() < weather.lose:
                wait = 0.02 if weather.down else _ANSWER_S
                agenda.at(wait, lambda: answer(LogUnreachable("expected an answer, got none")))
                return
            try:
                result = what()
            except (Conflict, LogFull) as problem:
                result = problem
            if chance.random() < weather.lose_answer:
                agenda.at(_ANSWER_S, lambda: answer(LogUnreachable("expected an answer, got none")))
            else:
                agenda.soon(lambda: answer(result), 0.001)

        arrival = max(self._last_arrival, agenda.now + agenda.chance.expovariate(1.0 / mean))
        self._last_arrival = arrival
        agenda.at(arrival - agenda.now, arrive)
        return await future


class SimReader:
    """Stands where `actors.jetstream.Reader` does: chunks of chance size, late by chance, some said twice."""

    server: Server

    def __init__(
        self, connection: Any, stream: str, after: int, filter: str = "log.>", credit: int = 2000
    ) -> None:
        self.after = after
        self._news = asyncio.Event()
        self._awake = False

    def _wake(self) -> None:
        if not self._awake:
            self._awake = True
            self.server.agenda.soon(self._news.set, 0.002)

    async def read(self, idle: float | None = None) -> AsyncIterator[Sequence[Recorded]]:
        """See `Reader.read`."""
        server = self.server
        server.hear(self._wake)
        try:
            while True:
                events = server.memory.events
                while self.after >= len(events):
                    self._awake = False
                    self._news.clear()
                    await self._news.wait()
                chance = server.agenda.chance
                start = self.after
                if start and chance.random() < server.weather.again:
                    start = max(0, start - chance.randint(1, 5))
                stop = min(len(events), self.after + chance.choice((1, 2, 5, 100)))
                self.after = stop
                yield events[start:stop]
        finally:
            server.forget(self._wake)

    async def close(self) -> None:
        """See `Reader.close`."""
        self.server.forget(self._wake)


class SimBus(Bus):
    """The node's bus on a stepped loop: its own code above, our server below."""

    def __init__(self, server: Server, loop: StepLoop) -> None:
        self._loop = loop
        self._tasks = set()
        self.log = Line(server, loop)
        self.recorder = Recorder(self.log)
        self.connection = None  # type: ignore[assignment]

    def call(self, what: Callable[[], None]) -> None:
        """See `Bus.call`."""
        self._loop.call_soon(what)

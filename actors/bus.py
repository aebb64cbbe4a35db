"""The one asyncio thread of the node: actors hand it work through one coalesced bridge and are told by messages."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from actors.connection import Connection, Credentials, connect
from actors.jetstream import JetStreamLog
from actors.recorder import Done, Recorder
from events.log import Entry

_log = logging.getLogger("elf.bus")
T = TypeVar("T")


class Bus:
    """Owns the loop, the connection and the recorder. Methods may be called from any thread."""

    def __init__(self, credentials: Credentials, name: str) -> None:
        self.credentials = credentials
        self._name = name
        self._calls: deque[Callable[[], None]] = deque()
        self._woken = False
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="elf-bus")
        self._tasks: set[asyncio.Task[Any]] = set()
        self.connection: Connection
        self.log: JetStreamLog
        self.recorder: Recorder

    def start(self, timeout: float = 30.0) -> None:
        """Start the thread and connect. Raises what connecting raised."""
        self._thread.start()
        self.wait(self._open, timeout)

    async def _open(self) -> None:
        self.connection = await connect(self.credentials, self._name)
        self.log = JetStreamLog(self.connection)
        self.recorder = Recorder(self.log)
        self.recorder.start()

    def stop(self) -> None:
        """Write what waits, close the connection, end the thread."""
        if not self._thread.is_alive():
            return
        try:
            self.wait(self._shut, 10.0)
        except Exception:
            _log.debug("bus: did not shut in order", exc_info=True)
        self.call(self._loop.stop)
        self._thread.join(5.0)

    async def _shut(self) -> None:
        for task in list(self._tasks):
            if task is not asyncio.current_task():
                task.cancel()
        await self.recorder.stop()
        await self.connection.close()

    def call(self, what: Callable[[], None]) -> None:
        """Run `what` on the loop; many calls cost one wake-up."""
        self._calls.append(what)
        with self._lock:
            if self._woken:
                return
            self._woken = True
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        with self._lock:
            self._woken = False
        while self._calls:
            what = self._calls.popleft()
            try:
                what()
            except Exception:
                _log.exception("a call on the bus failed")

    def append(
        self,
        entries: Sequence[Entry],
        done: Done,
        behind: bool = False,
        unless: Callable[[], bool] = lambda: False,
    ) -> None:
        """Append one group; `done` is called on the loop with the receipt or the error. See `Recorder.take`."""
        self.call(lambda: self.recorder.take(entries, done, behind, unless))

    def spawn(self, work: Callable[[], Awaitable[Any]]) -> None:
        """Start a coroutine on the loop; its errors are logged."""
        self.call(lambda: self._spawn(work))

    def _spawn(self, work: Callable[[], Awaitable[Any]]) -> None:
        async def guarded() -> None:
            try:
                await work()
            except asyncio.CancelledError:
                raise
            except Exception:
                _log.exception("a task on the bus failed")

        task = self._loop.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def wait(self, work: Callable[[], Awaitable[T]], timeout: float) -> T:
        """Run a coroutine and wait for its result; only for start and stop, never inside an actor."""
        box: list[T | BaseException] = []
        ready = threading.Event()

        async def run() -> None:
            try:
                box.append(await work())
            except BaseException as problem:
                box.append(problem)
            ready.set()

        self.call(lambda: self._spawn(run))
        if not ready.wait(timeout):
            raise TimeoutError(f"expected the bus to answer within {timeout} s, got nothing")
        result = box[0]
        if isinstance(result, BaseException):
            raise result
        return result

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        """Run `what` on the loop after so many seconds of the monotonic clock."""
        self.call(lambda: self._later(seconds, what))

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        self._loop.call_later(max(0.0, seconds), what)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

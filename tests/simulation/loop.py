"""An asyncio loop in virtual time that does one callback when it is told to."""

import asyncio
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from tests.simulation.agenda import Agenda


class StepLoop(asyncio.AbstractEventLoop):
    """As much of a loop as coroutines, tasks and timers need. `end` is the end of its process: nothing runs on."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._ready: deque[asyncio.Handle] = deque()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.gone = False
        self.errors: list[str] = []

    @property
    def ready(self) -> bool:
        """Tell whether something could run now."""
        return bool(self._ready)

    def step(self) -> None:
        """Run one callback."""
        handle = self._ready.popleft()
        if handle.cancelled():
            return
        before = events._get_running_loop()
        events._set_running_loop(self)
        try:
            handle._run()
        finally:
            events._set_running_loop(before)

    def end(self) -> None:
        """Let everything in it vanish."""
        self.gone = True
        self._ready.clear()
        for task in self._tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            coroutine = task.get_coro()
            try:
                if coroutine is not None:
                    coroutine.close()
            except (RuntimeError, ValueError):
                continue
        self._tasks.clear()

    def time(self) -> float:
        """See `AbstractEventLoop.time`."""
        return 1000.0 + self._agenda.now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """See `AbstractEventLoop.call_soon`."""
        handle = asyncio.Handle(callback, args, self, context)
        if not self.gone:
            self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See `AbstractEventLoop.call_later`."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See `AbstractEventLoop.call_at`."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)

        def due() -> None:
            if not self.gone and not handle.cancelled():
                self._ready.append(handle)

        self._agenda.at(when - self.time(), due)
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        """See `AbstractEventLoop.create_future`."""
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, Any], **named: Any) -> asyncio.Task[Any]:  # type: ignore[override]
        """See `AbstractEventLoop.create_task`."""
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def get_debug(self) -> bool:
        """See `AbstractEventLoop.get_debug`."""
        return False

    def is_running(self) -> bool:
        """See `AbstractEventLoop.is_running`."""
        return not self.gone

    def is_closed(self) -> bool:
        """See `AbstractEventLoop.is_closed`."""
        return self.gone

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """See `AbstractEventLoop.call_exception_handler`."""
        if not self.gone:
            self.errors.append(f"{context.get('message')}: {context.get('exception')!r}")

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        return None


def step_loop(agenda: Agenda) -> StepLoop:
    """Return a loop; sockets and signals, which the protocol has too, are not for it."""
    return StepLoop(agenda)  # type: ignore[abstract]

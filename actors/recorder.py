"""Group commit: takes what is waiting and writes it the cheaper way, all or nothing for each group."""

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct

from actors.jetstream import BATCH_LIMIT, JetStreamLog
from events.log import Conflict, Entry, LogFull, LogRefused, LogUnreachable, Receipt

_log = logging.getLogger("elf.recorder")

# One atomic batch costs about 2.5 ms whatever its size; below this many events single publishes in flight win.
PIPELINE_BELOW = 16
_IN_FLIGHT = 256
# The server recognises an id for two minutes; within that a repeated append is harmless.
_GIVE_UP_S = 100.0

Done = Callable[[Receipt | Exception], None]


class _Group(Struct):
    entries: Sequence[Entry]
    done: Done
    behind: bool = False
    unless: Callable[[], bool] = lambda: False


class Recorder:
    """The one writer of a process. One asyncio loop; `done` is called on it."""

    def __init__(self, log: JetStreamLog) -> None:
        self.log = log
        self._waiting: deque[_Group] = deque()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.written = 0

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Write what is waiting, within reason, then end."""
        deadline = asyncio.get_running_loop().time() + 5.0
        while self._waiting and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def take(
        self,
        entries: Sequence[Entry],
        done: Done,
        behind: bool = False,
        unless: Callable[[], bool] = lambda: False,
    ) -> None:
        """Queue one group: stored whole or not at all; `done` gets the receipt or what went wrong.

        Groups in flight together may change places when one is said again; with `behind` this one is not written
        before all earlier ones have their answer; `unless` is asked then, and its yes is answered like a full log.
        """
        self._waiting.append(_Group(entries, done, behind, unless))
        self._news.set()

    async def append(self, entries: Sequence[Entry]) -> Receipt:
        """Queue one group and wait. Raises what `EventLog.append` raises."""
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()

        def done(result: Receipt | Exception) -> None:
            if future.done():
                return
            if isinstance(result, Receipt):
                future.set_result(result)
            else:
                future.set_exception(result)

        self.take(entries, done)
        return await future

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                groups = self._next_groups()
                if groups:
                    await self._write(groups)

    def _next_groups(self) -> list[_Group]:
        groups: list[_Group] = []
        size = 0
        while self._waiting and size + len(self._waiting[0].entries) <= BATCH_LIMIT:
            if groups and self._waiting[0].behind:
                break
            group = self._waiting.popleft()
            if group.unless():
                _answer(
                    group,
                    LogFull("expected everything before to be stored, got some that has to be said again"),
                )
                continue
            groups.append(group)
            size += len(group.entries)
        if not groups and self._waiting:
            groups.append(self._waiting.popleft())
        return groups

    async def _write(self, groups: list[_Group]) -> None:
        size = sum(len(group.entries) for group in groups)
        if len(groups) == 1:
            await self._alone(groups[0])
        elif size < PIPELINE_BELOW and all(len(group.entries) == 1 for group in groups):
            await self._pipelined(groups)
        else:
            await self._together(groups)

    async def _together(self, groups: list[_Group]) -> None:
        entries = [item for group in groups for item in group.entries]
        try:
            receipt = await self.log.append(entries)
        except (Conflict, LogRefused):
            # One group's expectation refuses the whole batch, so each is asked for itself.
            await self._apart(groups)
            return
        except LogUnreachable:
            # The first one waits until the log answers again.
            await self._alone(groups[0])
            await self._apart(groups[1:])
            return
        except Exception as problem:
            _log.debug("recorder: %s", problem)
            for group in groups:
                _answer(group, problem)
            return
        self.written += len(entries)
        start = 0
        for group in groups:
            stop = start + len(group.entries)
            _answer(group, Receipt(receipt.positions[start:stop]))
            start = stop

    async def _apart(self, groups: Sequence[_Group]) -> None:
        """Write each group for itself in the order it was said, single events many at a time."""
        for single, run in itertools.groupby(groups, lambda group: len(group.entries) == 1):
            row = list(run)
            if single:
                for start in range(0, len(row), _IN_FLIGHT):
                    await self._pipelined(row[start : start + _IN_FLIGHT])
            else:
                for group in row:
                    await self._alone(group)

    async def _pipelined(self, groups: Sequence[_Group]) -> None:
        results = await self.log.pipeline([group.entries[0] for group in groups])
        for group, result in zip(groups, results, strict=True):
            if isinstance(result, LogUnreachable):
                await self._alone(group)
                continue
            self.written += isinstance(result, Receipt)
            _answer(group, result)

    async def _alone(self, group: _Group) -> None:
        """Write one group, again and again while the log does not answer: its ids make that harmless."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + _GIVE_UP_S
        while True:
            try:
                receipt = await self.log.append(group.entries)
            except LogUnreachable as problem:
                if loop.time() > give_up:
                    _answer(group, problem)
                    return
                await asyncio.sleep(0.05)
                continue
            except Exception as problem:
                _answer(group, problem)
                return
            self.written += len(group.entries)
            _answer(group, receipt)
            return


def _answer(group: _Group, result: Receipt | Exception) -> None:
    try:
        group.done(result)
    except Exception:
        _log.exception("a receipt was not taken")

"""Hears all plain programs that say more by their pipe: one thread, and a bounded price for a loud one."""

import logging
import os
import selectors
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from actors.executor_orders import Alive
from actors.journal import Journal
from actors.notify_lines import Lines, Said
from actors.notify_pipes import open_pipe, pipe_of
from events.log import Receipt
from events.observations import WorkerReady, WorkerSpoke

_log = logging.getLogger("elf.notify")

_CHUNK = 65_536  # what a pipe holds
_REST_S = 0.05  # after a flood
# Words that change are written down at most so often, and what is only got on with.
_WORDS_S = 10.0
_PROGRESS_S = 60.0


class _Mouth:
    """One living generation: its pipe, what it says now, and what of it was written down when."""

    def __init__(self, unit: str, alive: Alive, pipe: int) -> None:
        self.unit, self.generation, self.pid = unit, alive.generation, alive.identity.pid
        self.ready = alive.ready
        self.pipe = pipe
        self.lines = Lines()
        self.words, self.progress, self.unheard = alive.words, alive.progress, 0
        self.written: tuple[str, str, bool] | None = (self.words, self.progress, False)
        self.words_at = self.at = float("-inf")

    def due(self) -> float:
        """Return when what it says now is to be written down, infinity if that stands already."""
        if self.written is None:
            return max(self.at, self.words_at) + _WORDS_S
        words, progress, unheard = self.written
        if self.words != words:
            return self.words_at + _WORDS_S
        if self.progress != progress or (self.unheard > 0) != unheard:
            return self.at + _PROGRESS_S
        return float("inf")


class Ear:
    """One thread that hears every living plain program; it begins with the first one.

    `beat` is called in it with unit and generation for every reading in which something was understood.
    """

    def __init__(
        self,
        data: Path,
        journal: Journal,
        beat: Callable[[str, int], object],
        redact: Callable[[], Sequence[str]] = lambda: (),
    ) -> None:
        self._data = data
        self._journal = journal
        self._beat = beat
        self._redact = redact
        self._lock = threading.Lock()
        self._living: Mapping[str, Alive] = {}
        self._mouths: dict[str, _Mouth] = {}
        self._thread: threading.Thread | None = None
        self._closed = False
        # Nothing is opened before there is somebody to hear.
        self._bell = self._wake = -1
        self._selector: selectors.BaseSelector

    def follow(self, living: Mapping[str, Alive]) -> None:
        """Hear these from now on and nobody else. Any thread."""
        with self._lock:
            self._living = dict(living)
            if (
                not self._closed
                and self._thread is None
                and any(pipe_of(self._data, unit).exists() for unit in living)
            ):
                self._bell, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
                self._selector = selectors.DefaultSelector()
                self._selector.register(self._bell, selectors.EVENT_READ)
                self._thread = threading.Thread(target=self._run, name="elf-ear", daemon=True)
                self._thread.start()
            self._ring()

    def close(self) -> None:
        """End the thread; what is said from now on waits in the pipes for the next node."""
        with self._lock:
            if self._closed:
                return
            self._ring()
            self._closed = True
        if self._thread is None:
            return
        self._thread.join()
        for mouth in self._mouths.values():
            os.close(mouth.pipe)
        self._selector.close()
        os.close(self._bell)
        os.close(self._wake)

    def _ring(self) -> None:
        if self._thread and not self._closed:
            with suppress(BlockingIOError):
                os.write(self._wake, b"x")

    def _run(self) -> None:
        while not self._closed:
            try:
                self._listen()
            except Exception:
                # The edge of a thread: one that no longer hears would let every worker seem silent.
                _log.exception("could not hear plain programs, begins anew")
                for mouth in self._mouths.values():
                    self._selector.unregister(mouth.pipe)
                    os.close(mouth.pipe)
                self._mouths.clear()
                time.sleep(1.0)
                self._turn()

    def _listen(self) -> None:
        while not self._closed:
            due = min((mouth.due() for mouth in self._mouths.values()), default=float("inf"))
            wait = None if due == float("inf") else max(0.0, due - time.monotonic())
            flood = False
            for key, _ in self._selector.select(wait):
                if key.data is None:
                    with suppress(BlockingIOError):
                        os.read(self._bell, 4096)
                    self._turn()
                elif (mouth := self._mouths.get(key.data.unit)) and mouth is key.data:
                    flood = self._hear(mouth) or flood
            now = time.monotonic()
            for mouth in self._mouths.values():
                if mouth.due() <= now:
                    self._write(mouth, now)
            if flood:
                # The writer waits that long at most; without it one loud program would cost a processor.
                time.sleep(_REST_S)

    def _turn(self) -> None:
        """Open the pipes of new generations and close those of ended ones."""
        with self._lock:
            living = self._living
        for unit, mouth in list(self._mouths.items()):
            alive = living.get(unit)
            if alive is None or alive.generation != mouth.generation:
                self._selector.unregister(mouth.pipe)
                os.close(mouth.pipe)
                del self._mouths[unit]
        for unit, alive in living.items():
            if unit in self._mouths:
                continue
            pipe = open_pipe(pipe_of(self._data, unit))
            if pipe is not None:
                mouth = self._mouths[unit] = _Mouth(unit, alive, pipe)
                self._selector.register(pipe, selectors.EVENT_READ, mouth)

    def _hear(self, mouth: _Mouth) -> bool:
        """Take what stands in a pipe; tells whether it was a flood."""
        try:
            data = os.read(mouth.pipe, _CHUNK)
        except BlockingIOError:
            return False
        said = mouth.lines.take(data, self._redact())
        self._note(mouth, said)
        if said.alive:
            self._beat(mouth.unit, mouth.generation)
        if said.ready and not mouth.ready:
            mouth.ready = True
            self._journal.write(WorkerReady(unit=mouth.unit, generation=mouth.generation, pid=mouth.pid))
        return said.flood or len(data) == _CHUNK

    def _note(self, mouth: _Mouth, said: Said) -> None:
        if said.unheard and not mouth.unheard:
            _log.warning(
                "%s writes to its pipe what is neither READY, BEAT, PROGRESS id nor STATUS text, or too much at once:"
                " it is counted and passed over",
                mouth.unit,
            )
        mouth.unheard += said.unheard
        mouth.words = mouth.words if said.words is None else said.words
        mouth.progress = mouth.progress if said.progress is None else said.progress

    def _write(self, mouth: _Mouth, now: float) -> None:
        if mouth.written is None or mouth.written[0] != mouth.words:
            mouth.words_at = now
        mouth.at, mouth.written = now, (mouth.words, mouth.progress, mouth.unheard > 0)
        spoke = WorkerSpoke(
            unit=mouth.unit,
            generation=mouth.generation,
            words=mouth.words,
            progress=mouth.progress,
            unheard=mouth.unheard,
        )

        def done(result: Receipt | Exception) -> None:
            if isinstance(result, Exception):
                # Nobody waits for it: what it says by then is written when there is room again.
                mouth.written = None
                with self._lock:
                    self._ring()

        self._journal.write(spoke, done=done)

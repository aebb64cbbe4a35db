"""The other half of a long audit: some elves look at the log once more in a process of their own, on another core.

Each elf is audited by itself, so two halves find what one process would. Events go over as they are stored.
"""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from typing import Any

from events.envelope import Recorded

# Below this many events the other process would cost more than it saves.
LONG = 50_000
# Whose folds take as long as those of the others and the reading of the log together.
ELVES = frozenset({"balance", "healing", "time"})


def worth_it(events: int, elves: Sequence[str]) -> bool:
    """Tell whether a log of so many events is audited sooner by two processes."""
    return events >= LONG and (os.cpu_count() or 1) > 1 and bool(ELVES & {*elves}) and bool({*elves} - ELVES)


class Beside:
    """Runs `audit(connection, *given)` elsewhere: hand over every page of the log, then ask for the report."""

    def __init__(self, audit: Callable[..., None], *given: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=audit, args=(there, *given), daemon=True)
        self._process.start()
        there.close()

    def take(self, events: Sequence[Recorded]) -> None:
        """Hand over the next events. Waits while the other side is behind; raises OSError if it has ended."""
        self._here.send([(event.position, event.subject, event.data) for event in events])

    def report(self) -> Any:
        """Return what the other side found. Raises EOFError if it has ended without a word."""
        self._here.send(None)
        return self._here.recv()

    def close(self) -> None:
        """End the other side, whatever it does."""
        self._here.close()
        self._process.join(5.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()

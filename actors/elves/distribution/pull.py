"""Agents take tasks when they are free, in order of age."""

from typing import Any

from actors.elves.distribution.board import Board
from actors.elves.distribution.placing import Distribution
from projections.records import HOUR, Record


class PullFifo(Distribution):
    """The oldest task to the agent that has been idle for longest."""

    name = "pull_fifo"


class PullFair(Distribution):
    """The oldest task to the free agent that was busy for the least time in the last 24 hours."""

    name = "pull_fair"

    def turn(self, record: Record, held: int, name: str, moment: int) -> Any:
        """See `Distribution`."""
        return (record.busy_ms(moment), record.freed_at, name)

    def terms(self, board: Board, name: str, now: int) -> dict[str, float]:
        """See `Distribution`."""
        record = board.ledger.record(name)
        return {"held": board.held(name), "busy_s": record.busy_ms(now // HOUR * HOUR) / 1000}

    def behind(self) -> str:
        """See `Distribution`."""
        return "busier in the last 24 hours, or idle for less time"

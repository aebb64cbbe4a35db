"""The printed score with its flaws repaired: a prior for those without history, nobody who is away, a slow start."""

from typing import Any

from actors.elves.distribution.board import Board
from actors.elves.distribution.lanes import Lane
from actors.elves.distribution.parameters import Parameter
from actors.elves.distribution.placing import Distribution, first, last_resort
from actors.elves.distribution.seats import Seat
from projections.agents import Agent
from projections.assignments import Task
from projections.records import SECOND, Record


class SeedRepaired(Distribution):
    """Pushes to the least score; where no capacity exceeds the complexity, to the least loaded that lives.

    If nobody lives the task waits. One that came back gets one task at first and more with time.
    """

    name = "seed_repaired"
    push = True
    slot_us = 300 * SECOND
    parameters = (
        Parameter(
            "slow_start_s", 600, 0, 86400, "Seconds until one that came back gets work like the others."
        ),
    )

    def seat(self, agent: Agent, record: Record, held: int, now: int, moment: int) -> Seat:
        """See `Distribution`."""
        window = round(self.values["slow_start_s"] * SECOND)
        seat = super().seat(agent, record, held, now, moment)
        if seat.why_not or not window or not record.back_at or now >= record.back_at + window or not held:
            return seat
        # A third of the window for the second task, another for the third.
        at = record.back_at + min(3, held) * window // 3
        return Seat(why_not="slow start", until=at) if at > now else seat

    def turn(self, record: Record, held: int, name: str, moment: int) -> Any:
        """See `Distribution`."""
        return (record.expected(held, moment).score, record.freed_at, name)

    def group(self, task: Task) -> str:
        """See `Distribution`."""
        return str(task.complexity)

    def place(self, board: Board, lane: Lane, task: Task, now: int) -> tuple[str, str] | None:
        """See `Distribution`."""
        if not board.seats.free:
            return None
        if not board.seats.living(lane.bits):
            return last_resort(board)
        item = first(board, lane)
        if item is None:
            return None
        fits = max(0.0, 100.0 - item[0][0]) > task.complexity
        return item[2], self.name if fits else "fallback"

    def terms(self, board: Board, name: str, now: int) -> dict[str, float]:
        """See `Distribution`."""
        moment = now // self.slot_us * self.slot_us
        load = board.ledger.record(name).expected(board.held(name), moment)
        return {
            "tasks": load.tasks * 10,
            "completion": (1.0 - load.completion_rate) * 50,
            "response": min(load.response_s / 60, 10) * 5,
            "error": load.error_rate * 100,
            "score": load.score,
            "capacity": load.capacity,
        }

    def behind(self) -> str:
        """See `Distribution`."""
        return "higher score"

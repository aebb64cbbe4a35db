"""The printed algorithm, frozen: load score, capacity, strict `>`, configuration order, a name as last resort."""

from typing import Any

from actors.elves.distribution.board import Board
from actors.elves.distribution.lanes import Lane
from actors.elves.distribution.placing import Distribution, first
from projections.assignments import Task
from projections.records import Record

FALLBACK = "CC01"


class Seed(Distribution):
    """Pushes each task to the agent of least load whose capacity exceeds its complexity, else to the last resort.

    A high task of an agent that went away goes to the last resort. Priorities order nothing. Whom the failure
    detector holds for away is not available; as last resort it is still named, and the task then waits for it.
    """

    name = "seed"
    push = True
    ordered = False
    slot_us = 1 << 62

    @property
    def resort(self) -> str:
        """The name of the last resort."""
        return self.fallback or FALLBACK

    def turn(self, record: Record, held: int, name: str, moment: int) -> Any:
        """See `Distribution`."""
        return record.load(held).score

    def group(self, task: Task) -> str:
        """See `Distribution`."""
        return f"{task.complexity}/{task.lost}/{task.priority == 'high'}"

    def place(self, board: Board, lane: Lane, task: Task, now: int) -> tuple[str, str] | None:
        """See `Distribution`."""
        chosen, reason = self.choose(board, lane, task)
        agent = board.ledger.agents.agents.get(chosen)
        return (chosen, reason) if agent is not None and agent.wip > 0 else None

    def choose(self, board: Board, lane: Lane, task: Task) -> tuple[str, str]:
        """Return the name that the printed algorithm gives, alive or not."""
        if task.lost and task.priority == "high":
            return self.resort, "high_of_failed"
        item = first(board, lane)
        if item is not None and max(0.0, 100.0 - item[0]) > task.complexity:
            return item[2], self.name
        return self.resort, "fallback"

    def terms(self, board: Board, name: str, now: int) -> dict[str, float]:
        """See `Distribution`."""
        load = board.ledger.record(name).load(board.held(name))
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

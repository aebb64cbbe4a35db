"""Agents take tasks when they are free: in order of age, or by size with credit for waiting."""

from typing import Any

from actors.elves.distribution.board import Board
from actors.elves.distribution.lanes import Lane
from actors.elves.distribution.parameters import Parameter
from actors.elves.distribution.placing import Distribution, first, last_resort
from actors.elves.distribution.seats import Seat
from projections.agents import Agent
from projections.assignments import Task
from projections.records import HOUR, SECOND, Record


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


class PullBest(PullFair):
    """The shortest task first, by estimate, with credit for waiting; the least busy agent first.

    An agent that fails often takes no task whose estimate exceeds a share of its learned time between failures;
    one that errs several times in a row is left out for a while; one that came back starts slowly.
    """

    name = "pull_best"
    parameters = (
        Parameter("credit", 0.02, 0.0, 1e6, "Seconds of estimate that a second of waiting makes up for."),
        Parameter("known", 5, 1, 1000, "Finished tasks of a kind before its own mean counts."),
        Parameter("flaky", 0.25, 0.0, 10.0, "Share of the time between failures a task may take; 0 for any."),
        Parameter(
            "flaky_prior_h", 24, 0.1, 1000, "Hours of work without failure that every agent starts with."
        ),
        Parameter(
            "slow_start_s",
            600,
            0,
            86400,
            "Seconds in which the limit of one that came back grows to its own.",
        ),
        Parameter("prefetch", 0, 0, 1, "Tasks an agent may have beside those it works on."),
        Parameter(
            "lost_first", 1, 0, 1, "1: tasks of an agent that went away come before others of their priority."
        ),
    )

    @property
    def lost_first(self) -> bool:
        """See `Distribution`."""
        return self.values["lost_first"] >= 0.5

    def seat(self, agent: Agent, record: Record, held: int, now: int, moment: int) -> Seat:
        """See `Distribution`."""
        seat = super().seat(agent, record, held - round(self.values["prefetch"]), now, moment)
        if seat.why_not:
            return seat
        if record.quarantined_until > now:
            return Seat(why_not="quarantined", until=record.quarantined_until)
        limited = self.values["flaky"] > 0 and record.fails_faded(moment) > 0.5
        step = self._next_step(agent, record, held, now)
        if step:
            return Seat(why_not="slow start", until=step)
        return Seat((record.busy_ms(moment), record.freed_at, agent.name), limited=limited)

    def _next_step(self, agent: Agent, record: Record, held: int, now: int) -> int:
        """Return when one that came back may take one more task, 0 for now."""
        window = round(self.values["slow_start_s"] * SECOND)
        if not record.back_at or held == 0 or now >= record.back_at + window or window == 0:
            return 0
        at = record.back_at + window * held // max(1, agent.wip)
        return at if at > now else 0

    def group(self, task: Task) -> str:
        """See `Distribution`."""
        return task.size

    def value(self, board: Board, size: str, came: int) -> float:
        """See `Distribution`."""
        estimate = board.ledger.sizes.estimate_ms(size, round(self.values["known"]))
        return estimate / 1000 + self.values["credit"] * (came / SECOND)

    def place(self, board: Board, lane: Lane, task: Task, now: int) -> tuple[str, str] | None:
        """See `Distribution`."""
        seats = board.seats
        if not seats.free:
            return None
        if not seats.living(lane.bits):
            return last_resort(board)
        item = first(board, lane)
        avoid = lane.avoid if lane.avoid and seats.shuns(lane.bits, lane.avoid) else ""
        estimate, bounded = -1.0, seats.has_unlimited(lane.bits)
        for other in seats.limited(lane.bits):
            if other[2] == avoid or (item is not None and other > item):
                continue
            if bounded:
                if estimate < 0:
                    estimate = board.ledger.sizes.estimate_ms(task.size, round(self.values["known"]))
                if estimate > self.longest_ms(board.ledger.record(other[2]), now):
                    continue
            item = other
        return (item[2], self.name) if item else None

    def longest_ms(self, record: Record, now: int) -> float:
        """Return the longest estimate that an agent that fails often may take."""
        prior = round(self.values["flaky_prior_h"] * HOUR)
        return self.values["flaky"] * record.between_failures_ms(now, prior) * record.speed

    def terms(self, board: Board, name: str, now: int) -> dict[str, float]:
        """See `Distribution`."""
        record = board.ledger.record(name)
        terms = {**super().terms(board, name, now), "speed": record.speed}
        if record.fails:
            terms["longest_s"] = self.longest_ms(record, now) / 1000
        return terms

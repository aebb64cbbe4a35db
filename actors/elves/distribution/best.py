"""Short tasks first, but none for ever: by how long a task has waited in proportion to how long it will take."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from math import log2
from operator import itemgetter
from typing import Any

from actors.elves.distribution.board import Board
from actors.elves.distribution.lanes import Group, Lane
from actors.elves.distribution.parameters import Parameter
from actors.elves.distribution.placing import Distribution, first, last_resort
from actors.elves.distribution.seats import Seat
from events.settings import LEARNING
from projections.agents import Agent
from projections.assignments import Task
from projections.records import HOUR, SECOND, Record

# Groups within a quarter of an octave count as equally long: of those only the one that waits longest is looked at.
_STEPS = 4
# No agent counts as more than so many times as fast as the others when it comes to whose turn it is.
_MOST = 2.0

_TURN = itemgetter(0)


class PullBest(Distribution):
    """The task with the highest response ratio, the agent of the least utilisation.

    The ratio is (waited + patience x the mean size) / the size to the power of `weight`, as estimated now. What
    waits gains credit in proportion to how short it is, so no scale has to be known. A faster agent may be `lead` x
    its advantage busier.

    An agent that fails often takes no task whose estimate exceeds a share of its learned time between failures;
    one that errs several times in a row is left out for a while; one that came back starts slowly.
    """

    name = "pull_best"
    parameters = (
        Parameter("patience", 2.0, 0.0, 1000.0, "Mean sizes that every task has waited from the beginning."),
        Parameter("weight", 0.8, 0.0, 2.0, "Power of the size in the ratio: 0 is the order of age."),
        Parameter("known", 2, 1, 1000, "Finished tasks of a kind before its own mean counts.", 5),
        Parameter(
            "lead", 0.12, 0.0, 1.0, "Utilisation that an agent of double speed may be ahead of others."
        ),
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

    def __init__(self, values: Mapping[str, float], fallback: str = "", learning: int = LEARNING) -> None:
        super().__init__(values, fallback, learning)
        self.version = str(learning)
        self._flaky, self._lead = self.values["flaky"], self.values["lead"]
        self._known = round(self.values["known"])
        self._prefetch = round(self.values["prefetch"])
        self._window = round(self.values["slow_start_s"] * SECOND)

    @property
    def lost_first(self) -> bool:
        """See `Distribution`."""
        return self.values["lost_first"] >= 0.5

    def seat(self, agent: Agent, record: Record, held: int, now: int, moment: int) -> Seat:
        """See `Distribution`."""
        refused = self.refused(agent, held - self._prefetch)
        if refused:
            return refused
        if record.quarantined_until > now:
            return Seat(why_not="quarantined", until=record.quarantined_until)
        limited = self._flaky > 0 and record.fails > 0.5 and record.fails_faded(moment) > 0.5
        if record.back_at and held:
            step = self._next_step(agent, record, held, now)
            if step:
                return Seat(why_not="slow start", until=step)
        speed = record.speed if self.learning < 2 else min(record.speed, _MOST)
        turn = record.utilisation(moment) - self._lead * (speed - 1)
        return Seat((turn, record.freed_at, agent.name), limited=limited)

    def _next_step(self, agent: Agent, record: Record, held: int, now: int) -> int:
        """Return when one that came back may take one more task, 0 for now."""
        window = self._window
        if now >= record.back_at + window or window == 0:
            return 0
        at = record.back_at + window * held // max(1, agent.wip)
        return at if at > now else 0

    def group(self, task: Task) -> str:
        """See `Distribution`."""
        return task.size

    def value(self, board: Board, size: str, came: int) -> float:
        """See `Distribution`: its size, in steps."""
        estimate = board.estimates.get(size) or self.estimate_ms(board, size)
        return float(int(log2(estimate) * _STEPS)) if estimate > 1.0 else 0.0

    def turns(self, board: Board, lane: Lane, now: int) -> Iterable[tuple[Any, Group]]:
        """See `Distribution`: lost ones, then of each size the one that waits longest, by its ratio."""
        entries, groups, count = lane.entries, lane.groups, len(lane.entries)
        at = bisect_left(entries, (1,))
        for entry in entries[:at]:
            yield entry, groups[entry[3]]
        if at == count:
            return
        heads: list[tuple[tuple[int, float, int, str], Group]] = []
        means, estimates = board.ledger.sizes.means, board.estimates
        patience, weight = self.values["patience"], self.values["weight"]
        queue: str | None = None
        credit = 0.0
        while at < count:
            _, step, submitted, name = entries[at]
            group = groups[name]
            if group.queue != queue:
                queue = group.queue
                mean = means.get(queue)
                credit = patience * mean.value if mean else 0.0
            waited = now - group.items[0][0]
            ratio = (waited / 1000 if waited > 0 else 0.0) + credit
            size = estimates.get(group.size) or self.estimate_ms(board, group.size)
            if size > 1.0:
                ratio /= size**weight
            # The response ratio of a group's first task.
            heads.append(((1, -ratio, submitted, name), group))
            at = bisect_left(entries, (1, step + 0.5), at + 1)
        # Nearly always the first one is taken.
        yield min(heads, key=_TURN)
        heads.sort(key=_TURN)
        yield from heads[1:]

    def estimate_ms(self, board: Board, size: str) -> float:
        """Return how long a task of this kind will take, as known at the last full minute."""
        estimate = board.estimates.get(size)
        if estimate is None:
            running = board.ledger.at_work.get(size)
            so_far = [(board.minute - since) / 1000 for since, _ in running] if running else ()
            estimate = board.ledger.sizes.estimate_ms(size, self._known, so_far)
            board.estimates[size] = estimate
        return estimate

    def likely_ms(self, board: Board, size: str) -> float:
        """Return how long a task of this kind will take unless it is one of the few long ones of its kind.

        What is running now says little of that: long tasks are nearly always among it.
        """
        typical = None
        if self.learning > 1:
            typical = board.ledger.sizes.typical_ms(size, self._known)
        return self.estimate_ms(board, size) if typical is None else typical

    def place(self, board: Board, lane: Lane, task: Task, now: int) -> tuple[str, str] | None:
        """See `Distribution`."""
        seats = board.seats
        if not seats.free:
            return None
        if not seats.living(lane.bits):
            return last_resort(board)
        item = first(board, lane)
        avoid = lane.avoid if lane.avoid and seats.shuns(lane.bits, lane.avoid) else ""
        estimate = -1.0
        for other in seats.limited(lane.bits):
            if other[2] == avoid or (item is not None and other > item):
                continue
            if seats.has_unlimited(lane.bits):
                if estimate < 0:
                    estimate = self.likely_ms(board, task.size)
                if estimate > self.longest_ms(board.ledger.record(other[2]), now):
                    continue
            item = other
        return (item[2], self.name) if item else None

    def longest_ms(self, record: Record, now: int) -> float:
        """Return the longest estimate that an agent that fails often may take."""
        prior = round(self.values["flaky_prior_h"] * HOUR)
        return self._flaky * record.between_failures_ms(now, prior) * record.speed

    def terms(self, board: Board, name: str, now: int) -> dict[str, float]:
        """See `Distribution`."""
        record = board.ledger.record(name)
        moment = now // HOUR * HOUR
        terms = {
            "held": float(board.held(name)),
            "utilisation": record.utilisation(moment),
            "speed": record.speed,
        }
        if record.fails:
            terms["longest_s"] = self.longest_ms(record, now) / 1000
        return terms

    def behind(self) -> str:
        """See `Distribution`."""
        return "busier in the last 24 hours, or idle for less time"

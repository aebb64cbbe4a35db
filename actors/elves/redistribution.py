"""Which tasks that nobody started would be better off elsewhere: planned move by move against projected scores."""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from actors.elves.distribution import Board
from projections.assignments import Task

# So many tasks at most are named for one agent at a time.
_NAMED = 10
# The seed's target: nobody does more than half of the work.
SHARE = 0.5


class Move(Struct, frozen=True):
    """These tasks from one agent to another, with both printed scores before and after."""

    tasks: tuple[str, ...]
    source: str
    goal: str
    reason: str
    before: tuple[float, float]
    after: tuple[float, float]


class Wanted(Struct):
    """A move that was approved: a task by its key, from whom to whom, since when."""

    key: str
    source: str
    goal: str
    at: int


def plan(board: Board, above: float, now: int) -> Iterator[Move]:
    """Yield moves away from each agent whose printed score exceeds `above`, or that does most of the work.

    No agent is both source and goal, and a move leaves its goal below its source.
    """
    ledger = board.ledger
    names = [name for name in ledger.order if ledger.agents.agents[name].wip > 0]
    held = {name: board.held(name) for name in names}
    score = {name: ledger.record(name).load(held[name]).score for name in names}
    share = _shares(board, names, now)
    sources = [name for name in names if score[name] > above or share[name] > SHARE]
    for source in sorted(sources, key=lambda name: (-score[name], name)):
        reason = "overload" if score[source] > above else "concentration"
        chosen: dict[str, list[Task]] = {}
        before = dict(score)
        for task in _transferable(board, source):
            if sum(map(len, chosen.values())) >= _NAMED or (reason == "overload" and score[source] <= above):
                break
            goal = _goal(board, task, [name for name in names if name not in sources], score)
            if goal and score[goal] + 10 <= score[source] - 10:
                chosen.setdefault(goal, []).append(task)
                score[goal] += 10
                score[source] -= 10
        for goal, tasks in sorted(chosen.items()):
            yield Move(
                tuple(task.key for task in tasks),
                source,
                goal,
                reason,
                (before[source], before[goal]),
                (score[source], score[goal]),
            )


def _transferable(board: Board, name: str) -> Sequence[Task]:
    """Return what an agent has and did not start, the last assigned first."""
    return [task for task in reversed(board.ledger.holds(name)) if task.state == "assigned"]


def _goal(board: Board, task: Task, names: Sequence[str], score: dict[str, float]) -> str:
    bits = board.seats.bits(task.kind, task.priority)
    fit = [name for name in names if board.seats.is_free(name) and board.seats.belongs(name, bits)]
    return min(fit, key=lambda name: (score[name], name), default="")


def _shares(board: Board, names: Sequence[str], now: int) -> dict[str, float]:
    """Return each agent's share of the work done in the last 24 hours, nothing where one alone is there."""
    work = {name: board.ledger.record(name).busy_ms(now) * board.ledger.record(name).speed for name in names}
    whole = sum(work.values())
    if whole <= 0 or len(names) < 2:
        return dict.fromkeys(names, 0.0)
    return {name: work[name] / whole for name in names}

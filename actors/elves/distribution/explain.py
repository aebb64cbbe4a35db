"""Why this agent: the chosen one and the best others, each with its numbers and what spoke against it."""

from actors.elves.distribution.best import PullBest
from actors.elves.distribution.board import Board, Pick
from actors.elves.distribution.placing import Distribution
from actors.elves.distribution.seats import Item
from events.decisions import Candidate
from projections.assignments import Task

OTHERS = 8


def candidates(board: Board, policy: Distribution, pick: Pick, now: int) -> tuple[Candidate, ...]:
    """Return the chosen agent and up to eight others: free ones by their turn, then those that take nothing now."""
    task = board.ledger.tasks[pick.key]
    bits = board.seats.bits(task.kind, task.priority)
    found = [Candidate(name=pick.agent, terms=_terms(board, policy, pick.agent, now))]
    free: list[Item] = []
    for bit in bits:
        item = board.seats.classes[bit]
        for turns in (item.steady, item.limited, item.probation):
            free.extend(turns[: OTHERS + 1])
    for _, _, name in sorted(free):
        if name != pick.agent and len(found) <= OTHERS:
            why_not = _why_not(board, policy, task, name, now)
            found.append(Candidate(name=name, why_not=why_not, terms=_terms(board, policy, name, now)))
    for why_not, names in sorted(board.seats.out.items()):
        for _, name in names[: OTHERS + 1 - len(found)]:
            if name != pick.agent:
                found.append(Candidate(name=name, why_not=why_not, terms=_terms(board, policy, name, now)))
    return tuple(found)


def counted(board: Board, policy: Distribution, pick: Pick) -> dict[str, int]:
    """Return how many agents each reason spoke against."""
    task = board.ledger.tasks[pick.key]
    bits = board.seats.bits(task.kind, task.priority)
    found = {why_not: len(names) for why_not, names in sorted(board.seats.out.items()) if names}
    free = unskilled = 0
    for number, item in enumerate(board.seats.classes):
        here = len(item.steady) + len(item.limited) + len(item.probation)
        free += here if number in bits else 0
        unskilled += 0 if number in bits else here
    if free > 1:
        found[policy.behind()] = free - 1
    if unskilled:
        found["skills or priority"] = unskilled
    return found


def _why_not(board: Board, policy: Distribution, task: Task, name: str, now: int) -> str:
    if name in (task.avoid, task.agent):
        return "failed or lost it"
    agent = board.ledger.agents.agents[name]
    if agent.state == "probation" and task.priority == "high":
        return "probation"
    record = board.ledger.record(name)
    if (
        isinstance(policy, PullBest)
        and record.fails
        and policy.values["flaky"]
        and policy.likely_ms(board, task.size) > policy.longest_ms(record, now)
    ):
        return "too long for it"
    return policy.behind()


def _terms(board: Board, policy: Distribution, name: str, now: int) -> dict[str, float]:
    return {term: round(value, 3) for term, value in policy.terms(board, name, now).items()}

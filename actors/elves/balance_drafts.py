"""The Balance elf's decisions in full: what is done, why, and the numbers it rests on."""

from collections.abc import Iterator, Sequence

from actors.elves import Draft
from actors.elves.distribution import Board, Distribution, Pick, distribution
from actors.elves.distribution.explain import candidates, counted
from actors.elves.distribution.sharing import Table
from actors.elves.redistribution import Move, Wanted
from events.decisions import AssignTask, Candidate, GiveUpTask, ProposeMove, RaiseAlert
from events.settings import DistributionSettings
from projections.assignments import Task
from projections.dispatch import Dispatch

ALERT_COST = 1
_WHY = {
    "fallback": "nobody else may take it",
    "high_of_failed": "high task of an agent that went away",
    "unclaimed": "not claimed in time",
}


def policy_of(dispatch: Dispatch, settings: DistributionSettings) -> Distribution:
    """Return the policy in force, kept beside the fold. What no release knows counts as the default."""
    resort = dispatch.resorts[0] if dispatch.resorts else ""
    kept: tuple[DistributionSettings, str, Distribution] | None = dispatch.__dict__.get("policy")
    if kept and kept[0] == settings and kept[1] == resort:
        return kept[2]
    try:
        policy = distribution(settings.policy, settings.parameters, resort, settings.learning)
    except ValueError:
        policy = distribution("pull_best", learning=settings.learning)
    dispatch.__dict__["policy"] = (settings, resort, policy)
    return policy


def candidate_of(dispatch: Dispatch, settings: DistributionSettings) -> Distribution | None:
    """Return the policy that is being tried, kept beside the fold; None without one that this release knows."""
    canary = settings.canary
    resort = dispatch.resorts[0] if dispatch.resorts else ""
    if not canary:
        return None
    place = (canary, resort, settings.learning)
    kept = dispatch.__dict__.get("candidate")
    if not kept or kept[0] != place:
        try:
            kept = (place, distribution(canary.policy, canary.parameters, resort, settings.learning))
        except ValueError:
            kept = (place, None)
        dispatch.__dict__["candidate"] = kept
    found: Distribution | None = kept[1]
    return found


def assignment(board: Board, policy: Distribution, pick: Pick, now: int, tried: bool | None = None) -> Draft:
    """Return the decision that a task is an agent's."""
    task = board.ledger.tasks[pick.key]
    others = counted(board, policy, pick)
    facts = {
        **_facts(task, now),
        "distribution": f"{policy.name}/{policy.version}",
        "estimate_s": round(board.ledger.sizes.estimate_ms(task.size, 1) / 1000, 3),
        "waiting": len(board.lanes),
        "others": others,
    }
    if tried is not None:
        facts["canary"] = tried
    why = _WHY.get(pick.reason, pick.reason)
    previous = task.agent if task.state == "assigned" else task.previous
    left = f" instead of {previous}" if previous else ""
    against = ", ".join(f"{number} {reason}" for reason, number in others.items())
    return Draft(
        rule=pick.rule,
        target=task.task,
        action=_given(task, pick.agent, previous),
        reason=pick.reason,
        text=f"{task.task} to {pick.agent}{left}: {why}" + (f"; others: {against}" if against else ""),
        inputs=facts,
        candidates=candidates(board, policy, pick, now),
    )


def moves(board: Board | Table, wanted: Sequence[Wanted], most: int, now: int) -> Iterator[Draft]:
    """Yield approved moves that can be made now."""
    for move in wanted[:most]:
        task = board.ledger.tasks[move.key]
        if not board.seats.is_free(move.goal):
            continue
        yield Draft(
            rule="redistribute",
            target=task.task,
            action=_given(task, move.goal, move.source),
            reason="approved",
            text=f"{task.task} from {move.source} to {move.goal}, as proposed",
            inputs=_facts(task, now),
            candidates=(Candidate(name=move.goal), Candidate(name=move.source, why_not="load to be reduced")),
        )
        board.reserve(Pick(move.key, move.goal, "redistribute", "approved"))


def given_up(task: Task) -> Draft:
    """Return the decision that no attempt is left."""
    return Draft(
        rule="give_up",
        target=task.task,
        action=GiveUpTask(
            task=task.task,
            queue=task.queue,
            attempts=task.attempts,
            after=task.after,
            kind=task.failure,
            error=task.error,
        ),
        reason="attempts_spent",
        text=f"{task.task} failed {task.attempts} times, at last: {task.error}",
        inputs={
            "task": task.task,
            "queue": task.queue,
            "attempts": task.attempts,
            "agents": task.leases[-8:],
        },
    )


def proposal(move: Move, limit: float) -> Draft:
    """Return the advice to move tasks that were not started."""
    names = ", ".join(key.partition("/")[2] for key in move.tasks)
    why = f"above {limit:g}" if move.reason == "overload" else "does most of the work"
    return Draft(
        rule="redistribute",
        target=move.source,
        action=ProposeMove(tasks=move.tasks, source=move.source, goal=move.goal),
        reason=move.reason,
        text=f"{move.source} has a load of {move.before[0]:.1f}, {why}; {names} would be better off with {move.goal}",
        inputs={
            "limit": limit,
            "source_before": round(move.before[0], 3),
            "source_after": round(move.after[0], 3),
            "goal_before": round(move.before[1], 3),
            "goal_after": round(move.after[1], 3),
        },
        cost=max(1, len(move.tasks) // 10),
        advice=True,
    )


def alarm(queue: str, tasks: Sequence[Task], now: int, again: bool) -> Draft:
    """Return the alert that nobody may take what waits."""
    kinds = sorted({task.kind or "any" for task in tasks})[:10]
    oldest = min(task.at for task in tasks)
    return Draft(
        rule="unplaced",
        target=queue,
        action=RaiseAlert(cause="unplaced", severity="warning", again=again),
        reason="nobody_eligible",
        text=f"{len(tasks)} tasks of {queue} wait longer than half their time and nobody is there who may take them:"
        f" {', '.join(kinds)}",
        inputs={"tasks": len(tasks), "kinds": kinds, "oldest_s": round((now - oldest) / 1e6, 3)},
        cost=ALERT_COST,
    )


def _given(task: Task, agent: str, previous: str) -> AssignTask:
    return AssignTask(
        task=task.task,
        queue=task.queue,
        agent=agent,
        lease=len(task.leases) + 1,
        attempt=task.attempts + 1,
        submitted=task.submitted,
        after=task.after,
        previous=previous,
    )


def _facts(task: Task, now: int) -> dict[str, object]:
    facts: dict[str, object] = {
        "queue": task.queue,
        "kind": task.kind,
        "priority": task.priority,
        "complexity": task.complexity,
        "waited_s": round((now - task.at) / 1e6, 3),
        "attempts": task.attempts,
    }
    if task.avoid:
        facts["avoid"] = task.avoid
    return facts

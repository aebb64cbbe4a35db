"""What an agent that is lost leaves behind: a note for each task it was at, from its last beat."""

from collections.abc import Iterator
from typing import Any

import msgspec

from actors.agent_words import AgentBeat
from events.agents import HandedOver
from events.decisions import GiveUpTask
from events.tasks import FailureKind, TaskDied
from projections.agency import Agency

_KINDS: dict[str, FailureKind] = {
    "error": "error",
    "timeout": "timeout",
    "crash": "crash",
    "exit": "exit",
    "garbage": "garbage",
}


def left_behind(agency: Agency, name: str, beat: AgentBeat | None) -> Iterator[HandedOver]:
    """Yield a note for each task that the agent had claimed and not ended."""
    seen = {(one.queue, one.task): one for one in beat.tasks} if beat else {}
    for task in agency.dispatch.tasks.values():
        if task.claimer != name:
            continue
        known = seen.get((task.queue, task.task))
        note: dict[str, Any] = {"error": f"agent {name} was lost at its task"}
        if known is not None:
            note["progress"] = msgspec.to_builtins(known)
        yield HandedOver(task=task.task, queue=task.queue, agent=name, attempt=task.attempts, note=note)


def end_of(action: GiveUpTask) -> TaskDied:
    """Return the end that a task without attempts gets."""
    return TaskDied(
        task=action.task,
        queue=action.queue,
        unit="",
        attempts=action.attempts,
        kind=_KINDS.get(action.kind, "error"),
        error=action.error,
    )

"""What the tables know of tasks whose events have left the stream: ids that are used up, dead letters to bring back."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from events.codec import decode
from events.envelope import Recorded

Query = Callable[[str, Sequence[object]], Awaitable[list[list[Any]]]]
"""Asks the node's tables; no rows where no node answers."""

_AT_ONCE = 5_000
_USED = (
    "SELECT queue, task, max(position), arg_max(what, position) FROM task_event"
    " WHERE task IN (SELECT unnest(?::VARCHAR[])) AND what <> 'salvaged' GROUP BY queue, task ORDER BY 3"
)
_LAST = (
    "SELECT position, subject, decode(data) FROM log WHERE position ="
    " (SELECT max(position) FROM task_event WHERE task = ? AND what <> 'salvaged')"
)
_SUBMITTED = (
    "SELECT position, subject, decode(data) FROM log WHERE position ="
    " (SELECT max(position) FROM task_event WHERE task = ? AND queue = ? AND what = 'submitted')"
)


async def used(query: Query, tasks: Collection[tuple[str, str]]) -> list[str]:
    """Return those of these tasks (queue and id) that there have been already, each with its last event."""
    ids = sorted({task for _, task in tasks})
    found: list[str] = []
    for start in range(0, len(ids), _AT_ONCE):
        for queue, task, position, what in await query(_USED, [ids[start : start + _AT_ONCE]]):
            if (queue, task) in tasks:
                found.append(f"{task} (last event: task_{what} at position {position})")
    return found


async def last_of(query: Query, task: str) -> Recorded | None:
    """Return the last event of a task, None where the tables do not know it."""
    return await _one(query, _LAST, [task])


async def submission_of(query: Query, task: str, queue: str) -> Recorded | None:
    """Return what was last asked for under an id."""
    return await _one(query, _SUBMITTED, [task, queue])


async def _one(query: Query, sql: str, values: Sequence[object]) -> Recorded | None:
    rows = await query(sql, values)
    if not rows:
        return None
    position, subject, data = rows[0]
    return decode(position, subject, data.encode())

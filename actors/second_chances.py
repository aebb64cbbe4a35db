"""What people do with tasks that did not make it: submit them again under their id, or drop them for good."""

import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from actors.client import Client, Said
from actors.old_tasks import submission_of
from actors.place import ClientError
from events.envelope import Recorded
from events.tasks import TaskCancelled, TaskDied, TaskDropped, TaskFailed, TaskSubmitted

_ADVICE = {
    "task_submitted": "it waits already",
    "task_released": "it waits already",
    "task_started": "it runs; try elf task cancel first",
    "task_finished": "it is done; try elf submit for another one",
}


async def retry(client: Client, task: str) -> int:
    """Hand a task out at once whose attempts are over, or whose next one lies ahead; returns the position.

    Its attempts count from there. Raises ClientError for one that waits, runs or is done.
    """

    async def submission(last: Recorded, queue: str) -> Said:
        body = last.body
        delayed = isinstance(body, TaskSubmitted) and body.due > time.time_ns() // 1000
        if not delayed and not isinstance(body, TaskFailed | TaskDied | TaskDropped | TaskCancelled):
            advice = _ADVICE.get(last.type, "it cannot be retried")
            raise ClientError(f"expected a task to retry, got {task}: {last.type}; {advice}", 1)
        return await _submission(client, task, queue)

    return await client.change(task, submission)


async def requeue(client: Client, task: str) -> int:
    """Submit a dead letter again under its id; returns the position. Raises ClientError for any other task."""

    async def submission(last: Recorded, queue: str) -> Said:
        _expect_dead(task, last)
        return await _submission(client, task, queue)

    return await client.change(task, submission)


async def drop(client: Client, task: str, reason: str = "") -> int:
    """Take a dead letter off the list for good; returns the position. Raises ClientError for any other task."""

    async def farewell(last: Recorded, queue: str) -> Said:
        _expect_dead(task, last)
        return TaskDropped(task=task, queue=queue, reason=reason), last.trace

    return await client.change(task, farewell)


async def each(
    tasks: Sequence[str], act: Callable[[str], Awaitable[int]]
) -> list[tuple[str, int | ClientError]]:
    """Do the same with every task, one after the other; one that refuses does not keep the others."""
    found: list[tuple[str, int | ClientError]] = []
    for task in tasks:
        try:
            found.append((task, await act(task)))
        except ClientError as problem:
            found.append((task, problem))
    return found


def _expect_dead(task: str, last: Recorded) -> None:
    if not isinstance(last.body, TaskDied):
        raise ClientError(f"expected a dead letter, got {task}: {last.type}; try elf dlq list", 1)


async def _submission(client: Client, task: str, queue: str) -> Said:
    """Return what was asked for, as due now, and its trace."""
    # Under each class: what an earlier release took as high or low stands under the middle one.
    asked = [await client.log.last(f"log.*.*.task.{queue}.{task}.submitted{more}") for more in ("", ".*")]
    found = max((one for one in asked if one), key=lambda one: one.position, default=None)
    found = found or await submission_of(client.query, task, queue)
    if found is None or not isinstance(found.body, TaskSubmitted):
        raise ClientError(
            f"expected the submission of {task} in the log, got none; try with a running node, or elf submit {queue}",
            1,
        )
    return msgspec.structs.replace(found.body, due=0), found.trace

"""What a handler asks to be submitted along with its result."""

from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import Raw, Struct

from actors.runner_jobs import PAYLOAD_LIMIT, Job
from events.subjects import token
from events.tasks import TaskSubmitted
from events.traces import traceparent

# One batch holds 1,000 events, the end of the parent among them.
SUBTASK_LIMIT = 999


class _Subtask(Struct, forbid_unknown_fields=True):
    queue: str
    payload: Raw = Raw(b"null")
    type: str = ""
    id: str = ""
    priority: str = "middle"
    complexity: int = 0
    timeout_s: float = 0.0
    traceparent: str = ""


def subtasks_of(job: Job, submit: Raw) -> list[tuple[TaskSubmitted, str]]:
    """Return the submissions, each with its traceparent; ids and traces not given follow from the parent's.

    Raises ValueError for a wrong one.
    """
    if bytes(submit) == b"null":
        return []
    try:
        wanted = msgspec.json.decode(submit, type=list[_Subtask])
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise ValueError(
            f"expected submit to be a list of {{queue, type, payload}}, got: {problem}"
        ) from problem
    if len(wanted) > SUBTASK_LIMIT:
        raise ValueError(f"expected at most {SUBTASK_LIMIT} subtasks, got {len(wanted)}")
    found: dict[tuple[str, str], tuple[TaskSubmitted, str]] = {}
    for number, one in enumerate(wanted, 1):
        if len(bytes(one.payload)) > PAYLOAD_LIMIT:
            raise ValueError(
                f"expected submit[{number - 1}].payload of at most {PAYLOAD_LIMIT} bytes,"
                f" got {len(bytes(one.payload))}; try to pass a path"
            )
        name = token(one.id or _name(job.task, number), f"submit[{number - 1}].id")
        queue = token(one.queue, f"submit[{number - 1}].queue")
        if (queue, name) in found or (queue, name) == (job.queue, job.task):
            raise ValueError(f"expected submit[{number - 1}].id to be new, got {name!r} again")
        payload: Any = one.payload
        trace = (
            traceparent(one.traceparent, f"submit[{number - 1}].traceparent")
            if one.traceparent
            else job.trace
        )
        task = TaskSubmitted(
            task=name,
            queue=queue,
            kind=one.type,
            payload=payload,
            priority=one.priority,
            complexity=one.complexity,
            timeout_s=one.timeout_s,
            parent=job.task,
        )
        found[queue, name] = task, trace
    return list(found.values())


def _name(task: str, number: int) -> str:
    name = f"{task}-{number}"
    if len(name) <= 64:
        return name
    return f"{task[:32]}-{blake2b(task.encode(), digest_size=8).hexdigest()}-{number}"

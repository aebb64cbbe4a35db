"""Tasks as people write them: one on the command line, or many as JSON lines."""

import re
import time
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from actors.client import PAYLOAD_LIMIT, new_ids
from actors.faces.console.failure import Failure, closest
from events.subjects import token
from events.tasks import TaskSubmitted
from events.traces import traceparent


class TaskLine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of tasks.jsonl. Without an id it gets one, without a queue the one of its type."""

    queue: str = ""
    type: str = ""
    payload: Any = None
    id: str = ""
    priority: Literal["high", "middle", "low"] = "middle"
    complexity: int = 0
    timeout_s: float = 0.0
    delay_s: float = 0.0
    traceparent: str = ""


class Bad(Exception):
    """What is wrong with one task, without its place."""


_UNKNOWN = re.compile(r"unknown field '([^']*)'")
_decoder = msgspec.json.Decoder(TaskLine)


def read_lines(lines: Iterable[bytes], name: str) -> list[tuple[str, TaskLine]]:
    """Read JSON lines into (place, task), empty lines left out. Raises Failure that names every bad line."""
    found: list[tuple[str, TaskLine]] = []
    wrong: list[str] = []
    for number, read in enumerate(lines, 1):
        line = read.removeprefix(b"\xef\xbb\xbf") if number == 1 else read
        if not line.strip():
            continue
        place = f"{name}:{number}"
        try:
            found.append((place, _decoder.decode(line)))
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            wrong.append(f"{place}: {_advice(str(problem))}")
    if wrong:
        raise Failure(_told(wrong))
    return found


def _advice(problem: str) -> str:
    """Put what msgspec says into the form of every other error."""
    text = problem.replace("`", "'")
    unknown = _UNKNOWN.search(text)
    if unknown:
        near = closest(unknown[1], list(TaskLine.__struct_fields__))
        return f"expected a known key, got {unknown[1]!r}; {near}"
    if "enum value" in text:
        return f"expected priority high, middle or low, got {text.split(' - ')[0].rpartition('value ')[2]}"
    if text.startswith("Expected"):
        return text[:1].lower() + text[1:]
    return f"expected a JSON object, got: {text}"


def to_events(
    lines: Sequence[tuple[str, TaskLine]],
    queues: Sequence[str] | None,
    default_queue: str = "",
    due: int = 0,
) -> list[TaskSubmitted]:
    """Check tasks against each other and the queues there are (None: nobody knows). Raises Failure.

    `due`, in microseconds since 1970, is for those that name no delay of their own.
    """
    fresh = new_ids(len(lines))
    events: list[TaskSubmitted] = []
    wrong: list[str] = []
    seen: dict[str, str] = {}
    for (place, line), spare in zip(lines, fresh, strict=True):
        try:
            event = _to_event(line, line.id or spare, queues, default_queue, due)
        except Bad as problem:
            wrong.append(f"{place}: {problem}")
            continue
        if event.task in seen:
            wrong.append(
                f"{place}: expected ids that differ, got {event.task} again (first on {seen[event.task]})"
            )
            continue
        seen[event.task] = place
        events.append(event)
    if wrong:
        raise Failure(_told(wrong))
    return events


def _to_event(
    line: TaskLine, task: str, queues: Sequence[str] | None, default_queue: str, due: int
) -> TaskSubmitted:
    try:
        queue = token(_queue_of(line, queues, default_queue), "queue")
        token(task, "task id")
        if line.traceparent:
            traceparent(line.traceparent)
    except ValueError as problem:
        raise Bad(str(problem)) from None
    if queues is not None and queue not in queues:
        raise Bad(f"expected a queue of this forest, got {queue!r}; {closest(queue, list(queues))}")
    length = len(msgspec.json.encode(line.payload))
    if length > PAYLOAD_LIMIT:
        raise Bad(
            f"expected a payload of at most 256 KiB, got {length // 1024} KiB;"
            " try writing it to a file and giving its path"
        )
    if min(line.complexity, line.timeout_s, line.delay_s) < 0:
        raise Bad("expected complexity, timeout_s and delay_s of at least 0, got a negative one")
    if line.delay_s:
        due = time.time_ns() // 1000 + int(line.delay_s * 1e6)
    return TaskSubmitted(
        task=task,
        queue=queue,
        kind=line.type,
        payload=line.payload,
        priority=line.priority,
        complexity=line.complexity,
        timeout_s=line.timeout_s,
        due=due,
    )


def _queue_of(line: TaskLine, queues: Sequence[str] | None, default_queue: str) -> str:
    queue = line.queue or default_queue
    if queue:
        return queue
    if not line.type:
        raise Bad(
            'expected a queue, got neither "queue" nor "type"; try elf submit QUEUE, or "queue" in the line'
        )
    if queues is None:
        raise Bad(f'expected "queue", got the type {line.type!r} alone and no node that knows its queue')
    if line.type not in queues:
        raise Bad(
            f'expected "queue" or a queue named like the type, got {line.type!r};'
            f" {closest(line.type, list(queues))}"
        )
    return line.type


def _told(wrong: Sequence[str]) -> str:
    more = [f"and {len(wrong) - 20} more lines"] if len(wrong) > 20 else []
    return "\n".join([*wrong[:20], *more, "nothing was submitted"])

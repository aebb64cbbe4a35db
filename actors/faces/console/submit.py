"""`elf submit`: one append a task, all valid or nothing, and on demand the wait for their ends."""

import asyncio
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import Parameter

from actors.client import Client
from actors.faces.console.failure import Exit, Failure
from actors.faces.console.moments import due_of
from actors.faces.console.options import HERE, WhereOption
from actors.faces.console.output import Progress, note, show_json
from actors.faces.console.task_lines import TaskLine, read_lines, to_events
from actors.faces.console.waiting import Ends
from actors.place import NodeUnreachable, Place
from events.envelope import Recorded
from events.tasks import TaskCancelled, TaskDied, TaskFinished, TaskSubmitted
from events.traces import trace_id, traceparent

_STATES = {TaskFinished: "done", TaskDied: "dead", TaskCancelled: "cancelled"}


@dataclass(frozen=True)
class Task:
    """The one task of a command line."""

    payload: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None
    """Any JSON value, at most 256 KiB."""

    type: str = ""
    """What kind of task it is, for the handler and for statistics."""

    priority: Literal["high", "middle", "low"] = "middle"
    """How urgent it is."""

    complexity: int = 0
    """A number the policies may use; larger is harder."""

    id: str = ""
    """A name of your own (letters, digits, "_" and "-"); the same id is never accepted twice."""

    timeout: float = 0.0
    """Seconds one attempt may take; 0 leaves it to the queue."""

    traceparent: str = ""
    """The W3C trace context it belongs to; TRACEPARENT of the environment by default."""


@dataclass(frozen=True)
class Patience:
    """Whether to wait for the ends, and how long."""

    wait: bool = False
    """Wait for the end and print the result; exit code 1 unless all are done."""

    wait_timeout: float | None = None
    """Stop waiting after so many seconds, with exit code 5; the tasks go on."""


@dataclass(frozen=True)
class Start:
    """When to hand the tasks out."""

    delay: str = ""
    """Hand out only after so long: 10s, 5m, 2h or 1d."""

    at: str = ""
    """Hand out at this time, 18:30 or 2027-01-31T18:30, in the local zone unless it names one."""


ONE = Task()
NOW = Start()
NOT_AT_ALL = Patience()


def submit(
    queue: Annotated[str, Parameter(allow_leading_hyphen=True)] = "",
    lines: Annotated[str, Parameter(allow_leading_hyphen=True)] = "",
    /,
    *,
    task: Annotated[Task, Parameter(name="*")] = ONE,
    file: Annotated[str, Parameter(allow_leading_hyphen=True)] = "",
    start: Annotated[Start, Parameter(name="*")] = NOW,
    patience: Annotated[Patience, Parameter(name="*")] = NOT_AT_ALL,
    json: bool = False,
    where: WhereOption = HERE,
) -> int:
    """Submit one task, or many from JSON lines.

    Parameters
    ----------
    queue
        The queue; may be left out where the lines name theirs. "-" reads lines from standard input.
    lines
        "-" reads lines from standard input, for this queue unless a line names its own.
    file
        A file of JSON lines, or "-": {"queue" or "type", "payload", "id"?, "priority"?, "complexity"?,
        "timeout_s"?, "delay_s"?, "traceparent"?}.
    json
        Print {"ids": [...]}, with --wait also {"tasks": [...]}.
    """
    if queue == "-" or lines == "-":
        file, queue = "-", "" if queue == "-" else queue
    elif queue.startswith("-"):
        raise Failure(f"unknown option {queue}; try elf submit --help")
    elif lines:
        raise Failure(f"expected one queue, got also {lines!r}; try --payload for the payload")
    if not file:
        given = [("the task", _line_of(queue, task))]
    elif task == ONE:
        given = _lines_of(file)
    else:
        raise Failure(
            "expected either lines or one task, got --file and options of one task; try without them"
        )
    if not given:
        raise Failure(f"expected at least one task, got none in {file}")
    due = due_of(start.delay, start.at)
    return asyncio.run(_submit(where.place(), given, queue, due, patience, json))


def _line_of(queue: str, task: Task) -> TaskLine:
    if not queue and not task.type:
        raise Failure(
            "expected a queue, got none; try elf submit QUEUE --payload JSON, or --file tasks.jsonl"
        )
    return TaskLine(
        queue=queue,
        type=task.type,
        payload=_value(task.payload),
        id=task.id,
        priority=task.priority,
        complexity=task.complexity,
        timeout_s=task.timeout,
        traceparent=_given_trace(task.traceparent),
    )


def _given_trace(text: str) -> str:
    try:
        return traceparent(text, "--traceparent") if text else ""
    except ValueError as problem:
        raise Failure(str(problem)) from None


def _trace_around() -> str:
    """Return the trace context that this command runs in; one that is none is passed over, as W3C asks."""
    around = os.environ.get("TRACEPARENT", "")
    return around if trace_id(around) else ""


def _value(payload: str | None) -> Any:
    if payload is None:
        return None
    try:
        return msgspec.json.decode(payload)
    except msgspec.DecodeError as problem:
        raise Failure(
            f"expected JSON after --payload, got {payload[:60]!r} ({problem});"
            ' try --payload \'{"path": "a.py"}\' or --payload \'"text"\''
        ) from None


def _lines_of(file: str) -> list[tuple[str, TaskLine]]:
    if file == "-":
        return read_lines(sys.stdin.buffer, "standard input")
    try:
        with Path(file).open("rb") as source:
            return read_lines(source, file)
    except OSError as problem:
        raise Failure(f"expected a file of tasks, got {file}: {problem.strerror}; try another path") from None


async def _submit(
    place: Place,
    given: Sequence[tuple[str, TaskLine]],
    queue: str,
    due: int,
    patience: Patience,
    as_json: bool,
) -> int:
    async with await Client.open(place, "client", patient=True) as client:
        tasks = to_events(given, await queues_of(client), queue, due)
        ends = Ends(client, {task.task: task.queue for task in tasks})
        if patience.wait:
            await ends.listen()
        progress = Progress("submitted", len(tasks))
        around = _trace_around()
        traces = {task.task: line.traceparent or around for (_, line), task in zip(given, tasks, strict=True)}
        await client.submit(tasks, progress.at, {line.id for _, line in given if line.id}, traces)
        progress.end()
        ids = [task.task for task in tasks]
        if not patience.wait:
            _show_ids(ids, as_json)
            return Exit.FINE
        return await _show_ends(ends, tasks, patience.wait_timeout, as_json)


async def queues_of(client: Client) -> list[str] | None:
    """Return the queues of the running node, None when none answers."""
    try:
        status = await client.ask("status", timeout=2.0)
    except NodeUnreachable:
        note("no node answers: the queue's name is not checked, the tasks wait in the log")
        return None
    return [queue["name"] for queue in status["queues"]]


def _show_ids(ids: Sequence[str], as_json: bool) -> None:
    if as_json:
        show_json({"ids": ids})
    else:
        print("\n".join(ids))


async def _show_ends(
    ends: Ends, tasks: Sequence[TaskSubmitted], wait_timeout: float | None, as_json: bool
) -> int:
    rows: dict[str, dict[str, Any]] = {}
    progress = Progress("ended", len(tasks))
    async for task, event in ends.results(wait_timeout):
        rows[task] = row_of(task, event)
        progress.at(len(rows))
        if not as_json and len(tasks) > 1:
            progress.end()
            _show_one_of_many(rows[task])
    progress.end()
    if as_json:
        ids = [task.task for task in tasks]
        ended = [rows.get(task, {"id": task, "state": "unfinished"}) for task in ids]
        show_json({"ids": ids, "tasks": ended})
    elif len(tasks) == 1 and rows:
        _show_single(rows[tasks[0].task])
    if len(rows) < len(tasks):
        raise Failure(
            f"expected {len(tasks)} tasks to end within {wait_timeout:g} s, got {len(rows)}; try elf tasks",
            Exit.CANNOT_SAY,
        )
    done = sum(row["state"] == "done" for row in rows.values())
    if len(tasks) > 1:
        note(f"{done} of {len(tasks)} done")
    return Exit.FINE if done == len(tasks) else Exit.NO


def _show_one_of_many(row: dict[str, Any]) -> None:
    """Print a line: short where a person looks, whole in a pipe."""
    if not sys.stdout.isatty():
        show_json(row)
        return
    value = msgspec.json.encode(row["result"]).decode() if row["state"] == "done" else row["error"]
    room = max(20, shutil.get_terminal_size().columns - len(row["id"]) - 14)
    print(f"{row['id']}  {row['state']:<9}  {value if len(value) <= room else value[: room - 3] + '...'}")


def row_of(task: str, event: Recorded) -> dict[str, Any]:
    """Return how a task ended, for scripts."""
    body = event.body
    row: dict[str, Any] = {"id": task, "state": _STATES[type(body)]}
    if isinstance(body, TaskFinished):
        row["result"] = body.result
    elif isinstance(body, TaskDied):
        row["error"] = body.error
    elif isinstance(body, TaskCancelled):
        row["error"] = body.reason or "cancelled"
    return row


def _show_single(row: dict[str, Any]) -> None:
    if row["state"] == "done":
        show_json(row["result"])
    else:
        note(f"{row['id']} {row['state']}: {row['error']}")

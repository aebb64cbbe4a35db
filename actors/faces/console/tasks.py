"""`elf task` and `elf tasks`: one task with its story in events, many in a table, withdrawing and retrying one."""

import asyncio
import time
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from actors import second_chances
from actors.client import Client
from actors.faces.console.failure import Exit, Failure
from actors.faces.console.options import HERE, Language, WhereOption, language
from actors.faces.console.output import clock, show_json, show_table, span
from actors.faces.console.reading import Reading
from actors.faces.console.words import say
from actors.faces.reasons import fault
from actors.place import ClientError, Place
from events.subjects import token

task = App(name="task", help="Show one task, withdraw it (task cancel ID) or try it again (task retry ID).")

State = Literal["waiting", "delayed", "assigned", "running", "done", "failed", "dead", "dropped", "cancelled"]

_ONE = (
    "SELECT id, queue, type, priority, complexity, state, agent, worker, attempts, submitted, started,"
    " finished, response_s, error, due, trace_id, end_seq FROM tasks WHERE id = ?"
)
_MANY = (
    "SELECT id, queue, type, priority, complexity, state, agent, worker, attempts, submitted, started,"
    " finished, response_s, error, due FROM tasks WHERE (? = '' OR state = ?) AND (? = '' OR queue = ?)"
    " ORDER BY submit_seq DESC LIMIT ?"
)
_EVENTS = (
    "SELECT seq, time, type, source, entity, causation, body FROM events"
    " WHERE correlation = ? OR (entity = ? AND type LIKE 'task!_%' ESCAPE '!') ORDER BY seq"
)
# A view is behind the log by milliseconds while the node runs; this is how long a fresh task is waited for.
_CATCH_UP_S = 3.0


@task.default
def show(
    id: str,
    /,
    *,
    json: bool = False,
    lang: Language | None = None,
    where: WhereOption = HERE,
) -> int:
    """Show a task: its state, its result or error, and every event of it.

    Parameters
    ----------
    id
        The task's id, as submit printed it.
    json
        Print {"id", "state", "queue", "attempts", "worker", "result", "error", "events"}.
    lang
        en or ja.
    """
    try:
        token(id, "task id")
    except ValueError as problem:
        raise Failure(str(problem)) from None
    place = where.place()
    with Reading(place) as reading:
        found = _task(reading, place, id)
    if json:
        show_json(found)
    else:
        _print(found, language(lang))
    return Exit.FINE


def _task(reading: Reading, place: Place, id: str) -> dict[str, Any]:
    deadline = time.monotonic() + _CATCH_UP_S
    known = False
    while True:
        rows = reading.query(_ONE, [id])
        if rows:
            break
        known = known or asyncio.run(_is_in_log(place, id))
        if not known or time.monotonic() > deadline:
            raise Failure(_unknown(id, known), Exit.CANNOT_SAY if known else Exit.NO)
        time.sleep(0.05)
    row = rows[-1]
    events = reading.query(_EVENTS, [id, id])
    end = next((event for event in events if event["seq"] == row["end_seq"]), None)
    row.pop("end_seq")
    row["result"] = _body(end).get("result") if end and row["state"] == "done" else None
    row["events"] = events
    for event in events:
        event["body"] = _body(event)
    return row


def _unknown(id: str, known: bool) -> str:
    if known:
        return f"{id} stands in the log, and the node that would say more does not run; try elf node"
    return f"expected a task of this forest, got {id!r}; try elf tasks"


async def _is_in_log(place: Place, id: str) -> bool:
    try:
        async with await Client.open(place, "client") as client:
            return await client.find(id) is not None
    except ClientError:
        return False


def _body(event: dict[str, Any]) -> dict[str, Any]:
    import msgspec

    body = event["body"]
    decoded = msgspec.json.decode(body) if isinstance(body, str) else body
    return decoded if isinstance(decoded, dict) else {}


def _print(found: dict[str, Any], lang: Language) -> None:
    print(f"{say('task', lang)}  {found['id']}")
    print(f"{say('state', lang)}  {say(found['state'], lang)}")
    print(f"{say('queue', lang)}  {found['queue']}" + (f" ({found['type']})" if found["type"] else ""))
    print(
        f"{say('attempts', lang)}  {found['attempts']}" + (f" ({found['worker']})" if found["worker"] else "")
    )
    if found["state"] == "delayed":
        print(f"{say('due', lang)}  {clock(found['due'])}")
    if found["response_s"] is not None:
        print(f"{say('response', lang)}  {span(found['response_s'])}")
    if found["trace_id"]:
        print(f"{say('trace', lang)}  {found['trace_id']}")
    if found["error"]:
        print(f"{say('error', lang)}  {fault(found['error'], lang)}")
    if found["result"] is not None:
        print(say("result", lang))
        show_json(found["result"])
    print()
    headings = [say(word, lang) for word in ("position", "time", "event", "source")]
    rows = [[event["seq"], clock(event["time"]), event["type"], event["source"]] for event in found["events"]]
    show_table(headings, rows, numbers=(0,))


@task.command
def cancel(
    id: str,
    /,
    *,
    reason: str = "",
    json: bool = False,
    where: WhereOption = HERE,
) -> int:
    """Withdraw a task that has not ended; a running handler is ended too.

    Parameters
    ----------
    id
        The task's id.
    reason
        Why, for the log.
    json
        Print {"id", "position"}.
    """

    async def withdraw() -> int:
        async with await Client.open(where.place(), "client") as client:
            return await client.cancel(id, reason)

    try:
        position = asyncio.run(withdraw())
    except ValueError as problem:
        raise Failure(str(problem)) from None
    if json:
        show_json({"id": id, "position": position})
    else:
        print(f"{id} cancelled at position {position}")
    return Exit.FINE


@task.command
def retry(
    id: str,
    /,
    *,
    json: bool = False,
    where: WhereOption = HERE,
) -> int:
    """Hand a task out now: one that failed, died, was dropped, cancelled or delayed.

    Parameters
    ----------
    id
        The task's id; its attempts count anew.
    json
        Print {"id", "position"}.
    """

    async def again() -> int:
        async with await Client.open(where.place(), "client") as client:
            return await second_chances.retry(client, id)

    try:
        position = asyncio.run(again())
    except ValueError as problem:
        raise Failure(str(problem)) from None
    if json:
        show_json({"id": id, "position": position})
    else:
        print(f"{id} submitted again at position {position}")
    return Exit.FINE


def tasks(
    *,
    state: State | None = None,
    queue: str = "",
    limit: Annotated[int, Parameter(name=["--limit", "-n"])] = 50,
    json: bool = False,
    where: WhereOption = HERE,
) -> int:
    """List tasks, the latest first.

    Parameters
    ----------
    state
        Only tasks in this state.
    queue
        Only tasks of this queue.
    limit
        At most so many.
    json
        Print a JSON list.
    """
    if limit < 1:
        raise Failure(f"expected --limit of at least 1, got {limit}")
    wanted = state or ""
    with Reading(where.place()) as reading:
        rows = reading.query(_MANY, [wanted, wanted, queue, queue, limit])
    if json:
        show_json(rows)
        return Exit.FINE
    cells = [
        [
            row["id"],
            row["queue"],
            row["type"],
            f"delayed to {clock(row['due'])}" if row["state"] == "delayed" else row["state"],
            row["worker"],
            row["attempts"],
            clock(row["submitted"]),
            span(row["response_s"]),
            (row["error"] or "")[:80],
        ]
        for row in rows
    ]
    headings = ["task", "queue", "type", "state", "worker", "attempts", "submitted", "response", "error"]
    show_table(headings, cells, numbers=(5, 7))
    return Exit.FINE

"""`elf dlq`: the tasks that have used up their attempts, with what is known of how they ended."""

import asyncio
from typing import Annotated, Any

from cyclopts import App, Parameter

from actors import second_chances
from actors.client import Client
from actors.faces.console.failure import Exit, Failure
from actors.faces.console.options import HERE, Language, WhereOption, language
from actors.faces.console.output import clock, note, show_json, show_table, size
from actors.faces.console.reading import Reading
from actors.faces.console.words import say
from actors.faces.reasons import fault
from actors.place import Place
from events.subjects import token

dlq = App(
    name="dlq", help="Dead letters: tasks without an attempt left (list, show ID, requeue ID, drop ID)."
)

_ALL = (
    "SELECT id, queue, type, worker, attempts, deaths, failure, error, submitted, died, code, signal"
    " FROM dead_letters WHERE (? = '' OR queue = ?) ORDER BY seq DESC LIMIT ?"
)
_ONE = "SELECT * FROM dead_letters WHERE id = ?"
_MOST = 10_000


@dlq.command(name="list")
def list_(
    *,
    queue: str = "",
    limit: Annotated[int, Parameter(name=["--limit", "-n"])] = 50,
    json: bool = False,
    lang: Language | None = None,
    where: WhereOption = HERE,
) -> int:
    """List dead letters, the latest first.

    Parameters
    ----------
    queue
        Only those of this queue.
    limit
        At most so many.
    json
        Print a JSON list.
    lang
        en or ja.
    """
    if limit < 1:
        raise Failure(f"expected --limit of at least 1, got {limit}")
    rows = _rows(where.place(), queue, limit)
    if json:
        show_json(rows)
        return Exit.FINE
    tongue = language(lang)
    cells = [
        [
            row["id"],
            row["queue"],
            row["type"],
            row["worker"],
            row["attempts"],
            row["deaths"],
            row["failure"],
            clock(row["died"]),
            fault(row["error"] or "", tongue)[:80],
        ]
        for row in rows
    ]
    if not rows:
        print(say("no dead letters", tongue) + (f": {queue}" if queue else ""))
        return Exit.FINE
    heads = ["task", "queue", "type", "worker", "attempts", "deaths", "failure", "died", "error"]
    show_table([say(head, tongue) for head in heads], cells, numbers=(4, 5))
    return Exit.FINE


@dlq.command
def show(
    id: str,
    /,
    *,
    json: bool = False,
    lang: Language | None = None,
    where: WhereOption = HERE,
) -> int:
    """Show a dead letter with its evidence: how its process ended, its memory, the last lines it wrote.

    Parameters
    ----------
    id
        The task's id.
    json
        Print the row of the view dead_letters.
    lang
        en or ja.
    """
    with Reading(where.place()) as reading:
        rows = reading.query(_ONE, [_checked(id)])
    if not rows:
        raise Failure(f"expected a dead letter, got {id!r}; try elf dlq list", Exit.NO)
    if json:
        show_json(rows[-1])
    else:
        _print(rows[-1], language(lang))
    return Exit.FINE


def _print(row: dict[str, Any], lang: Language) -> None:
    ending = f"signal {row['signal']}" if row["signal"] is not None else f"code {row['code']}"
    known = row["signal"] is not None or row["code"] is not None
    for word, value in (
        ("task", row["id"]),
        ("queue", row["queue"] + (f" ({row['type']})" if row["type"] else "")),
        ("attempts", row["attempts"]),
        ("deaths", row["deaths"]),
        ("error", f"{row['failure']}: {fault(row['error'] or '', lang)}"),
        ("worker", f"{row['unit'] or row['worker']}"),
        ("ended", ending if known else None),
        ("memory peak", size(row["memory_bytes"]) if row["memory_bytes"] else None),
    ):
        if value is not None:
            print(f"{say(word, lang)}  {value}")
    if row["log_lines"]:
        print(f"\n{say('last lines', lang)}")
        for line in row["log_lines"]:
            print("  " + "".join(letter if letter.isprintable() else " " for letter in line))


@dlq.command
def requeue(
    *ids: str,
    all: bool = False,
    queue: str = "",
    json: bool = False,
    where: WhereOption = HERE,
) -> int:
    """Submit dead letters again under their ids; their attempts count from there.

    Parameters
    ----------
    ids
        The tasks' ids.
    all
        All dead letters, with --queue those of one queue.
    queue
        With --all: only those of this queue.
    json
        Print [{"id", "position" or "error"}].
    """
    return _act(where.place(), ids, all, queue, json, "requeued", "")


@dlq.command
def drop(
    *ids: str,
    all: bool = False,
    queue: str = "",
    reason: str = "",
    json: bool = False,
    where: WhereOption = HERE,
) -> int:
    """Take dead letters off the list; the log keeps them, and elf task retry brings one back.

    Parameters
    ----------
    ids
        The tasks' ids.
    all
        All dead letters, with --queue those of one queue.
    queue
        With --all: only those of this queue.
    reason
        Why, for the log.
    json
        Print [{"id", "position" or "error"}].
    """
    return _act(where.place(), ids, all, queue, json, "dropped", reason)


def _act(
    place: Place, ids: tuple[str, ...], all: bool, queue: str, json: bool, what: str, reason: str
) -> int:
    if all == bool(ids) or (queue and not all):
        raise Failure("expected ids of dead letters or --all, got none or both; try elf dlq list")
    wanted = [row["id"] for row in _rows(place, queue, _MOST)] if all else [_checked(name) for name in ids]

    async def act() -> list[tuple[str, int | Exception]]:
        async with await Client.open(place, "client") as client:
            if what == "requeued":
                return [*await second_chances.each(wanted, lambda one: second_chances.requeue(client, one))]
            return [*await second_chances.each(wanted, lambda one: second_chances.drop(client, one, reason))]

    results = asyncio.run(act())
    if json:
        show_json(
            [
                {"id": name, "position": end} if isinstance(end, int) else {"id": name, "error": str(end)}
                for name, end in results
            ]
        )
    for name, end in results:
        if not isinstance(end, int):
            note(str(end))
        elif not json:
            print(f"{name} {what} at position {end}")
    return Exit.FINE if all or not [1 for _, end in results if not isinstance(end, int)] else Exit.NO


def _rows(place: Place, queue: str, limit: int) -> list[dict[str, Any]]:
    with Reading(place) as reading:
        return reading.query(_ALL, [queue, queue, limit])


def _checked(id: str) -> str:
    try:
        return token(id, "task id")
    except ValueError as problem:
        raise Failure(str(problem)) from None

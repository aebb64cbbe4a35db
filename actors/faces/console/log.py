"""`elf log`: reading along, proving that nothing is missing or changed, taking a copy."""

import asyncio
import base64
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Annotated, Any

import msgspec
from cyclopts import App, Parameter

from actors.client import Client
from actors.faces.console.failure import Exit, Failure
from actors.faces.console.options import HERE, WhereOption
from actors.faces.console.output import Progress, clock, show_json
from actors.faces.console.source import LogSource
from actors.faces.console.verification import verify_log
from actors.place import Place
from events.envelope import Malformed, Recorded
from events.subjects import EVERYTHING

log = App(name="log", help="Read the log, verify it, export it, repair it.")

_LOOK_S = 2.0
_SHOWN = 160


@log.command
def tail(
    *,
    lines: Annotated[int, Parameter(name=["--lines", "-n"])] = 20,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"])] = False,
    filter: str = EVERYTHING,
    json: bool = False,
    where: WhereOption = HERE,
) -> int:
    """Show the last events, and with -f what comes.

    Parameters
    ----------
    lines
        The last so many events.
    follow
        Go on showing what comes, until Ctrl-C.
    filter
        Only subjects like this: * is one word, > the rest; log.*.*.task.> are all tasks.
    json
        One JSON object a line: position, subject, event.
    """
    place = where.place()
    with LogSource(place) as source:
        found, end = _last(source, lines, filter)
    for event in found:
        _show(event, json)
    if follow:
        asyncio.run(_follow(place, end, filter, json))
    return Exit.FINE


@log.command
def schema() -> int:
    """Print the JSON Schema of the envelope and of every event, for programs in any language."""
    from events.codec import schema as of_everything

    show_json(of_everything())
    return Exit.FINE


def _last(source: LogSource, lines: int, filter: str) -> tuple[list[Recorded], int]:
    """Look back in growing steps until there are enough; returns them and the log's end."""
    end = source.end()
    step = max(1, lines)
    while lines > 0:
        start = max(0, end - step)
        found = [event for chunk in source.chunks(start, end, filter) for event in chunk]
        if len(found) >= lines or start == 0:
            return found[-lines:], end
        step *= 8
    return [], end


async def _follow(place: Place, after: int, filter: str, as_json: bool) -> None:
    """Told by the server that something came, read from the log what it is."""
    news = asyncio.Event()

    async def heard(_: object) -> None:
        news.set()

    async with await Client.open(place, "operator", patient=True) as client:
        await client.connection.client.subscribe(filter, cb=heard)
        while True:
            async for chunk in client.read(after, None, filter):
                for event in chunk:
                    _show(event, as_json)
                after = chunk[-1].position
            sys.stdout.flush()
            try:
                await asyncio.wait_for(news.wait(), _LOOK_S)
                await asyncio.sleep(0.01)  # a message is heard before the disk has it
            except TimeoutError:
                continue
            news.clear()


def _show(event: Recorded, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(_line(event).decode() + "\n")
        return
    body = event.data.decode(errors="replace")
    if not isinstance(event.body, Malformed):
        fields: dict[str, Any] = msgspec.json.decode(event.data)["body"]
        fields.pop("type", None)
        body = msgspec.json.encode(fields).decode()
    short = body if len(body) <= _SHOWN else body[: _SHOWN - 3] + "..."
    printable = "".join(letter if letter.isprintable() else " " for letter in short)
    print(f"{event.position:>8}  {clock(event.time)}  {event.source:<20} {event.type:<18} {printable}")


def _line(event: Recorded) -> bytes:
    """Return an event as one JSON line; bytes that are no event stand in base64."""
    row: dict[str, Any] = {"position": event.position, "subject": event.subject}
    if isinstance(event.body, Malformed):
        row["base64"] = base64.b64encode(event.data).decode()
    else:
        row["event"] = msgspec.Raw(event.data)
    return msgspec.json.encode(row)


@log.command
def verify(*, json: bool = False, where: WhereOption = HERE) -> int:
    """Read the whole log and prove it: no position missing, and the anchor's hash where the anchor stands.

    Parameters
    ----------
    json
        Print {"events", "first", "last", "head", "ok", "damage": [...]}.
    """
    place = where.place()
    found = verify_log(place)
    if json:
        show_json(found)
    else:
        _print_verdict(found)
    return Exit.FINE if found["ok"] else Exit.DAMAGED


def _print_verdict(found: dict[str, Any]) -> None:
    print(f"{found['events']:,} events, positions {found['first']} to {found['last']}, head {found['head']}")
    for proof in found["proofs"]:
        print(f"  equal at {proof['position']}: {proof['by']}")
    for damage in found["damage"]:
        print(f"  damaged from {damage['from']} to {damage['to']}: {damage['what']}")
    print("the log is whole" if found["ok"] else "the log is damaged")


@log.command
def export(
    file: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    from_: Annotated[int, Parameter(name="--from")] = 1,
    to: int | None = None,
    filter: str = EVERYTHING,
    json: bool = False,
    where: WhereOption = HERE,
) -> int:
    """Write the log as JSON lines, one event a line with its exact bytes.

    Parameters
    ----------
    file
        Where to write, - for the standard output; an existing file is never touched.
    from_
        The first position.
    to
        The last position.
    filter
        Only subjects like this: * is one word, > the rest.
    json
        Print {"file", "events"}.
    """
    path = Path(file)
    with LogSource(where.place()) as source:
        if file == "-":
            _write(source, sys.stdout.buffer, max(0, from_ - 1), to, filter)
            return Exit.FINE
        try:
            with path.open("xb") as target:
                count = _write(source, target, max(0, from_ - 1), to, filter)
        except FileExistsError:
            raise Failure(f"expected a new file, got {file}, which exists; try another name") from None
    if json:
        show_json({"file": file, "events": count})
    else:
        print(f"{count:,} events in {file}")
    return Exit.FINE


@log.command
def repair(*, json: bool = False, where: WhereOption = HERE) -> int:
    """Make a damaged log whole from its sealed files and the tables, while no node runs.

    The stream is built anew up to the anchor; the damaged one is kept beside it.

    Parameters
    ----------
    json
        Print {"files", "first", "last", "aside"}.
    """
    from actors.ground import GroundError
    from actors.repair import repair as mend

    folder = where.place().data
    if folder is None or not (folder / "lock").exists():
        raise Failure(f"expected the data folder of a stopped node, got {folder}; try --data DIR")
    try:
        done = mend(folder)
    except GroundError as problem:
        raise Failure(str(problem), Exit.NO) from None
    if json:
        show_json(msgspec.to_builtins(done))
        return Exit.FINE
    for name in done.files:
        print(f"made again: {name}")
    if done.last:
        print(f"the stream is new, positions {done.first} to {done.last}; the damaged one is in {done.aside}")
    elif not done.files:
        print("the log is whole, nothing was changed")
    print("elf log verify proves it")
    return Exit.FINE


def _write(source: LogSource, target: IO[bytes], after: int, until: int | None, filter: str) -> int:
    progress = Progress("exported", source.end() if until is None else until)
    count = 0
    for chunk in source.chunks(after, until, filter):
        target.write(_lines(chunk))
        count += len(chunk)
        progress.at(chunk[-1].position)
    progress.end()
    return count


def _lines(chunk: Sequence[Recorded]) -> bytes:
    return b"".join(_line(event) + b"\n" for event in chunk)

"""`elf worker` and `elf logs`: what people want of a worker, and what it wrote."""

import asyncio
import os
import signal as signals
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from actors.client import Client
from actors.faces.console.failure import Exit, Failure, closest
from actors.faces.console.options import HERE, WhereOption
from actors.faces.console.output import note, show_json
from actors.place import NodeUnreachable, Place
from events.observations import Intent
from events.subjects import token

worker = App(
    name="worker",
    help="Say what a worker, or all of a pool, shall do; no elf undoes it.",
)

_CHUNK = 64 * 1024
_LOOK_S = 0.2


def _intent(
    name: str, intent: Intent, place: Place, reason: str, as_json: bool, restart: bool = False
) -> int:
    async def say() -> int:
        async with await Client.open(place, "operator") as client:
            await _check_name(client, name)
            return await client.intend(name, intent, restart=restart, reason=reason)

    position = asyncio.run(say())
    wanted = "restart" if restart else intent
    if as_json:
        show_json({"worker": name, "intent": wanted, "position": position})
    else:
        print(f"{name}: {wanted} (position {position})")
    return Exit.FINE


async def _check_name(client: Client, name: str) -> None:
    """Refuse a name that the running node does not know; without a node the name is taken as it is."""
    try:
        token(name, "worker")
    except ValueError as problem:
        raise Failure(str(problem)) from None
    try:
        page = await client.ask("status", timeout=2.0)
    except NodeUnreachable:
        note("no node answers: the name is not checked, the intent holds from its next start on")
        return
    known = names_of(page)
    if name not in known:
        raise Failure(f"expected a worker or a pool, got {name!r}; {closest(name, known)}")


def names_of(page: dict[str, Any]) -> list[str]:
    """Return every unit and every pool of a status page."""
    return sorted({row["name"] for row in page["workers"]} | {row["pool"] for row in page["workers"]})


def _command(word: str, text: str, intent: Intent, restart: bool = False) -> Callable[..., int]:
    def run(name: str, /, *, reason: str = "", json: bool = False, where: WhereOption = HERE) -> int:
        return _intent(name, intent, where.place(), reason, json, restart)

    run.__name__ = word
    run.__doc__ = (
        f"{text}\n\nParameters\n----------\nname\n    A worker's or a pool's name, as status shows it.\n"
        'reason\n    Why, for the log.\njson\n    Print {"worker", "intent", "position"}.\n'
    )
    return run


for _word, _text, _wanted, _again in (
    ("start", "Run it (again).", "run", False),
    ("stop", "End it by its stop sequence and keep it ended.", "stop", False),
    ("restart", "End it at a task edge and start its next generation.", "run", True),
    ("quiet", "Let it finish what it has and take nothing new.", "quiet", False),
    ("pause", "Stop its processes where they are.", "pause", False),
    ("resume", "Go on after quiet or pause.", "run", False),
):
    worker.command(_command(_word, _text, _wanted, _again), name=_word)  # type: ignore[arg-type]


@worker.command
def signal(name: str, number: str, /, *, json: bool = False, where: WhereOption = HERE) -> int:
    """Send a signal to a worker's main process.

    Parameters
    ----------
    name
        A worker's name, as status shows it.
    number
        The signal by name or number, for example HUP, SIGUSR1 or 10.
    json
        Print {"worker", "signal"}.
    """
    wanted = _signal_name(number)

    async def send() -> None:
        async with await Client.open(where.place(), "operator") as client:
            await client.ask("signal", {"unit": name, "signal": wanted})

    asyncio.run(send())
    if json:
        show_json({"worker": name, "signal": wanted})
    else:
        print(f"{name}: SIG{wanted}")
    return Exit.FINE


@worker.command
def scale(
    name: str, count: str, /, *, reason: str = "", json: bool = False, where: WhereOption = HERE
) -> int:
    """Say how many processes a pool shall have; what waits is then not counted any more.

    Parameters
    ----------
    name
        A pool's name, as status shows it.
    count
        How many, within the pool's min and max, or auto: the forest decides again.
    reason
        Why, for the log.
    json
        Print {"worker", "count", "position"}.
    """

    async def say() -> tuple[int, int]:
        async with await Client.open(where.place(), "operator") as client:
            page = await client.ask("status", timeout=5.0)
            number = _count(name, count, page)
            return number, await client.scale(name, number, reason=reason)

    number, position = asyncio.run(say())
    if json:
        show_json({"worker": name, "count": None if number < 0 else number, "position": position})
    else:
        print(f"{name}: {count} (position {position})")
    return Exit.FINE


def _count(name: str, text: str, page: dict[str, Any]) -> int:
    """Return how many processes a text asks for, -1 for auto; refuse what the pool's range does not allow."""
    pools = {row["name"]: row for row in page["pools"]}
    if name not in pools:
        raise Failure(f"expected a pool of workers, got {name!r}; {closest(name, sorted(pools))}")
    if text == "auto":
        return -1
    most = pools[name]["max"]
    if not text.isdecimal() or int(text) > most:
        raise Failure(
            f"expected 0 to {most} processes of {name} or auto, got {text!r}; max in forest.toml sets the range"
        )
    return int(text)


def _signal_name(text: str) -> str:
    try:
        found = (
            signals.Signals(int(text))
            if text.isdigit()
            else signals.Signals[f"SIG{text.upper().removeprefix('SIG')}"]
        )
    except (KeyError, ValueError):
        raise Failure(f"expected the name or number of a signal, got {text!r}; try HUP or 1") from None
    return found.name.removeprefix("SIG")


def logs(
    name: str,
    /,
    *,
    lines: Annotated[int, Parameter(name=["--lines", "-n"])] = 50,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"])] = False,
    where: WhereOption = HERE,
) -> int:
    """Show what a worker wrote, from its log file on this machine.

    Parameters
    ----------
    name
        A worker's name, or keeper or nats for the ground they stand on.
    lines
        The last so many lines.
    follow
        Go on showing what comes, until Ctrl-C.
    """
    place = where.place()
    if place.data is None:
        raise Failure("expected a data folder on this machine, got an address alone; try --data DIR")
    path = _log_file(place.data, name)
    position = _show_last(path, lines)
    with path.open("rb") as file:
        while follow:
            position = _show_new(file.fileno(), position)
            sys.stdout.flush()
            time.sleep(_LOOK_S)
    return Exit.FINE


def _log_file(data: Path, name: str) -> Path:
    try:
        token(name, "worker")
    except ValueError as problem:
        raise Failure(str(problem)) from None
    path = data / "run" / "keeper.log" if name == "keeper" else data / "logs" / f"{name}.log"
    if path.exists():
        return path
    known = sorted(found.stem for found in (data / "logs").glob("*.log"))
    raise Failure(
        f"expected a worker with a log in {data / 'logs'}, got {name!r}; {closest(name, known)}", Exit.NO
    )


def _show_last(path: Path, lines: int) -> int:
    """Print the last lines, those of parts that were cut off included, and return where the file ended."""
    from actors.log_parts import last_lines

    found, position = last_lines(path, lines)
    sys.stdout.buffer.write(b"".join(found))
    sys.stdout.flush()
    return position


def _show_new(descriptor: int, position: int) -> int:
    while data := os.pread(descriptor, _CHUNK, position):
        position += len(data)
        sys.stdout.buffer.write(data.replace(b"\0", b""))
    return position

"""`elf mode`, `elf pause`, `elf resume`, `elf alert`: what people allow elves, and what they say of alerts."""

import asyncio
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from actors.client import Client
from actors.elves.rules import RULES
from actors.faces.console.failure import Exit, Failure, closest
from actors.faces.console.moments import delay_s
from actors.faces.console.options import HERE, Language, Where, WhereOption, language
from actors.faces.console.output import clock, note, show_json, show_table
from actors.faces.console.status import alert_state, ask_status
from actors.faces.console.words import say
from actors.faces.reasons import reason
from actors.place import NodeUnreachable
from events.controls import AlertAcknowledged, AlertSilenced, ElvesPaused, ElvesResumed, ModeSet
from events.event import Event
from events.subjects import token

ELVES = ("flow", "time", "balance", "healing", "wisdom")


def mode(
    elf: str,
    how: Literal["observe", "advise", "act", "file"],
    /,
    *,
    reason: str = "",
    json: bool = False,
    where: WhereOption = HERE,
) -> int:
    """Say how far an elf, or one rule of it, may go; it counts before forest.toml and outlives the node.

    Parameters
    ----------
    elf
        flow, time, balance, healing or wisdom, or one rule of it: healing.leak.
    how
        observe: only write down; advise: wait for elf approve; act; file: as forest.toml says.
    reason
        Why, for the log.
    json
        Print {"elf", "rule", "mode", "position"}.
    """
    name, dot, rule = elf.partition(".")
    if name not in ELVES:
        raise Failure(f"expected an elf, got {name!r}; {closest(name, sorted(ELVES))}")
    if dot and rule not in RULES[name]:
        raise Failure(f"expected a rule of {name}, got {rule!r}; {closest(rule, sorted(RULES[name]))}")
    position = _send(ModeSet(elf=name, rule=rule, mode=how, reason=reason), where)
    if json:
        show_json({"elf": name, "rule": rule, "mode": how, "position": position})
    else:
        print(f"{elf}: {how} (position {position})")
    return Exit.FINE


def pause(*, all: bool = False, reason: str = "", json: bool = False, where: WhereOption = HERE) -> int:
    """Let every elf only observe: nothing is started again, given out or moved until elf resume --all.

    Parameters
    ----------
    all
        All elves; for one of them there is elf mode, for workers elf worker pause.
    reason
        Why, for the log.
    json
        Print {"paused", "position"}.
    """
    return _hold(ElvesPaused(reason=reason), all, json, where)


def resume(*, all: bool = False, reason: str = "", json: bool = False, where: WhereOption = HERE) -> int:
    """Let every elf go on in its own mode.

    Parameters
    ----------
    all
        All elves.
    reason
        Why, for the log.
    json
        Print {"paused", "position"}.
    """
    return _hold(ElvesResumed(reason=reason), all, json, where)


def _hold(body: ElvesPaused | ElvesResumed, all: bool, as_json: bool, where: Where) -> int:
    paused = isinstance(body, ElvesPaused)
    if not all:
        word = "pause" if paused else "resume"
        raise Failure(
            f"expected --all, got nothing; try elf {word} --all, elf mode or elf worker {word} NAME"
        )
    position = _send(body, where)
    if as_json:
        show_json({"paused": paused, "position": position})
    else:
        words = "only observe" if paused else "go on in their own modes"
        print(f"all elves {words} (position {position})")
    return Exit.FINE


alert = App(name="alert", help="Say what you know of alerts, or keep them from the channels.")


@alert.command(name="list")
def open_alerts(*, json: bool = False, lang: Language | None = None, where: WhereOption = HERE) -> int:
    """List the open alerts with what people said of them.

    Parameters
    ----------
    json
        Print the "alerts" of elf status --json.
    lang
        en or ja.
    """
    rows = asyncio.run(ask_status(where.place()))["alerts"]
    if json:
        show_json(rows)
        return Exit.FINE
    tongue = language(lang)
    if not rows:
        print(say("nothing", tongue))
        return Exit.FINE
    heads = [say(head, tongue) for head in ("alert", "opened", "severity", "state", "text")]
    cells = [
        (
            _name(row),
            clock(int(row["opened"] * 1e6)),
            say(row["severity"], tongue),
            say(alert_state(row), tongue),
            reason(row["text"], tongue, row["target"]),
        )
        for row in rows
    ]
    show_table(heads, cells)
    return Exit.FINE


@alert.command
def ack(name: str, /, *, reason: str = "", json: bool = False, where: WhereOption = HERE) -> int:
    """Acknowledge an open alert: it is not said again unless it grows worse, and stays open until its cause ends.

    Parameters
    ----------
    name
        The alert as elf alert list shows it, or its cause or target when there is one of that.
    reason
        Why, for the log.
    json
        Print {"alert", "position"}.
    """
    cause, target = _found(name, where)
    position = _send(AlertAcknowledged(alert=cause, about=target, reason=reason), where)
    if json:
        show_json({"alert": f"{cause}/{target}", "position": position})
    else:
        print(f"{cause}/{target}: acknowledged (position {position})")
    return Exit.FINE


@alert.command
def silence(
    name: str,
    /,
    *,
    time: Annotated[str, Parameter(name=["--for"])] = "2h",
    reason: str = "",
    json: bool = False,
    where: WhereOption = HERE,
) -> int:
    """Keep an alert from the channels for a time, also when it closes and opens again meanwhile.

    Parameters
    ----------
    name
        The alert as elf alert list shows it, or its cause or target when there is one of that.
    time
        For how long: 30m, 2h, 1d; 0 ends a silence.
    reason
        Why, for the log.
    json
        Print {"alert", "seconds", "position"}.
    """
    seconds = delay_s(time)
    cause, target = _found(name, where)
    position = _send(AlertSilenced(alert=cause, about=target, seconds=seconds, reason=reason), where)
    if json:
        show_json({"alert": f"{cause}/{target}", "seconds": seconds, "position": position})
    else:
        print(f"{cause}/{target}: silent for {seconds:g} s (position {position})")
    return Exit.FINE


def _found(name: str, where: Where) -> tuple[str, str]:
    """Return cause and target of an alert; a full name need not be open. Raises Failure."""
    cause, slash, target = name.partition("/")
    try:
        rows = asyncio.run(ask_status(where.place()))["alerts"]
    except NodeUnreachable:
        if not slash:
            raise
        note("no node answers: the alert is not checked")
        rows = []
    if slash:
        return _token(cause, "an alert's cause"), target
    fitting = [row for row in rows if name in (row["cause"], row["target"])]
    if len(fitting) != 1:
        known = [_name(row) for row in rows]
        hint = (
            f"{len(fitting)} of that name" if fitting else closest(name, known) if known else "none is open"
        )
        raise Failure(f"expected one open alert, got {name!r}; {hint}; try elf alert list", Exit.NO)
    return fitting[0]["cause"], fitting[0]["target"]


def _name(row: dict[str, Any]) -> str:
    return f"{row['cause']}/{row['target']}"


def _token(text: str, what: str) -> str:
    try:
        return token(text, what)
    except ValueError as problem:
        raise Failure(str(problem)) from None


def _send(body: Event, where: Where) -> int:
    async def send() -> int:
        async with await Client.open(where.place(), "operator") as client:
            return await client.say(body)

    return asyncio.run(send())

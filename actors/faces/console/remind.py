"""`elf remind` and `elf jobs`: what workers are reminded of, what runs by the clock, and when next."""

import asyncio
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from cyclopts import App

from actors.client import Client
from actors.faces.console.failure import Exit, Failure, closest
from actors.faces.console.options import HERE, WhereOption
from actors.faces.console.output import note, show_json, show_table
from actors.place import Place
from events.event import Event
from events.log import entry
from events.reminders import ReminderAdded, ReminderRemoved

remind = App(
    name="remind",
    help="Reminders of workers: list them with their next times, add and remove them, try a time out.",
)

_PREVIEW = 5


@remind.command(name="list")
def list_(*, json: bool = False, where: WhereOption = HERE) -> int:
    """List all reminders with their next five times.

    Parameters
    ----------
    json
        A list of {"name", "worker", "when", "text", "zone", "by_hand", "last", "next"}; times in seconds since 1970.
    """
    rows = _ask(where.place(), "reminders")["reminders"]
    if json:
        show_json(rows)
        return Exit.FINE
    if not rows:
        note('no reminders; try elf remind add WORKER "17:00 - TEXT"')
        return Exit.FINE
    show_table(
        ("name", "worker", "when", "text", "next"),
        [(row["name"], row["worker"], row["when"], row["text"], _next(row)) for row in rows],
    )
    return Exit.FINE


def _next(row: dict[str, Any]) -> str:
    """Spell the next times in the reminder's own zone, the day only where it changes."""
    words: list[str] = []
    day = ""
    for at in row["next"]:
        moment = datetime.fromtimestamp(at, ZoneInfo(row["zone"]))
        date = f"{moment:%m-%d}"
        words.append(f"{moment:%H:%M}" if date == day else f"{moment:%m-%d %H:%M}")
        day = date
    return ", ".join(words) or "by its condition"


@remind.command
def add(
    worker: str,
    line: str,
    /,
    *,
    zone: str = "",
    name: str = "",
    json: bool = False,
    where: WhereOption = HERE,
) -> int:
    """Add a reminder; it stays until it is removed.

    Parameters
    ----------
    worker
        A worker of forest.toml.
    line
        When and what, as "17:00 - TEXT", "月曜 10:00 - TEXT", "every 30m - TEXT" or "メモリ80%時 - GC実行".
    zone
        IANA zone whose clocks count; without it the node's.
    name
        1 to 64 letters, digits, '_' or '-'; without it one is made of what it says.
    json
        Print {"name", "next"}.
    """
    from actors.config_times import reminder_name
    from events.subjects import token
    from projections.when import split_line

    try:
        when, text = split_line(line)
    except ValueError as problem:
        raise Failure(str(problem)) from None
    place = where.place()
    known = _ask(place, "reminders")
    if worker not in known["workers"]:
        raise Failure(
            f"expected a worker of this forest, got {worker!r}; {closest(worker, known['workers'])}"
        )
    zone = zone or str(known["timezone"])
    try:
        name = token(name, "a reminder's name") if name else reminder_name(worker, when, zone, text)
    except ValueError as problem:
        raise Failure(str(problem)) from None
    times = _times(when, zone)
    from actors.zones import zone_of

    _say(place, ReminderAdded(reminder=name, worker=worker, when=when, text=text, zone=zone_of(zone)))
    if json:
        show_json({"name": name, "next": [at / 1e6 for at in times]})
    else:
        print(name)
        note("next: " + _next({"zone": zone, "next": [at / 1e6 for at in times]}))
    return Exit.FINE


@remind.command
def remove(name: str, /, *, json: bool = False, where: WhereOption = HERE) -> int:
    """Remove a reminder, be it of forest.toml or added by hand.

    Parameters
    ----------
    name
        Its name, as elf remind list shows it.
    json
        Print {"name"}.
    """
    place = where.place()
    known = [str(row["name"]) for row in _ask(place, "reminders")["reminders"]]
    if name not in known:
        raise Failure(f"expected a reminder, got {name!r}; {closest(name, known)}", Exit.NO)
    _say(place, ReminderRemoved(reminder=name))
    if json:
        show_json({"name": name})
    else:
        print(f"{name}: removed")
    return Exit.FINE


@remind.command
def preview(when: str, /, *, zone: str = "UTC", json: bool = False) -> int:
    """Show how a time is read and its next five comings; needs no node.

    Parameters
    ----------
    when
        For example "17:00", "平日 09:00", "month end 18:00", "30分毎" or "0 9 * * 1-5".
    zone
        IANA zone whose clocks count.
    json
        Print {"ja", "en", "next"}.
    """
    from projections.when import parse_when, written

    times = _times(when, zone)
    schedule = parse_when(when)
    if json:
        next_times = [at / 1e6 for at in times]
        show_json({"ja": written(schedule, "ja"), "en": written(schedule, "en"), "next": next_times})
        return Exit.FINE
    print(f"{written(schedule, 'ja')} = {written(schedule, 'en')}")
    for at in times:
        print(f"{datetime.fromtimestamp(at / 1e6, ZoneInfo(zone)):%Y-%m-%d %H:%M:%S %Z}")
    return Exit.FINE


def jobs(*, json: bool = False, where: WhereOption = HERE) -> int:
    """List the jobs: how the last run of each ended, and when the next is due.

    Parameters
    ----------
    json
        A list of {"name", "every", "kind", "running", "last", "ended", "took_ms", "failures", "tail", "next"}.
    """
    rows = _ask(where.place(), "jobs")["jobs"]
    if json:
        show_json(rows)
        return Exit.FINE
    if not rows:
        note("no jobs; try a [[job]] in forest.toml")
        return Exit.FINE
    show_table(
        ("job", "every", "kind", "last", "ended", "took", "failures", "next"),
        [
            (
                row["name"],
                row["every"],
                row["kind"],
                "running" if row["running"] else row["last"] or "-",
                _moment(row["ended"], row["zone"]),
                f"{row['took_ms'] / 1000:.1f} s" if row["ended"] else "-",
                row["failures"],
                _moment(row["next"], row["zone"]),
            )
            for row in rows
        ],
        numbers=(5, 6),
    )
    return Exit.FINE


def _moment(at: float | None, zone: str) -> str:
    return "-" if at is None else f"{datetime.fromtimestamp(at, ZoneInfo(zone)):%m-%d %H:%M:%S}"


def _times(when: str, zone: str) -> list[int]:
    """Return the next times. Raises Failure for a time or a zone that there is not."""
    import time

    from actors.zones import zone_of
    from projections.schedule import upcoming
    from projections.when import parse_when

    try:
        schedule = parse_when(when)
    except ValueError as problem:
        raise Failure(str(problem)) from None
    try:
        data = zone_of(zone)
    except (KeyError, ValueError, OSError):
        from zoneinfo import available_timezones

        raise Failure(
            f"expected a time zone, got {zone!r}; {closest(zone, list(available_timezones()))}"
        ) from None
    return upcoming(schedule, data, time.time_ns() // 1000, _PREVIEW)


def _ask(place: Place, verb: str) -> dict[str, Any]:
    async def ask() -> dict[str, Any]:
        async with await Client.open(place, "operator") as client:
            return await client.ask(verb)

    return asyncio.run(ask())


def _say(place: Place, body: Event) -> None:
    async def say() -> None:
        async with await Client.open(place, "operator") as client:
            await client.log.append([entry(client.envelope(body))])

    asyncio.run(say())

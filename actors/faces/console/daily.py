"""`elf daily`: what a day was like, what it suggests, as Markdown or JSON; the findings go to the log."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from actors.client import Client
from actors.daily_advice import advice
from actors.daily_figures import figures, has_data, span
from actors.daily_page import page
from actors.faces.console.failure import Exit, Failure
from actors.faces.console.kpi import day_of
from actors.faces.console.options import HERE, Language, Where, WhereOption, language
from actors.faces.console.output import note, show_json
from actors.faces.console.reading import Reading
from actors.place import NodeUnreachable
from events.analyses import DailyAnalysed, Indicator
from events.codec import canonical

_ADVICE = 'try elf sql "FROM kpi_daily"'


def daily(
    *,
    day: str = "",
    out: Path | None = None,
    json: bool = False,
    lang: Language | None = None,
    where: WhereOption = HERE,
) -> int:
    """Analyse a day: load distribution, performance impact, failure prevention, recommendations with their evidence.

    Parameters
    ----------
    day
        A date like 2026-07-16; without it the last day of the log.
    out
        Write the Markdown into this file instead of printing it.
    json
        {"day", "position", "compared", "load_distribution", "performance_impact", "failure_prevention",
        "recommendations", "event"}
    lang
        en or ja, of the page; what goes to the log is in English.
    """
    wanted = day_of(day)
    with Reading(where.place()) as reading:
        found, position = _found(reading, wanted)
    recommended = advice(found)
    said = DailyAnalysed(
        day=found["day"],
        position=position,
        digest=_digest(found),
        indicators=tuple(
            Indicator(row["name"], row["value"], row["target"], row["met"], row["n"])
            for row in found["performance_impact"]["indicators"]
        ),
        recommendations=tuple(recommended),
    )
    event = _say(where, said)
    if json:
        show_json({"position": position, **found, "recommendations": recommended, "event": event})
        return Exit.FINE
    spoken = language(lang)
    text = page(found, advice(found, spoken) if spoken == "ja" else recommended, position, spoken)
    if out is None:
        print(text, end="")
    else:
        out.write_text(text, encoding="utf-8")
        print(out)
    return Exit.FINE


def _found(reading: Reading, wanted: str | None) -> tuple[dict[str, Any], int]:
    """Return the figures of a day and the log's position. Raises Failure when there are none."""
    ends = span(reading.query)
    if ends is None:
        raise Failure("expected a log with events, got an empty one; try again later", Exit.CANNOT_SAY)
    first, last, position = ends
    day = wanted or last
    if not first <= day <= last:
        text = f"expected a day from {first} to {last}, got {day}: the log has no data of it"
        raise Failure(text, Exit.CANNOT_SAY)
    found = figures(reading.query, day)
    if not has_data(found):
        text = f"expected data on {day}, got none: nothing ended, nobody was there, nothing was decided; {_ADVICE}"
        raise Failure(text, Exit.CANNOT_SAY)
    return found, position


def _digest(found: dict[str, Any]) -> str:
    from hashlib import blake2b

    return blake2b(canonical(msgspec.to_builtins(found)), digest_size=16).hexdigest()


def _say(where: Where, said: DailyAnalysed) -> int | None:
    """Write the findings to the log; None where no node takes them."""

    async def say() -> int:
        async with await Client.open(where.place(), "operator") as client:
            return await client.say(said)

    try:
        return asyncio.run(say())
    except NodeUnreachable:
        note("no node answers: the analysis does not go to the log")
        return None

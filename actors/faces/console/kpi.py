"""`elf kpi`: the indicators of a day, or of the days up to it, and whether their targets are met."""

from datetime import date
from typing import Annotated, Any

from cyclopts import Parameter

from actors.daily_words import INDICATORS
from actors.faces.console.failure import Exit, Failure
from actors.faces.console.options import HERE, Language, WhereOption, language
from actors.faces.console.output import note, show_json, show_table
from actors.faces.console.reading import Reading

WINDOWS = (1, 7, 30)

_ROWS = """
SELECT day, name, value, target, met, n, unit, sense FROM kpi_rolling
WHERE day = coalesce(TRY_CAST(? AS DATE), (SELECT max(day) FROM days)) AND days = ? ORDER BY place
"""
_WORDS = {
    "en": ("indicator", "value", "target", "met", "n", "yes", "no", "no data"),
    "ja": ("指標", "値", "目標", "達成", "件数", "はい", "いいえ", "データなし"),
}


def kpi(
    *,
    day: str = "",
    days: Annotated[int, Parameter(name=["--days", "-n"])] = 1,
    json: bool = False,
    lang: Language | None = None,
    where: WhereOption = HERE,
) -> int:
    """Show the indicators of a day with their targets; docs/kpi.md says how each is computed.

    Parameters
    ----------
    day
        A date like 2026-07-16; without it the last day of the log.
    days
        1, 7 or 30: over so many days up to that one.
    json
        {"day", "days", "indicators": [{"name", "value", "target", "met", "n", ...}]}
    lang
        en or ja.
    """
    checked = day_of(day)
    if days not in WINDOWS:
        raise Failure(f"expected --days 1, 7 or 30, got {days}")
    with Reading(where.place()) as reading:
        rows = reading.query(_ROWS, [checked, days])
    if not rows:
        raise Failure(
            f"expected a day of the log, got {day or 'a log without events'}; {_ADVICE}", Exit.CANNOT_SAY
        )
    shown = rows[0]["day"]
    if json:
        show_json({"day": shown, "days": days, "indicators": [_without_day(row) for row in rows]})
    else:
        _show(rows, language(lang))
    known = [row for row in rows if row["value"] is not None]
    if not known:
        note(f"no data on {shown}; {_ADVICE}")
        return Exit.CANNOT_SAY
    return Exit.FINE if all(row["met"] for row in known) else Exit.NO


_ADVICE = 'try elf sql "SELECT day FROM days"'


def day_of(text: str) -> str | None:
    """Return a date as ISO 8601, None for none. Raises Failure."""
    try:
        return date.fromisoformat(text).isoformat() if text else None
    except ValueError:
        raise Failure(f"expected --day as YYYY-MM-DD, got {text!r}") from None


def _without_day(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "day"}


def _show(rows: list[dict[str, Any]], lang: Language) -> None:
    words = _WORDS[lang]
    yes, no, none = words[5:]
    lines = [
        [
            INDICATORS.get(row["name"], row["name"]) if lang == "ja" else row["name"],
            none if row["value"] is None else spell(row["value"], row["unit"]),
            f"{row['sense']} {spell(row['target'], row['unit'])}",
            none if row["met"] is None else yes if row["met"] else no,
            row["n"],
        ]
        for row in rows
    ]
    print(rows[0]["day"])
    show_table(words[:5], lines, [1, 4])


def spell(value: float, unit: str) -> str:
    """Spell an indicator for people: shares in percent, times in seconds, minutes or hours."""
    if unit == "share":
        return f"{100 * value:.1f} %"
    if unit == "points":
        return f"{value:.1f} points"
    if value < 120:
        return f"{value:.1f} s"
    return f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:.1f} h"

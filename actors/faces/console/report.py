"""`elf report`: Markdown on the last day or week, made for jobs: progress, quality, performance, and proposals."""

from typing import Literal

from actors.faces.console.failure import Exit
from actors.faces.console.options import HERE, Language, WhereOption, language
from actors.faces.console.output import show_json

Kind = Literal["progress", "quality", "performance", "dependencies", "patches", "tuning"]


def report(
    kind: Kind,
    /,
    *,
    hours: float = 0.0,
    json: bool = False,
    lang: Language | None = None,
    where: WhereOption = HERE,
) -> int:
    """Print a report as Markdown.

    Parameters
    ----------
    kind
        Of the last day: progress (tasks), quality (failures, jobs, alerts), performance (queues, workers). Proposals of
        the last week: dependencies (newer packages of the workers' interpreters), patches (only those that keep the
        minor version), tuning (what is slow, what wears out).
    hours
        Another length of time.
    json
        Print {"title", "text"}.
    lang
        en or ja.
    """
    from actors.faces.console.reading import Reading
    from actors.reports import REPORTS, Desk

    span = hours or (24.0 if kind in ("progress", "quality", "performance") else 168.0)
    with Reading(where.place()) as reading:
        found = REPORTS[kind](Desk(reading.query, language(lang), span))
    if json:
        show_json({"title": found.title, "text": found.text})
    else:
        print(found.text)
    return Exit.FINE

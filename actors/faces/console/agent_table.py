"""The table of remote agents, as `elf agent list` and `elf status` show it."""

from typing import Any

from actors.faces.console.options import Language
from actors.faces.console.output import clock, show_table
from actors.faces.console.words import say
from actors.faces.look import marked


def show_agents(rows: list[dict[str, Any]], lang: Language) -> None:
    """Print one line for each agent of a status page."""
    words = (
        "agent",
        "state",
        "phase",
        "load",
        "room",
        "tasks",
        "done share",
        "response",
        "error share",
        "last seen",
    )
    cells = [
        (
            row["name"],
            marked(row, lang),
            say(row["phase"], lang),
            row["load_score"],
            row["capacity"],
            row["current_tasks"],
            _percent(row["completion_rate"]),
            _seconds(row["response_time_s"]),
            _percent(row["error_rate"]),
            clock(int(row["last_seen"] * 1e6)) if row["last_seen"] else None,
        )
        for row in rows
    ]
    show_table([say(word, lang) for word in words], cells, numbers=(3, 4, 5, 6, 7, 8))


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.1f}%"


def _seconds(value: float | None) -> str | None:
    return None if value is None else f"{value:.1f}s"

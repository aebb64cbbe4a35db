"""Writes the parts of docs/events.md that follow from the code: `python -m tests.events_page`.

The page's introduction is kept; every section below it is made of the docstrings of events and actions.
"""

import inspect
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args, get_type_hints

from msgspec import NODEFAULT
from msgspec.structs import fields

from events import agents, decisions, observations, outcomes, settings, tasks
from events.codec import CATALOGUE
from events.decisions import AnyAction
from events.event import Event

PAGE = Path(__file__).parents[1] / "docs" / "events.md"
CHAPTERS = [
    ("What was seen", observations.__name__),
    ("The life of a task", tasks.__name__),
    ("Remote agents", agents.__name__),
    ("What was decided", decisions.__name__),
    ("What came of it", outcomes.__name__),
    ("Settings", settings.__name__),
]


def page(text: str) -> str:
    """Return the whole page, `text` being the one that stands."""
    start = text.split("\n## ", 1)[0].rstrip()
    known = [module for _, module in CHAPTERS]
    others = sorted({kind.__module__ for kind in CATALOGUE} - set(known))
    chapters = CHAPTERS + [(_headline(module), module) for module in others]
    parts = [start]
    for title, module in chapters:
        kinds = [kind for kind in CATALOGUE if kind.__module__ == module]
        if kinds:
            parts.append(f"## {title}\n\n" + "\n\n".join(section(kind) for kind in kinds))
    parts.append(actions(get_args(AnyAction)))
    return "\n\n".join(parts) + "\n"


def _headline(module: str) -> str:
    return module.rpartition(".")[2].replace("_", " ").capitalize()


def section(kind: type[Event]) -> str:
    """Return one event's section."""
    hints = get_type_hints(kind)
    rows = [f"| `{item.name}` | {_type(hints[item.name])} | {_default(item)} |" for item in fields(kind)]
    table = "\n".join(["| field | type | default |", "|---|---|---|", *rows])
    return f"### `{kind.__struct_config__.tag}`\n\n{inspect.getdoc(kind)}\n\n{table}"


def _type(hint: Any) -> str:
    if hint is Any:
        return "Any"
    if isinstance(hint, type) and not get_args(hint):
        return hint.__name__
    if getattr(hint, "__args__", None) == get_args(AnyAction):
        return "an action"
    text = str(hint).replace("typing.", "")
    return re.sub(r"[a-z_]+\.[a-z_]+\.", "", text).replace(" | ", " or ")


def _default(item: Any) -> str:
    if item.default is not NODEFAULT:
        value = item.default
    elif item.default_factory is not NODEFAULT:
        value = item.default_factory()
    else:
        return "required"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def actions(kinds: Iterable[Any]) -> str:
    """Return the table of actions."""
    head = "## What a decision may ask for\n\nThe `action` of `decided`, told apart by its `do`.\n\n"
    rows = ["| `do` | fields | meaning |", "|---|---|---|"]
    for kind in kinds:
        told = ", ".join(f"`{item.name}`" for item in fields(kind))
        meaning = " ".join((inspect.getdoc(kind) or "").split())
        rows.append(f"| `{kind.__struct_config__.tag}` | {told} | {meaning} |")
    return head + "\n".join(rows)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

"""The lines around the panels: what node this is and how it is, titles, keys; and a queue's tasks to read."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from actors.faces import answers
from actors.faces.console.output import clock
from actors.faces.console.words import say
from actors.faces.link import Link
from actors.faces.look import action, bar, pick
from actors.faces.reasons import fault
from actors.faces.terminal.keys import PANELS, Deed, hints
from actors.faces.terminal.panels import STYLES
from actors.faces.terminal.rows import Cell, clean

_TITLES = {
    "workers": "worker state",
    "agents": "agents",
    "queues": "queues",
    "elves": "elf activity",
    "actions": "recent actions",
    "alerts": "alerts",
    "proposals": "proposals",
}


def state(page: Mapping[str, Any], gone: str, lang: str) -> Text:
    """Return the first line: the node, what goes on in it, and whether it is there."""
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append("🌲 " + pick("elf-forest", "エルフの森", lang), style="bold")
    if gone:
        words = pick("node not reachable, trying again", "ノードに接続できません。再試行中", lang)
        text.append(f"  ✖ {words}", style=STYLES["bad"])
        if not gone.startswith("expected a running node"):
            text.append(f"  {clean(gone)}", style=STYLES["soft"])
        return text
    if not page:
        text.append(pick("  connecting…", "  接続中…", lang), style=STYLES["soft"])
        return text
    node = page["node"]
    pending = sum(row["pending"] for row in page["queues"])
    rate = sum(row["tasks_per_hour"] for row in page["workers"])
    text.append(f"  {clean(node['id'])}")
    if page["paused"]:
        text.append(f"  ⚠ {say('all elves only observe', lang)}", style=STYLES["warn"])
    for word, value in (
        (say(node["role"], lang), ""),
        (say("position", lang), f"{node['position']:,}"),
        (say("tasks/h", lang), f"{rate:,}"),
        (say("pending", lang), f"{pending:,}"),
    ):
        text.append(f"  {word}", style=STYLES["soft"])
        text.append(f" {value}" if value else "")
    return text


def title(
    deck: Sequence[str], chosen: str, page: Mapping[str, Any], lang: str, wanted: str
) -> list[tuple[str, str]]:
    """Return a panel's title; where there is room for one of several, all of them are named."""
    parts: list[tuple[str, str]] = []
    for name in deck:
        word = say(_TITLES[name], lang)
        style = "bold" if name == chosen else STYLES["soft"]
        parts.append((f"{PANELS.index(name) + 1} ", STYLES["soft"]))
        parts.append((f"{word[:1].upper()}{word[1:]} ", style))
        parts += _count(name, page, lang)
        parts.append((" ", ""))
    if wanted and chosen != "elves":
        parts.append((f"/{wanted[:20]} ", STYLES["busy"]))
    return parts


def _count(name: str, page: Mapping[str, Any], lang: str) -> list[tuple[str, str]]:
    if not page:
        return []
    if name == "elves":
        level = page["mana_total"]
        words = f"{say('mana', lang)} {bar(level, 100)} {level}% "
        return [(words, STYLES["good" if level > 50 else "warn" if level > 20 else "bad"])]
    rows = page[name]
    found = [(f"{len(rows)} ", STYLES["soft"])]
    trouble = sum(row.get("mark") in ("warning", "bad") for row in rows)
    trouble += sum(not row["acknowledged"] for row in rows) if name == "alerts" else 0
    if trouble and name != "alerts":
        found.append((f"⚠ {trouble} ", STYLES["warn"]))
    elif trouble or (name == "proposals" and rows):
        found = [(f"{len(rows)} ", STYLES["warn"])]
    return found


def keys(panel: str, lang: str, paused: bool, width: int) -> Text:
    """Return the last line: the keys that mean something here, as many as fit, what helps always."""
    text = Text(no_wrap=True, overflow="ellipsis")
    own, always = hints(panel, lang, paused)
    room = width - sum(cell_len(key + word) + 3 for key, word in always)
    fitting = []
    for key, word in own:
        room -= cell_len(key + word) + 3
        if room < 0:
            break
        fitting.append((key, word))
    for key, word in [*fitting, *always]:
        text.append(key, style=f"bold {STYLES['good']}")
        text.append(f" {word}  ", style=STYLES["soft"])
    return text


def subject(deed: Deed, about: Mapping[str, Any], lang: str) -> str:
    """Return what an act is about, for people."""
    if deed.verb == "alert":
        return f"{about['cause']} {about['target']}"
    if deed.verb == "proposal":
        return action(dict(about), lang)
    return str(about.get("name", ""))


async def tasks_of(link: Link, queue: str, lang: str) -> list[list[Cell]]:
    """Return the latest tasks of a queue as lines to read. Raises ClientError."""
    found = await answers.tasks(link, {"queue": queue})
    states = "  ".join(f"{say(row['state'], lang)} {row['n']:,}" for row in found["states"])
    lines = [[Cell(""), Cell(""), Cell(""), Cell(states or say("nothing", lang), "busy")]]
    for row in found["tasks"]:
        tone = "bad" if row["state"] in ("dead", "failed") else "good" if row["state"] == "done" else ""
        about = "  ".join(filter(None, (row["type"], row["worker"], fault(row["error"] or "", lang))))
        state = Cell(say(row["state"], lang), tone)
        lines.append([Cell(clock(row["submitted"]), "soft"), Cell(row["id"]), state, Cell(about)])
    return lines

"""What each panel shows of a page: rows of cells with tones, no widget and no clock of its own."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from actors.faces.console.options import Language
from actors.faces.console.output import clock, plain, size, span
from actors.faces.console.status import alert_state, mode_of
from actors.faces.console.words import say
from actors.faces.look import MARKS, action, at, bar, elf_line, elf_name, own_words, percent
from actors.faces.reasons import reason

Page = Mapping[str, Any]
TONES = {"fine": "good", "warning": "warn", "bad": "bad", "busy": "busy", "off": "soft"}
_LONGEST = 400


class View(NamedTuple):
    """A page of the node, the language to show it in, and now in seconds since 1970."""

    page: Page
    lang: Language
    now: float


class Cell(NamedTuple):
    """A text as it is shown, and its tone: a name of `panels.STYLES`."""

    text: str
    tone: str = ""


class Column(NamedTuple):
    """A heading's word, the width (0 takes what is left), and how wide the panel must be at least to show it."""

    word: str
    width: int
    right: bool = False
    least: int = 0


class Row(NamedTuple):
    """`key` names it among its like, `why` is what to tell the story of, `about` its row of the page."""

    key: str
    cells: Sequence[Cell]
    why: str
    about: Mapping[str, Any]
    trouble: bool = False


COLUMNS: dict[str, Sequence[Column]] = {
    "workers": (
        Column("worker", 0),
        Column("state", 12),
        Column("CPU", 6, True),
        Column("memory", 18, True),
        Column("tasks/h", 8, True),
        Column("errors", 6, True, 66),
        Column("uptime", 8, True, 80),
        Column("done", 7, True, 92),
        Column("restarts", 8, True, 100),
        Column("PID", 8, True, 110),
        Column("says", 30, False, 142),
    ),
    "agents": (
        Column("agent", 0),
        Column("state", 12),
        Column("phase", 9, False, 64),
        Column("load", 6, True),
        Column("tasks", 7, True),
        Column("done share", 11, True, 72),
        Column("error share", 12, True, 86),
        Column("last seen", 9, True),
    ),
    "queues": (
        Column("queue", 0),
        Column("pending", 8, True),
        Column("in flight", 9, True),
        Column("oldest", 8, True),
        Column("in/min", 7, True, 52),
        Column("out/min", 7, True, 52),
    ),
    "elves": (Column("elf", 12), Column("mana", 10), Column("", 4, True), Column("doing", 0)),
    "actions": (Column("time", 8), Column("elf", 12), Column("text", 0)),
    "alerts": (Column("opened", 8), Column("severity", 9), Column("alert", 0)),
    "proposals": (Column("time", 8), Column("elf", 12), Column("proposal", 0)),
}


def _workers(view: View) -> list[Row]:
    found = []
    for row in view.page["workers"]:
        cpu, limit = row["cpu_percent"], row["memory_limit_bytes"]
        memory = f"{size(row['memory_bytes'])} / {size(limit)}" if limit else size(row["memory_bytes"])
        much = (row["memory_percent"] or 0) >= 80
        cells = (
            Cell(row["name"]),
            Cell(f"{MARKS.get(row['mark'], ' ')} {say(row['state'], view.lang)}", TONES.get(row["mark"], "")),
            Cell("-" if cpu is None else f"{cpu:.0f}%"),
            Cell(memory, "warn" if much else ""),
            Cell(str(row["tasks_per_hour"])),
            Cell(str(row["errors"]), "bad" if row["errors"] else "soft"),
            Cell(span(row["uptime_s"] or None)),
            Cell(str(row["tasks_processed"])),
            Cell(str(row["restarts"])),
            Cell(str(row["pid"] or "-")),
            Cell(own_words(row), "soft"),
        )
        found.append(Row(row["name"], cells, row["name"], row, row["mark"] in ("warning", "bad")))
    return found


def _agents(view: View) -> list[Row]:
    found = []
    for row in view.page["agents"]:
        cells = (
            Cell(row["name"]),
            Cell(f"{MARKS.get(row['mark'], ' ')} {say(row['state'], view.lang)}", TONES.get(row["mark"], "")),
            Cell(say(row["phase"], view.lang), "soft"),
            Cell(f"{row['load_score']:.1f}", "warn" if row["load_score"] > 80 else ""),
            Cell(f"{row['current_tasks']} / {row['wip']}"),
            Cell(_share(row["completion_rate"])),
            Cell(_share(row["error_rate"])),
            Cell(at(row["last_seen"], view.now) if row["last_seen"] else "-", "soft"),
        )
        found.append(Row(row["name"], cells, row["name"], row, row["mark"] in ("warning", "bad")))
    return found


def _queues(view: View) -> list[Row]:
    found = []
    for row in view.page["queues"]:
        trouble = row["mark"] in ("warning", "bad")
        cells = (
            Cell(row["name"]),
            Cell(f"{row['pending']:,}", TONES[row["mark"]] if trouble else ""),
            Cell(f"{row['in_flight']:,}"),
            Cell(span(row["oldest_age_s"] or None)),
            Cell(f"{row['arrival_per_min']:,}"),
            Cell(f"{row['done_per_min']:,}"),
        )
        found.append(Row(row["name"], cells, row["name"], row, trouble))
    return found


def _elves(view: View) -> list[Row]:
    found = []
    for elf in view.page["elves"]:
        level = percent(elf)
        mode, line = f"[{mode_of(elf, view.lang)}]", elf_line(elf, view.lang, view.now)
        # What only watches says so first, what some rules differ in last.
        if elf["mode"] != "act":
            line = f"{mode} {line}"
        elif elf["rules"]:
            line = f"{line} {mode}"
        cells = (
            Cell(elf_name(elf["name"], view.lang), elf["name"]),
            Cell(
                bar(elf["mana"], elf["capacity"]), "good" if level > 50 else "warn" if level > 20 else "bad"
            ),
            Cell(f"{level}%"),
            Cell(line),
        )
        found.append(Row(elf["name"], cells, elf["last"]["decision"] if elf["last"] else "", elf))
    return found


def _deeds(name: str) -> Callable[[View], list[Row]]:
    def rows(view: View) -> list[Row]:
        found = []
        for row in view.page[name]:
            cells = (
                Cell(clock(int(row["time"] * 1e6))[-12:-4], "soft"),
                Cell(elf_name(row["elf"], view.lang), row["elf"]),
                Cell(action(row, view.lang)),
            )
            found.append(Row(row["decision"], cells, row["decision"], row))
        return found

    return rows


def _alerts(view: View) -> list[Row]:
    found = []
    for row in view.page["alerts"]:
        known = alert_state(row)
        tone = "bad" if row["severity"] == "critical" else "soft" if row["severity"] == "info" else "warn"
        told = "" if known == "open" else f"({say(known, view.lang)}) "
        cells = (
            Cell(clock(int(row["opened"] * 1e6))[-12:-4], "soft"),
            Cell(say(row["severity"], view.lang), tone),
            Cell(
                f"{told}{row['cause']} {row['target']}: {reason(row['text'], view.lang, row['target'])}",
                "soft" if told else "",
            ),
        )
        found.append(Row(f"{row['cause']}/{row['target']}", cells, row["target"], row, known == "open"))
    return found


_PANELS: dict[str, Callable[[View], list[Row]]] = {
    "workers": _workers,
    "agents": _agents,
    "queues": _queues,
    "elves": _elves,
    "actions": _deeds("actions"),
    "alerts": _alerts,
    "proposals": _deeds("proposals"),
}


def rows_of(panel: str, view: View, wanted: str = "") -> list[Row]:
    """Return a panel's rows; of `wanted` those alone that hold it, of ! those in trouble alone."""
    found = _PANELS[panel](view)
    if not wanted or panel == "elves":
        return found
    if wanted == "!":
        return [row for row in found if row.trouble]
    wanted = wanted.casefold()
    return [row for row in found if any(wanted in cell.text.casefold() for cell in row.cells)]


def clean(text: str) -> str:
    """Return what may be shown of a text on one line: nothing that steers, and an end to it."""
    return plain(text if len(text) <= _LONGEST else text[:_LONGEST] + "…")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}%"

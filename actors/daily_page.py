"""A day's analysis as a page of Markdown, with charts that any reader of Markdown shows."""

from collections.abc import Iterable, Sequence
from typing import Any
from unicodedata import east_asian_width

from actors.daily_words import FINE, INDICATORS, SAVED, Say, words
from events.analyses import Advice

_BAR = 30
_TYPES = 12
"""So many types of tasks have a line of their own."""


def page(found: dict[str, Any], recommended: Sequence[Advice], position: int, lang: str = "en") -> str:
    """Return the whole page, in English or Japanese (`ja`)."""
    say, compared = words(lang), found["compared"]
    as_of = say("As of position {} of the log. Compared with {}, the day before, and {}, the same weekday.")
    parts = [
        "# " + say("Daily analysis, {}").format(found["day"]),
        as_of.format(position, compared["before"], compared["weekday"]),
        "## " + say("Indicators"),
        _indicators(found["performance_impact"]["indicators"], say, lang),
        "## " + say("Load distribution"),
        *_load(found["load_distribution"], say),
        "## " + say("Performance impact"),
        *_performance(found["performance_impact"], say),
        "## " + say("Failure prevention"),
        *_prevention(found["failure_prevention"], say),
        "## " + say("Recommendations"),
        _recommendations(recommended, say),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _indicators(rows: Iterable[dict[str, Any]], say: Say, lang: str) -> str:
    cells = [
        [
            INDICATORS.get(row["name"], row["name"]) if lang == "ja" else row["name"],
            _value(row["value"], row["unit"]),
            f"{row['sense']} {_value(row['target'], row['unit'])}",
            say({True: "met", False: "**missed**", None: "no data"}[row["met"]]),
            str(row["n"]),
            _value(row["before"], row["unit"]),
            _value(row["weekday"], row["unit"]),
        ]
        for row in rows
    ]
    return _table(["indicator", "value", "target", "", "n", "day before", "same weekday"], cells, say)


def _load(load: dict[str, Any], say: Say) -> list[str]:
    units = load["units"]
    parts = [
        _table(
            ["", "name", "done", "failed", "busy", "mean"],
            [
                [
                    say(row["role"]),
                    row["unit"],
                    row["done"],
                    row["failed"],
                    _s(row["busy_s"]),
                    _s(row["mean_s"]),
                ]
                for row in units
            ],
            say,
        ),
        _pie(say("Share of work (%)"), [(row["unit"], row["busy_s"] or 0.0) for row in units]),
    ]
    if load["agents"]:
        bars = [(row["agent"], row["load"] or 0.0) for row in load["agents"]]
        parts += [
            say("Busy time of agents in percent of the time that they were there:"),
            _bars(bars, "%"),
        ]
    if load["hours"]:
        done = {row["hour"]: row["done"] for row in load["hours"]}
        parts += [
            say("Tasks done by hour:"),
            _bars([(f"{hour:02}", float(done.get(hour, 0))) for hour in range(min(done), max(done) + 1)], ""),
        ]
    return [part for part in parts if part] or [say("Nothing ended on this day.")]


def _performance(performance: dict[str, Any], say: Say) -> list[str]:
    names = {"day": "this day", "before": "the day before", "weekday": "same weekday"}
    response = [
        [say(text), row["done"], _s(row["p50_s"]), _s(row["p95_s"]), _s(row["p99_s"])]
        for name, text in names.items()
        for row in [performance["response"][name]]
    ]
    types = [
        [
            row["queue"],
            row["type"] or "-",
            row["done"],
            row["failed"],
            row["dead"],
            _s(row["response_s"]),
            _s(row["p95_s"]),
        ]
        for row in performance["types"][:_TYPES]
    ]
    more = len(performance["types"]) - len(types)
    counted: dict[tuple[str, str, str], int] = {}
    for row in performance["errors"]:
        key = (row["queue"], row["failure"] or "-", row["error"])
        counted[key] = counted.get(key, 0) + row["n"]
    errors = [[n, *key] for key, n in sorted(counted.items(), key=lambda item: -item[1])]
    return [
        say("Submission to end:"),
        _table(["", "done", "p50", "p95", "p99"], response, say),
        _table(["queue", "type", "done", "failed", "dead", "mean response", "p95"], types, say),
        say("and {} other types").format(more) if more else "",
        _table(["times", "queue", "failure", "error"], errors, say),
    ]


def _prevention(prevention: dict[str, Any], say: Say) -> list[str]:
    verdicts = prevention["forecasts"]
    said = ", ".join(f"{say(verdict)} {number}" for verdict, number in verdicts.items())
    alerts = [
        [row["cause"], row["opened"], row["closed"], row["targets"], _s(row["open_s"])]
        for row in prevention["alerts"]
    ]
    acts = [
        [
            f"{row['elf']}.{row['rule']}",
            row["choice"],
            row["n"],
            row["verified"],
            row["failed"],
            _s(row["took_s"]),
            row["mana"],
            _s(row["saved_s"]),
            _s(row["cost_s"]),
        ]
        for row in prevention["interventions"]
    ]
    outages = [
        [
            row["agent"],
            _minute(row["down"]),
            _minute(row["recovered"]) if row["recovered"] else say("still down"),
            _s(row["took_s"]),
        ]
        for row in prevention["outages"]
    ]
    jobs = [[row["job"], row["kind"], row["runs"], row["bad"]] for row in prevention["jobs"]]
    return [
        say("Forecasts of overloads: {}.").format(said),
        _table(["alert", "opened", "closed", "targets", "open for"], alerts, say),
        _table(["rule", "act", "times", "verified", "failed", "took", "mana", "saved", "cost"], acts, say),
        say(SAVED if acts else "Nobody intervened."),
        _table(["agent", "down (UTC)", "recovered", "for"], outages, say),
        _table(["job", "kind", "runs", "bad"], jobs, say),
    ]


def _recommendations(recommended: Sequence[Advice], say: Say) -> str:
    if not recommended:
        return say(FINE)
    return "\n".join(
        f"{number}. **{item.target}**: {item.text}\n\n   `{item.sql}`"
        for number, item in enumerate(recommended, 1)
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]], say: Say) -> str:
    if not rows:
        return ""
    lines = [[say(head) for head in heads], ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _bars(rows: Sequence[tuple[str, float]], unit: str) -> str:
    most = max((value for _, value in rows), default=0.0) or 1.0
    width = max(_width(name) for name, _ in rows)
    lines = [
        f"{name}{' ' * (width - _width(name))}  {'█' * round(_BAR * value / most):<{_BAR}} {value:,.0f} {unit}".rstrip()
        for name, value in rows
    ]
    return "```text\n" + "\n".join(lines) + "\n```"


def _width(text: str) -> int:
    """Return how many columns a terminal gives a text."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")


def _pie(title: str, rows: Sequence[tuple[str, float]]) -> str:
    kept = [(name, value) for name, value in rows if value > 0]
    if not kept:
        return ""
    whole = sum(value for _, value in kept)
    slices = "\n".join(f'    "{name}" : {100 * value / whole:.1f}' for name, value in kept)
    return f"```mermaid\npie title {title}\n{slices}\n```"


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit == "share":
        return f"{100 * value:.1f} %"
    return f"{value:.1f}" if unit == "points" else _s(value)


def _s(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if 0 < seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

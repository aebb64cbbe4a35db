"""A day's analysis as a page of Markdown, with charts that any reader of Markdown shows."""

from collections.abc import Iterable, Sequence
from typing import Any

from events.analyses import Advice

_BAR = 30


def page(found: dict[str, Any], recommended: Sequence[Advice], position: int) -> str:
    """Return the whole page."""
    compared = found["compared"]
    as_of = (
        f"As of position {position} of the log. Compared with {compared['before']}, the day before, and"
        f" {compared['weekday']}, the same weekday."
    )
    parts = [
        f"# Daily analysis, {found['day']}",
        as_of,
        "## Indicators",
        _indicators(found["performance_impact"]["indicators"]),
        "## Load distribution",
        *_load(found["load_distribution"]),
        "## Performance impact",
        *_performance(found["performance_impact"]),
        "## Failure prevention",
        *_prevention(found["failure_prevention"]),
        "## Recommendations",
        _recommendations(recommended),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _indicators(rows: Iterable[dict[str, Any]]) -> str:
    cells = [
        [
            row["name"],
            _value(row["value"], row["unit"]),
            f"{row['sense']} {_value(row['target'], row['unit'])}",
            {True: "met", False: "**missed**", None: "no data"}[row["met"]],
            str(row["n"]),
            _value(row["before"], row["unit"]),
            _value(row["weekday"], row["unit"]),
        ]
        for row in rows
    ]
    return _table(["indicator", "value", "target", "", "n", "day before", "same weekday"], cells)


def _load(load: dict[str, Any]) -> list[str]:
    units = load["units"]
    parts = [
        _table(
            ["", "name", "done", "failed", "busy", "mean"],
            [
                [row["role"], row["unit"], row["done"], row["failed"], _s(row["busy_s"]), _s(row["mean_s"])]
                for row in units
            ],
        ),
        _pie("Share of work (seconds)", [(row["unit"], row["busy_s"] or 0.0) for row in units]),
    ]
    if load["agents"]:
        bars = [(row["agent"], row["load"] or 0.0) for row in load["agents"]]
        parts += ["Busy time of agents in percent of the time that they were there:", _bars(bars, "%")]
    if load["hours"]:
        done = {row["hour"]: row["done"] for row in load["hours"]}
        parts += [
            "Tasks done by hour:",
            _bars([(f"{hour:02}", float(done.get(hour, 0))) for hour in range(24)], ""),
        ]
    return [part for part in parts if part] or ["Nothing ended on this day."]


def _performance(performance: dict[str, Any]) -> list[str]:
    names = {"day": "this day", "before": "the day before", "weekday": "same weekday"}
    response = [
        [text, row["done"], _s(row["p50_s"]), _s(row["p95_s"]), _s(row["p99_s"])]
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
        for row in performance["types"]
    ]
    errors = [[row["n"], row["queue"], row["failure"] or "-", row["error"]] for row in performance["errors"]]
    return [
        "Submission to end:",
        _table(["", "done", "p50", "p95", "p99"], response),
        _table(["queue", "type", "done", "failed", "dead", "mean response", "p95"], types),
        _table(["times", "queue", "failure", "error"], errors),
    ]


def _prevention(prevention: dict[str, Any]) -> list[str]:
    verdicts = prevention["forecasts"]
    said = ", ".join(f"{verdict} {number}" for verdict, number in verdicts.items())
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
        [row["agent"], row["down"], row["recovered"] or "still down", _s(row["took_s"])]
        for row in prevention["outages"]
    ]
    jobs = [[row["job"], row["kind"], row["runs"], row["bad"]] for row in prevention["jobs"]]
    return [
        f"Forecasts of overloads: {said}.",
        _table(["alert", "opened", "closed", "targets", "open for"], alerts),
        _table(["rule", "act", "times", "verified", "failed", "took", "mana", "saved", "cost"], acts),
        "Saved: from a moved task's end to the return of the agent that had it. Cost: work in hand that an act struck."
        if acts
        else "Nobody intervened.",
        _table(["agent", "down", "recovered", "for"], outages),
        _table(["job", "kind", "runs", "bad"], jobs),
    ]


def _recommendations(recommended: Sequence[Advice]) -> str:
    if not recommended:
        return "Nothing stands out: every indicator with data meets its target."
    return "\n".join(
        f"{number}. **{item.target}**: {item.text}\n\n   `{item.sql}`"
        for number, item in enumerate(recommended, 1)
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    if not rows:
        return ""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _bars(rows: Sequence[tuple[str, float]], unit: str) -> str:
    most = max((value for _, value in rows), default=0.0) or 1.0
    width = max(len(name) for name, _ in rows)
    lines = [
        f"{name:<{width}}  {'█' * round(_BAR * value / most):<{_BAR}} {value:,.0f} {unit}".rstrip()
        for name, value in rows
    ]
    return "```text\n" + "\n".join(lines) + "\n```"


def _pie(title: str, rows: Sequence[tuple[str, float]]) -> str:
    kept = [(name, value) for name, value in rows if value > 0]
    if not kept:
        return ""
    slices = "\n".join(f'    "{name}" : {value:.3f}' for name, value in kept)
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
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

"""Collects result files into one Markdown report."""

import json
import os
from pathlib import Path
from typing import Any


def collect(task: dict[str, Any]) -> dict[str, Any]:
    """Read every JSON file in `payload.results` and write `report.md` into the folder `payload.report`."""
    payload = task["payload"]
    results = Path(payload["results"])
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob("*.json"))]
    report = Path(payload["report"])
    report.mkdir(parents=True, exist_ok=True)
    text = markdown(payload.get("title", "Results"), rows)
    draft = report / f".report.{os.getpid()}"
    draft.write_text(text, encoding="utf-8")
    draft.replace(report / "report.md")
    return {"report": (report / "report.md").as_posix(), "results": len(rows), "bytes": len(text.encode())}


def markdown(title: str, rows: list[dict[str, Any]]) -> str:
    """Return a table with one line per result, in the columns of the first appearance.

    >>> print(markdown("Two", [{"path": "a|b.py", "doctests": 2}, {"path": "c.py", "seconds": 0.1}]))
    # Two
    <BLANKLINE>
    2 results
    <BLANKLINE>
    | path | doctests | seconds |
    | --- | --- | --- |
    | a\\|b.py | 2 |  |
    | c.py |  | 0.1 |
    <BLANKLINE>
    """
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = [f"# {title}", "", f"{len(rows)} results", ""]
    if rows:
        lines += [table_line(columns), table_line(["---"] * len(columns))]
        lines += [table_line([row.get(column, "") for column in columns]) for row in rows]
    return "\n".join(lines) + "\n"


def table_line(cells: list[Any]) -> str:
    """Return one line of a Markdown table."""
    return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

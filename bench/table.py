"""Turn files of figures (`--json`) into one table in Markdown; of a figure measured twice the later one counts."""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.figures import machine, show

KNOWN = {"at", "program", "figure", "ours", "unit", "beside", "raw", "goal"}


def line(row: dict[str, Any]) -> str:
    """Return one row of the table."""
    raw = row["raw"]
    beside = f"{row['beside']}: {show(raw)}" if raw is not None else ""
    ratio = f"{row['ours'] / raw:.2f}" if raw else ""
    more = ", ".join(
        f"{name} {show(value) if isinstance(value, float) else value}"
        for name, value in row.items()
        if name not in KNOWN
    )
    figure = row["figure"].strip()
    cells = (
        f"`{row['program']}.py`",
        figure,
        f"{show(row['ours'])} {row['unit']}",
        beside,
        ratio,
        row["goal"],
        more,
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Read the files named and print the table."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for path in sys.argv[1:]:
        for text in Path(path).read_text().splitlines():
            row = json.loads(text)
            rows.pop((row["program"], row["figure"]), None)
            rows[row["program"], row["figure"]] = row
    print(f"{machine()}\n")
    print("| Program | Figure | Ours | Beside, same run | Ratio | Goal | More |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for row in rows.values():
        print(line(row))


if __name__ == "__main__":
    main()

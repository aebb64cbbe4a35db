"""Writes the parts of docs/sql.md that follow from the code: `python -m tests.sql_page`.

What stands before the first view is kept; every section below is made of the SQL and its comments.
"""

import tempfile
from pathlib import Path

from projections import definitions
from projections.warehouse import Warehouse

PAGE = Path(__file__).parents[1] / "docs" / "sql.md"
TABLES = "Times in tables are microseconds since 1970."


def section(warehouse: Warehouse, name: str) -> str:
    """Return one view's or table's section."""
    cursor = warehouse.cursor()
    try:
        found = cursor.execute(f"DESCRIBE {name}").fetchall()
    finally:
        cursor.close()
    columns = ", ".join(f"`{row[0]}` {row[1].lower()}" for row in found)
    return f"### `{name}`\n\n{definitions.questions()[name]}\n\n{columns}\n"


def page(text: str) -> str:
    """Return the whole page, `text` being the one that stands."""
    start, _, rest = text.partition("\n## Views\n")
    tables = rest.partition("\n## Tables\n")[2].partition("\n### ")[0].strip() or TABLES
    with tempfile.TemporaryDirectory() as folder, Warehouse.open(Path(folder) / "w.duckdb") as warehouse:
        views = "\n".join(section(warehouse, name) for name in definitions.views())
        rows = "\n".join(section(warehouse, name) for name in definitions.tables())
    return f"{start}\n## Views\n\n{views}\n## Tables\n\n{tables}\n\n{rows}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

"""The page about SQL: every query in it runs, and it says every table, view and column as they are."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from projections import definitions
from projections.query import run
from projections.warehouse import Warehouse
from tests.projections.scenes import asked, everything, stored

PAGE = Path(__file__).parents[2] / "docs" / "sql.md"
INDICATORS = PAGE.with_name("kpi.md")
QUERIES = [
    query
    for page in (PAGE, INDICATORS)
    for query in re.findall(r"```sql\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with stored(tmp_path_factory.mktemp("page") / "w.duckdb", everything().events) as warehouse:
        yield warehouse


@pytest.mark.parametrize("number", range(len(QUERIES)))
def test_every_query_answers(warehouse: Warehouse, number: int) -> None:
    cursor = warehouse.cursor()
    table = run(cursor, QUERIES[number])
    cursor.close()
    assert table.columns
    open_alerts = "FROM alerts" in QUERIES[number]
    assert bool(table.rows) is not open_alerts, "the scene has rows for all, and no open alert"


def test_there_are_a_dozen_ready_queries() -> None:
    assert all(page.read_text(encoding="utf-8").count("```sql") >= 12 for page in (PAGE, INDICATORS))


@pytest.mark.parametrize("name", [*definitions.views(), *definitions.tables()])
def test_the_page_says_what_is(warehouse: Warehouse, name: str) -> None:
    columns = ", ".join(
        f"`{row['column_name']}` {row['column_type'].lower()}" for row in asked(warehouse)(f"DESCRIBE {name}")
    )
    section = f"### `{name}`\n\n{definitions.questions()[name]}\n\n{columns}\n"
    assert section in PAGE.read_text(encoding="utf-8"), f"docs/sql.md has to say:\n\n{section}"

"""`elf sql`: one question to the log's tables, from the running node or the stopped folder."""

import csv
import sys
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import Parameter

from actors.faces.console.failure import Exit, Failure
from actors.faces.console.options import HERE, Where, WhereOption
from actors.faces.console.output import note, show_json, show_table
from actors.faces.console.reading import Answer, Reading

_NUMBERS = ("INT", "FLOAT", "DOUBLE", "DECIMAL")


def sql(
    query: Annotated[str, Parameter(allow_leading_hyphen=True)] = "",
    /,
    *,
    format: Literal["table", "csv", "json"] = "table",
    limit: Annotated[int, Parameter(name=["--limit", "-n"])] = 1000,
    json: bool = False,
    snapshot: bool = False,
    where: WhereOption = HERE,
) -> int:
    """Run one SELECT on the events, tasks, workers and decisions; docs/sql.md lists every view.

    Parameters
    ----------
    query
        One SELECT, EXPLAIN or DESCRIBE; "-" reads it from standard input.
    format
        table, csv, or json: a list of objects.
    limit
        At most so many rows; stderr tells when there were more.
    json
        The same as --format json.
    snapshot
        Instead of a query: publish all tables and views as a DuckDB file of their own, and print its path.
    """
    if snapshot:
        return _publish(query, json, where)
    if not query:
        raise Failure('expected a query, got none; try elf sql "FROM kpi_daily"')
    if limit < 1:
        raise Failure(f"expected --limit of at least 1, got {limit}")
    text = sys.stdin.read() if query == "-" else query
    with Reading(where.place()) as reading:
        answer = reading.ask(text, limit=limit)
    if json or format == "json":
        show_json(answer.records())
    elif format == "csv":
        _write_csv(answer)
    else:
        numbers = [at for at, kind in enumerate(answer.types) if _is_number(kind)]
        show_table(answer.columns, [[_cell(value) for value in row] for row in answer.rows], numbers)
    if answer.truncated:
        note(f"more rows than {limit}; try --limit or a LIMIT in the query")
    return Exit.FINE


def _publish(query: str, json: bool, where: Where) -> int:
    if query:
        raise Failure("expected a query or --snapshot, got both")
    with Reading(where.place()) as reading:
        answer = reading.publish()
    if json:
        show_json(answer)
    else:
        print(answer["path"])
    return Exit.FINE


def _is_number(kind: str) -> bool:
    """A list or a struct of numbers is none."""
    return (kind.isalpha() and any(word in kind for word in _NUMBERS)) or kind.startswith("DECIMAL(")


def _write_csv(answer: Answer) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(answer.columns)
    for row in answer.rows:
        writer.writerow(
            ["" if value is None else value if isinstance(value, float) else _cell(value) for value in row]
        )


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.6g}"
    return msgspec.json.encode(value).decode() if isinstance(value, list | dict) else value

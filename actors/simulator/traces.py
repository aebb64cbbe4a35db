"""Recorded work as tasks: CSV, JSON lines and the standard workload format, plain or compressed."""

import csv
import gzip
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TextIO

import msgspec
from msgspec import Struct

from actors.simulator.scenario import Job, ScenarioError

Format = Literal["csv", "jsonl", "swf"]
Row = Mapping[str, object]

SUFFIXES: dict[str, Format] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".swf": "swf"}
PRIORITIES = ("high", "middle", "low")

# The fields of the standard workload format that say something about a task, by their place in the line.
_SWF = {
    "submit": 1,
    "run": 3,
    "processors": 4,
    "requested": 8,
    "status": 10,
    "user": 11,
    "group": 12,
    "queue": 14,
}
_SWF_FIELDS = 15


class Columns(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which columns of a trace mean what. Empty means the format's own names.

    `size` is one column with seconds, or a factor for each column it adds up from (`constant` for what is added
    always). `key` are the columns that make up a task's kind; in `buckets` numbers count as one while their
    logarithm to this base is the same. `where` keeps only lines with one of these values.
    """

    arrival: str = ""
    size: str | dict[str, float] = ""
    key: tuple[str, ...] | None = None
    priority: str = ""
    complexity: str = ""
    buckets: dict[str, float] = {}
    where: dict[str, tuple[str, ...]] = {}
    arrival_unit_s: float = 1.0


USUAL: dict[Format, Columns] = {
    "csv": Columns(arrival="arrival", size="size"),
    "jsonl": Columns(arrival="arrival", size="size"),
    "swf": Columns(arrival="submit", size="run", key=("user", "group", "requested")),
}


def read_trace(path: Path, format: Format | None = None, columns: Columns | None = None) -> list[Job]:
    """Return the tasks of a file in its own order and times. Raises ScenarioError that names file and line."""
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    form = format or SUFFIXES.get(plain.suffix.lower())
    if form is None:
        raise ScenarioError(
            f"expected a trace that ends in {', '.join(SUFFIXES)} or .gz of one, got {path}; try trace.format"
        )
    said, usual = columns or Columns(), USUAL[form]
    used = msgspec.structs.replace(
        said,
        arrival=said.arrival or usual.arrival,
        size=said.size or usual.size,
        key=usual.key if said.key is None else said.key,
    )
    jobs: list[Job] = []
    try:
        with _opened(path) as file:
            for line, row in _ROWS[form](path, file):
                try:
                    if all(str(row[name]) in values for name, values in used.where.items()):
                        job = _job(row, used)
                        if form != "swf" or job.size > 0:
                            jobs.append(job)
                except (KeyError, ValueError) as problem:
                    raise ScenarioError(f"{path}:{line}: {_said(problem, row)}") from None
    except (OSError, EOFError, UnicodeDecodeError) as problem:
        why = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
        raise ScenarioError(
            f"expected a trace in {path}, got: {why.lower()}; try another trace.file"
        ) from None
    if not jobs:
        raise ScenarioError(f"expected tasks in {path}, got none; try another trace.where or trace.file")
    return jobs


def _opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _said(problem: Exception, row: Row) -> str:
    if isinstance(problem, KeyError):
        have = ", ".join(list(row)[:12])
        return f"expected a column {problem.args[0]!r}, got {have}; try one of these in trace.columns"
    return str(problem)


# --- lines -------------------------------------------------------------------------------------------------


def _csv_rows(path: Path, file: TextIO) -> Iterator[tuple[int, Row]]:
    reader = csv.DictReader(file, strict=True)
    try:
        for row in reader:
            if None in row or None in row.values():
                raise ScenarioError(
                    f"{path}:{reader.line_num}: expected {len(reader.fieldnames or ())} values,"
                    " got another number; try to correct or remove the line"
                )
            yield reader.line_num, row
    except csv.Error as problem:
        raise ScenarioError(f"{path}:{reader.line_num}: expected CSV, got: {problem}") from None


def _json_rows(path: Path, file: TextIO) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            yield number, msgspec.json.decode(line, type=dict[str, object])
        except msgspec.DecodeError as problem:
            raise ScenarioError(
                f"{path}:{number}: expected one JSON object, got: {str(problem).lower()};"
                " try to correct or remove the line"
            ) from None


def _swf_rows(path: Path, file: TextIO) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(file, 1):
        fields = line.split()
        if not fields or fields[0].startswith(";"):
            continue
        if len(fields) < _SWF_FIELDS:
            raise ScenarioError(
                f"{path}:{number}: expected 18 fields of the standard workload format, got {len(fields)};"
                " try to correct or remove the line"
            )
        yield number, {name: fields[place] for name, place in _SWF.items()}


_ROWS = {"csv": _csv_rows, "jsonl": _json_rows, "swf": _swf_rows}


# --- values ------------------------------------------------------------------------------------------------


def _job(row: Row, columns: Columns) -> Job:
    size = columns.size
    if isinstance(size, str):
        seconds = _number(row, size)
    else:
        seconds = sum(
            factor * (1.0 if name == "constant" else _number(row, name)) for name, factor in size.items()
        )
    if seconds < 0 and not (seconds == -1 and size == "run"):
        raise ValueError(f"expected a size of at least 0 seconds, got {seconds:g}; try trace.columns.size")
    priority = str(row[columns.priority]) if columns.priority else "middle"
    if priority not in PRIORITIES:
        raise ValueError(f"expected {', '.join(PRIORITIES)} in {columns.priority}, got {priority!r}")
    return Job(
        arrival=_moment(row, columns.arrival) * columns.arrival_unit_s,
        size=seconds,
        kind="/".join(_parts(row, columns)),
        priority=priority,
        complexity=round(_number(row, columns.complexity)) if columns.complexity else 0,
    )


def _parts(row: Row, columns: Columns) -> Iterable[str]:
    for name in columns.key or ():
        base = columns.buckets.get(name)
        if base is None:
            yield str(row[name])
        else:
            value = _number(row, name)
            yield str(math.floor(math.log(value, base))) if value > 0 else "0"


def _number(row: Row, name: str) -> float:
    value = row[name]
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"expected a number in {name}, got {value!r}; try to correct or remove the line")
    return number


def _moment(row: Row, name: str) -> float:
    value = row[name]
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            pass
        else:
            if math.isfinite(number):
                return number
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(
                f"expected seconds or a date and time in {name}, got {value!r}; try to correct or remove the line"
            ) from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return _number(row, name)

"""SQL for people: one statement that can only read, bounded in time, rows and bytes, with short errors."""

import datetime as dt
import difflib
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from math import isfinite
from typing import Any
from uuid import UUID

import duckdb
import msgspec
from msgspec import Struct

ALLOWED = "one SELECT, WITH, FROM, VALUES, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN of these"
MAX_BYTES = 64 * 1024 * 1024
_CHUNK = 1000

_READING = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
_EXPLAIN = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*explain\b(?:\s*\([^)]*\))?(?:\s+analyze\b)?", re.IGNORECASE | re.DOTALL
)
_NEAR = re.compile(r'syntax error at or near "([^"]*)"')
_WORDS = (
    "select",
    "from",
    "where",
    "group",
    "order",
    "limit",
    "having",
    "join",
    "values",
    "describe",
    "with",
    "union",
)
_WHERE = re.compile(r"^LINE (\d+): (.*)\n( *)\^", re.MULTILINE | re.DOTALL)


class QueryError(Exception):
    """The statement gave no answer; the text says why in a line or two."""


class NotAllowed(QueryError):
    """The statement is not one that only reads."""


class OutOfTime(QueryError):
    """The statement took longer than it may."""


class Table(Struct, frozen=True):
    """An answer: names and DuckDB types of the columns, and rows of values that JSON can hold.

    `truncated` says that there are more rows than asked for, or more bytes than an answer may have.
    """

    columns: list[str]
    types: list[str]
    rows: list[list[Any]]
    truncated: bool


def run(
    cursor: duckdb.DuckDBPyConnection,
    sql: str,
    params: Sequence[object] | dict[str, object] = (),
    limit: int = 10_000,
    seconds: float = 10.0,
    max_bytes: int = MAX_BYTES,
) -> Table:
    """Run one reading statement on a cursor of a warehouse. The calling thread must own the cursor.

    Raises QueryError: NotAllowed for anything that is not one reading statement, OutOfTime after `seconds`.
    """
    check(cursor, sql)
    values = dict(params) if isinstance(params, dict) else list(params)
    with _time_limit(cursor, seconds) as expired:
        try:
            # A transaction that cannot write refuses what parses as SELECT: WITH x AS (INSERT ...) SELECT.
            cursor.execute("BEGIN TRANSACTION READ ONLY")
            try:
                return _fetch(cursor, sql, values, limit, max_bytes)
            finally:
                with suppress(duckdb.Error):
                    cursor.execute("ROLLBACK")
        except duckdb.InterruptException as problem:
            if expired.is_set():
                raise OutOfTime(
                    f"expected an answer within {seconds:g} s, got none; try fewer rows or a narrower WHERE"
                ) from problem
            raise QueryError("expected an answer, got the end of the warehouse; try again") from problem
        except duckdb.Error as problem:
            raise QueryError(explain(problem, sql)) from problem


def check(cursor: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Refuse what is not one reading statement. Raises NotAllowed, or QueryError where it does not parse."""
    statements = _parse(cursor, sql)
    if len(statements) != 1:
        got = "nothing" if not statements else f"{len(statements)} statements"
        raise NotAllowed(f"expected {ALLOWED}, got {got}")
    kind = statements[0].type
    if kind not in _READING:
        raise NotAllowed(f"expected {ALLOWED}, got {kind.name}: this log is only read here")
    if kind == duckdb.StatementType.EXPLAIN:
        # EXPLAIN ANALYZE runs what it explains.
        head = _EXPLAIN.match(statements[0].query)
        if head is None:
            raise NotAllowed(f"expected {ALLOWED}, got an EXPLAIN of another form")
        check(cursor, statements[0].query[head.end() :])


def explain(problem: Exception, sql: str) -> str:
    """Return DuckDB's error in one line: what is wrong, where, and what was perhaps meant."""
    text = str(problem).strip()
    place = _WHERE.search(text)
    lines = [line.strip() for line in text.split("\n\nLINE ", 1)[0].splitlines() if line.strip()]
    if not lines:
        return f"expected an answer, got {type(problem).__name__}"
    first, hints = lines[0], [line for line in lines[1:] if line.startswith(("Did you mean", "Candidate"))]
    if "read-only" in first:
        return f"expected {ALLOWED}, got a statement that writes"
    if "Out of Memory" in first:
        return "expected an answer within the memory limit, got more; try fewer columns or a narrower WHERE"
    if place:
        shown = place[2].splitlines()[0]
        column = len(place[3]) - len(f"LINE {place[1]}: ") + 1
        # DuckDB shows a long line in part, between dots: then only the text tells the place.
        known = "" if "..." in (shown[:3], shown[-3:]) and shown not in sql else f", column {column}"
        first += f" (line {place[1]}{known})"
    if (near := _NEAR.search(first)) and not hints:
        hints = _meant(sql, near[1])
    return "; ".join([first, *hints[:1]])


def _meant(sql: str, near: str) -> list[str]:
    """Look at the word where parsing ended and the one before: a misspelt keyword is noticed a word late."""
    words = re.findall(r"\w+", sql.lower())
    end = words.index(near.lower()) if near.lower() in words else 0
    for word in (near.lower(), *words[max(0, end - 1) : end]):
        close = difflib.get_close_matches(word, _WORDS, 1, 0.7)
        if close and close[0] != word:
            return [f'Did you mean "{close[0]}" for "{word}"?']
    return []


def _parse(cursor: duckdb.DuckDBPyConnection, sql: str) -> list[duckdb.Statement]:
    try:
        return list(cursor.extract_statements(sql))
    except duckdb.Error as problem:
        raise QueryError(explain(problem, sql)) from problem


def _fetch(
    cursor: duckdb.DuckDBPyConnection,
    sql: str,
    values: list[object] | dict[str, object],
    limit: int,
    max_bytes: int,
) -> Table:
    cursor.execute(sql, values)
    described = [(column[0], str(column[1])) for column in cursor.description or []]
    if any(kind == "TIMESTAMP WITH TIME ZONE" for _, kind in described):
        # Python values with a zone would need one more package: they come as UTC and get their Z here.
        cursor.execute(_without_zones(sql, described), values)
    readers = [_reader(kind) for _, kind in described]
    rows: list[list[Any]] = []
    room = max_bytes
    while len(rows) <= limit and room >= 0:
        chunk = cursor.fetchmany(min(_CHUNK, limit + 1 - len(rows)))
        if not chunk:
            break
        for raw in chunk:
            row = [None if value is None else read(value) for read, value in zip(readers, raw, strict=True)]
            room -= len(msgspec.json.encode(row))
            if room < 0:
                break
            rows.append(row)
    truncated = len(rows) > limit or room < 0
    names = [name for name, _ in described]
    return Table(names, [kind for _, kind in described], rows[:limit], truncated)


def _without_zones(sql: str, described: list[tuple[str, str]]) -> str:
    names = [f"c{number}" for number in range(len(described))]
    picked = ", ".join(
        f"CAST({name} AS TIMESTAMP)" if kind == "TIMESTAMP WITH TIME ZONE" else name
        for name, (_, kind) in zip(names, described, strict=True)
    )
    inner = sql.strip().rstrip(";")
    return f"SELECT {picked} FROM (\n{inner}\n) AS q({', '.join(names)})"  # noqa: S608 - it was checked


def _reader(kind: str) -> Any:
    if kind == "JSON":
        return _json
    if kind == "TIMESTAMP WITH TIME ZONE":
        return lambda value: f"{value.isoformat()}Z" if isinstance(value, dt.datetime) else _plain(value)
    return _plain


def _json(value: object) -> Any:
    try:
        return msgspec.json.decode(value) if isinstance(value, str) else _plain(value)
    except msgspec.DecodeError:
        return value


def _plain(value: Any) -> Any:
    """Return a value as JSON holds it: times as ISO 8601, durations in seconds, NaN and infinity as null."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if isfinite(value) else None
        case Decimal():
            return _plain(float(value))
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat()
        case dt.timedelta():
            return value.total_seconds()
        case bytes() | bytearray():
            return bytes(value).decode("utf-8", "backslashreplace")
        case UUID():
            return str(value)
        case dict():
            return {str(_plain(key)): _plain(item) for key, item in value.items()}
        case list() | tuple() | set():
            return [_plain(item) for item in value]
        case _:
            return str(value)


@contextmanager
def _time_limit(cursor: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[threading.Event]:
    """Interrupt the cursor when the time is over, and never after the block was left."""
    expired, lock = threading.Event(), threading.Lock()
    over = False

    def stop() -> None:
        with lock:
            if not over:
                expired.set()
                cursor.interrupt()

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield expired
    finally:
        with lock:
            over = True
        timer.cancel()

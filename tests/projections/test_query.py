"""SQL of people: everything that reads is answered, nothing that writes or leaves the file runs."""

import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import msgspec
import pytest

from projections.query import NotAllowed, OutOfTime, QueryError, run
from projections.warehouse import Warehouse
from tests.projections.scenes import everything, stored


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with stored(tmp_path_factory.mktemp("query") / "w.duckdb", everything().events) as warehouse:
        yield warehouse


@pytest.fixture
def cursor(warehouse: Warehouse) -> Iterator[duckdb.DuckDBPyConnection]:
    cursor = warehouse.cursor()
    yield cursor
    cursor.close()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "select count(*) from events;",
        "-- how many\nSELECT count(*) FROM tasks",
        "WITH x AS (SELECT 1 AS a) SELECT a FROM x",
        "FROM workers",
        "VALUES (1), (2)",
        "TABLE decisions",
        "(SELECT 1)",
        "SELECT 1 UNION ALL SELECT 2",
        "DESCRIBE tasks",
        "SHOW TABLES",
        "SUMMARIZE attempts",
        "EXPLAIN SELECT * FROM tasks",
        "/* plan */ EXPLAIN ANALYZE SELECT 1",
        "EXPLAIN (FORMAT json) SELECT 1",
        "PIVOT (FROM tasks) ON state IN ('done', 'dead') USING count(*)",
    ],
)
def test_what_reads_is_answered(cursor: duckdb.DuckDBPyConnection, sql: str) -> None:
    table = run(cursor, sql)
    assert table.rows
    assert len(table.columns) == len(table.types) == len(table.rows[0])
    assert not table.truncated
    msgspec.json.encode(table)


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "-- nothing",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE log",
        "INSERT INTO meta VALUES ('a', 'b')",
        "FROM log INSERT INTO meta SELECT 'a', 'b'",
        "UPDATE checkpoint SET position = 0",
        "DELETE FROM log",
        "TRUNCATE log",
        "DROP VIEW tasks",
        "CREATE TABLE x (a INT)",
        "CREATE TEMP TABLE x AS SELECT 1",
        "CREATE OR REPLACE VIEW tasks AS SELECT 1",
        "ALTER TABLE log RENAME TO gone",
        "WITH x AS (INSERT INTO meta VALUES ('a', 'b') RETURNING *) SELECT * FROM x",
        "WITH x AS (DELETE FROM log RETURNING position) SELECT * FROM x",
        "EXPLAIN ANALYZE INSERT INTO meta VALUES ('a', 'b')",
        "EXPLAIN ANALYZE WITH x AS (DELETE FROM log RETURNING position) SELECT * FROM x",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{out}'",
        "COPY tasks TO '{out}'",
        "COPY (SELECT 1) TO '{out}' (FORMAT parquet)",
        "COPY log FROM '{file}'",
        "EXPORT DATABASE '{out}'",
        "IMPORT DATABASE '{file}'",
        "ATTACH '{out}'",
        "ATTACH ':memory:' AS m",
        "DETACH w",
        "USE main",
        "INSTALL httpfs",
        "LOAD json",
        "SET threads = 4",
        "SET enable_external_access = true",
        "RESET memory_limit",
        "SET VARIABLE a = 1",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "CHECKPOINT",
        "VACUUM",
        "BEGIN",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "FROM read_csv('{file}')",
        "FROM read_text('{file}')",
        "FROM read_blob('{file}')",
        "FROM read_json('{file}')",
        "FROM read_parquet('{file}')",
        "FROM read_duckdb('{file}')",
        "FROM '{file}'",
        "FROM glob('{folder}/*')",
        "FROM sniff_csv('{file}')",
        "FROM query('DELETE FROM log')",
        "FROM enable_logging('QueryLog')",
        "FROM enable_profiling()",
        "FROM force_checkpoint()",
    ],
)
def test_what_writes_or_leaves_the_file_is_refused(
    warehouse: Warehouse, cursor: duckdb.DuckDBPyConnection, tmp_path: Path, sql: str
) -> None:
    file = tmp_path / "secret.csv"
    file.write_text("name\nsecret\n")
    here = sorted(tmp_path.iterdir())
    tables = "SELECT count(*), (SELECT count(*) FROM meta), (SELECT count(*) FROM duckdb_views()) FROM log"
    before = run(cursor, tables)
    with pytest.raises(QueryError) as refused:
        run(cursor, sql.format(out=tmp_path / "out", file=file, folder=tmp_path))
    assert len(str(refused.value).splitlines()) == 1
    assert "secret\n" not in str(refused.value)
    assert sorted(tmp_path.iterdir()) == here
    assert run(cursor, tables) == before
    warehouse.add([])


def test_a_variable_of_the_program_is_no_table(cursor: duckdb.DuckDBPyConnection) -> None:
    hidden = duckdb.connect().sql("SELECT 42 AS hidden")
    with pytest.raises(QueryError, match="hidden does not exist"):
        run(cursor, "FROM hidden")
    assert hidden.fetchall() == [(42,)]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("FROM taks", 'Table with name taks does not exist! (line 1, column 6); Did you mean "tasks"?'),
        (
            "SELECT\n  id,\n  stat\nFROM tasks",
            '"stat" not found in FROM clause! (line 3, column 3); Cand',
        ),
        ("selct 1", 'syntax error at or near "selct" (line 1, column 1); Did you mean "select" for "selct"?'),
        ("SELECT * FORM tasks", '(line 1, column 15); Did you mean "from" for "form"?'),
        ("SELECT floot(1)", 'floot does not exist! (line 1, column 8); Did you mean "floor"?'),
        ("SELECT error('mine')", "Invalid Input Error: mine"),
        ("COPY tasks TO 'x'", "expected one SELECT, WITH, FROM, VALUES, DESCRIBE, SHOW, SUMMARIZE or"),
    ],
)
def test_errors_say_what_where_and_what_was_meant(
    cursor: duckdb.DuckDBPyConnection, sql: str, said: str
) -> None:
    with pytest.raises(QueryError) as refused:
        run(cursor, sql)
    assert said in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_values_are_such_as_json_holds(cursor: duckdb.DuckDBPyConnection) -> None:
    sql = """
        SELECT 1.5 AS a, 'x'::BLOB AS b, INTERVAL 90 SECOND AS c, {'k': [1, NULL]} AS d,
               MAP {'k': DATE '2026-01-02'} AS e, 'nan'::DOUBLE AS f, '{"a": 1}'::JSON AS g,
               TIMESTAMP '2026-01-02 03:04:05' AS h, NULL AS i, 2::HUGEINT ** 70 AS j,
               TIMESTAMPTZ '2026-01-02 03:04:05+09' AS k, '6f1c2d3e-0000-4000-8000-000000000000'::UUID AS l,
               170::HUGEINT AS m
    """
    table = run(cursor, sql)
    assert table.columns == list("abcdefghijklm")
    assert table.rows == [
        [
            1.5,
            "x",
            90.0,
            {"k": [1, None]},
            {"k": "2026-01-02"},
            None,
            {"a": 1},
            "2026-01-02T03:04:05",
            None,
            2.0**70,
            "2026-01-01T18:04:05Z",
            "6f1c2d3e-0000-4000-8000-000000000000",
            170,
        ]
    ]
    msgspec.json.encode(table)


def test_zones_do_not_cost_names_or_parameters(cursor: duckdb.DuckDBPyConnection) -> None:
    table = run(cursor, "SELECT now() AS t, ? AS p, now() AS t -- twice\n;", ["x"])
    assert table.columns == ["t", "p", "t"]
    assert table.rows[0][0].endswith("Z")
    assert table.rows[0][1] == "x"
    assert run(cursor, "SELECT $a + 1 AS n", {"a": 2}).rows == [[3]]


def test_rows_and_bytes_are_bounded(cursor: duckdb.DuckDBPyConnection) -> None:
    table = run(cursor, "FROM range(10000000000)", limit=2500)
    assert (len(table.rows), table.truncated, table.rows[-1]) == (2500, True, [2499])
    exact = run(cursor, "FROM range(2500)", limit=2500)
    assert (len(exact.rows), exact.truncated) == (2500, False)
    wide = run(cursor, "SELECT repeat('x', 1000) FROM range(100)", max_bytes=10_000)
    assert (len(wide.rows), wide.truncated) == (9, True)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM range(1000000) a, range(1000000) b",
        "SELECT a.range FROM range(1000000) a, range(1000000) b WHERE a.range + b.range = -1",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t",
    ],
)
def test_time_is_bounded_and_the_cursor_lives_on(cursor: duckdb.DuckDBPyConnection, sql: str) -> None:
    with pytest.raises(OutOfTime, match=r"within 0\.2 s"):
        run(cursor, sql, seconds=0.2)
    assert run(cursor, "SELECT 1", seconds=60).rows == [[1]]


def test_memory_is_bounded(tmp_path: Path) -> None:
    with Warehouse.open(tmp_path / "m.duckdb", memory="32MB") as warehouse:
        cursor = warehouse.cursor()
        with pytest.raises(QueryError, match="memory limit"):
            run(cursor, "SELECT list(repeat('x', 100) || range) FROM range(2000000)")
        assert run(cursor, "SELECT 1").rows == [[1]]
        cursor.close()


def test_closing_the_warehouse_ends_a_query(tmp_path: Path) -> None:
    warehouse = stored(tmp_path / "w.duckdb", everything().events)
    begun = threading.Event()
    ended: list[str] = []

    def ask() -> None:
        cursor = warehouse.cursor()
        begun.set()
        try:
            run(cursor, "SELECT count(*) FROM range(1000000) a, range(10000000) b")
        except QueryError as problem:
            ended.append(str(problem))

    thread = threading.Thread(target=ask)
    thread.start()
    assert begun.wait(5)
    warehouse.close()
    thread.join(5)
    assert len(ended) == 1


def test_refusals_have_their_class(cursor: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(NotAllowed, match="got 2 statements"):
        run(cursor, "SELECT 1; SELECT 2")
    with pytest.raises(NotAllowed, match="got nothing"):
        run(cursor, "  ")

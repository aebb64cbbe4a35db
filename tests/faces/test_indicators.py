"""`elf kpi`, `elf daily`, `elf sql --snapshot`: against a real node, then against the folder it left."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.faces.console import FOREST, Elf, Program, running

ENOUGH = 6


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with running(tmp_path_factory.mktemp("forest"), FOREST) as program:
        yield program


@pytest.fixture
def elf(capsys: pytest.CaptureFixture[str], node: Program, monkeypatch: pytest.MonkeyPatch) -> Elf:
    monkeypatch.setenv("LANG", "C")
    return Elf(capsys, node.data)


def test_indicators_and_the_daily_analysis(elf: Elf, node: Program, tmp_path: Path) -> None:
    assert elf("daily").code in (0, 5)
    for number in range(ENOUGH):
        assert elf("submit", "sums", "--payload", f"[{number}, 1]", "--wait").code == 0
    said = elf("kpi", "--json")
    assert said.code == 0, said
    assert [row["name"] for row in said.json["indicators"]][:3] == [
        "completion_rate",
        "response_s",
        "error_rate",
    ]
    assert said.json["indicators"][0]["value"] == 1.0
    assert elf("submit", "sums", "--payload", '["no number", 1]', "--wait").code == 1
    said = elf("kpi", "--json")
    assert said.code == 1, "one of seven is less than 95 %"
    rows = {row["name"]: row for row in said.json["indicators"]}
    assert (rows["completion_rate"]["met"], rows["completion_rate"]["n"]) == (False, ENOUGH + 1)
    assert (rows["load_spread"]["value"], rows["load_spread"]["met"]) == (None, None)
    shown = elf("kpi", "--lang", "ja", "--days", "7")
    assert "作業完了率" in shown.out
    assert "データなし" in shown.out
    analysis(elf, said.json["day"], tmp_path)
    outside(elf, node, said.json["indicators"])
    refusals(elf)


def analysis(elf: Elf, day: str, folder: Path) -> None:
    """The analysis names what is wrong, with the query that shows it, and stands in the log."""
    found = elf("daily", "--json").json
    assert found["day"] == day
    (unit,) = found["load_distribution"]["units"]
    assert (unit["unit"], unit["done"], unit["failed"]) == ("adder", ENOUGH, 1)
    advised = {item["rule"]: item for item in found["recommendations"]}
    assert set(advised) >= {"completion_rate", "error_rate"}
    for item in advised.values():
        assert elf("sql", item["sql"], "--json").json
    page = folder / "day.md"
    assert elf("daily", "--out", str(page)).out.strip() == str(page)
    text = page.read_text()
    assert text.startswith(f"# Daily analysis, {day}\n")
    assert all(part in text for part in ("## Load distribution", "```mermaid", "## Recommendations", "adder"))
    assert elf("daily", "--lang", "ja", "--out", str(page)).code == 0
    text = page.read_text()
    assert text.startswith(f"# 日次分析 {day}\n")
    assert all(part in text for part in ("## 負荷分散", "作業完了率", "断念タスク 1 件", "adder"))
    rows = elf("sql", "SELECT seq, missed FROM analyses ORDER BY seq DESC LIMIT 3", "--json").json
    assert found["event"] in [row["seq"] for row in rows]
    assert "completion_rate" in rows[0]["missed"]


def outside(elf: Elf, node: Program, indicators: list[dict[str, object]]) -> None:
    """Another program sees the same numbers while the node runs."""
    said = elf("sql", "--snapshot")
    assert said.code == 0, said
    path = Path(said.out.strip())
    assert path.parent == (node.data / "kpi").resolve()
    with duckdb.connect(str(path), read_only=True) as plain:
        rows = plain.execute("SELECT name, met, n FROM kpi_daily ORDER BY day, place").fetchall()
    assert rows == [(row["name"], row["met"], row["n"]) for row in indicators]


def refusals(elf: Elf) -> None:
    """Everything that cannot be answered says so in one line, with its own exit code."""
    assert elf.no(5, "daily", "--day", "1999-01-01").startswith("expected a day from ")
    assert elf.no(5, "kpi", "--day", "1999-01-01").startswith("expected a day of the log, got 1999-01-01")
    assert elf.no(2, "kpi", "--day", "tomorrow") == "expected --day as YYYY-MM-DD, got 'tomorrow'"
    assert elf.no(2, "kpi", "--days", "3") == "expected --days 1, 7 or 30, got 3"
    assert elf.no(2, "sql").startswith("expected a query, got none")
    assert elf.no(2, "sql", "SELECT 1", "--snapshot") == "expected a query or --snapshot, got both"
    wrong = elf.no(2, "sql", "SELECT nme FROM workers")
    assert "line 1, column 8" in wrong
    assert "\n" not in wrong
    endless = "SELECT count(*) FROM range(100000000) a, range(1000000) b"
    assert (
        elf.no(5, "sql", endless)
        == "expected an answer within 10 s, got none; try fewer rows or a narrower WHERE"
    )

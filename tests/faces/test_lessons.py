"""A forest that learns: a type of tasks that fails is found, proposed, approved and remembered, with real workers."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faces.console import Elf, Program, running, until

FOREST = f"""
[node]
name = "t"
data = "data"
sample_s = 0.2

[limits]
learn_s = 1

[[queue]]
name = "sums"
max_attempts = 1

[[worker]]
name = "adder"
queue = "sums"
exec = ["{sys.executable}", "-I", "-S", "-c", '''
import json, sys
if json.load(sys.stdin)["payload"] == "odd":
    sys.exit("cannot add what is odd")
print("1")
''']
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with running(tmp_path_factory.mktemp("forest"), FOREST) as program:
        yield program


@pytest.fixture
def elf(capsys: pytest.CaptureFixture[str], node: Program, monkeypatch: pytest.MonkeyPatch) -> Elf:
    monkeypatch.setenv("LANG", "C")
    return Elf(capsys, node.data)


def test_a_condition_of_errors_is_learnt_approved_and_remembered(
    elf: Elf, node: Program, tmp_path: Path
) -> None:
    kinds = ["odd" if place % 4 == 0 else "even" for place in range(120)]
    lines = [{"id": f"t{place}", "type": kind, "payload": kind} for place, kind in enumerate(kinds)]
    many = tmp_path / "many.jsonl"
    many.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    assert elf("submit", "sums", "--file", str(many)).code == 0

    def learnt() -> dict[str, object] | None:
        rows = elf("plan", "--json").json
        return next((row for row in rows if row["rule"] == "error_condition"), None)

    row = until(learnt, "the proposal", 40.0)
    assert row
    assert (row["elf"], row["choice"], row["target"], row["state"]) == ("wisdom", "propose", "sums", "open")
    assert "on sums came with type odd, " in str(row["claim"])
    assert row["change"]["now"] == "type odd"  # type: ignore[index]
    counted = elf("sql", str(row["sql"]), "--json").json
    assert counted
    shown = elf("plan", str(row["id"])).out
    for part in ("claim", "gain", "interval", "risk", "rollback", "sql", "expires"):
        assert f"\n  {part} " in shown
    assert elf("approve", str(row["id"]), "--reason", "we fix the odd ones").code == 0
    path = node.data / "knowledge" / f"{row['id']}.md"
    until(path.exists, "the record")
    hits = elf("knowledge", "search", "条件", "--json").json
    assert [hit["id"] for hit in hits] == [row["id"]]
    assert "we fix the odd ones" in path.read_text(encoding="utf-8")
    assert not [other for other in elf("plan", "--json").json if other["rule"] == "error_condition"]


def test_what_is_missing_for_other_lessons_is_said(elf: Elf) -> None:
    query = "SELECT kind, text FROM decisions WHERE elf = 'wisdom' AND choice = 'abstain' ORDER BY kind"

    def rules() -> set[str]:
        return {row["kind"] for row in elf("sql", query, "--json").json}

    until(lambda: {"order", "timeout", "size"} <= rules(), "what is missing", 30.0)


def test_the_replay_of_all_this_is_equal(elf: Elf, node: Program) -> None:
    said = elf("replay", "--json")
    assert said.code == 0, said

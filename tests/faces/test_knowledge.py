"""The knowledge base of a real node: a healed worker becomes a document, people edit and add, words find them."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faces.console import Elf, Program, running, until

FOREST = """
[node]
name = "t"
data = "data"
sample_s = 0.2

[[worker]]
name = "idler"
command = ["sleep", "1000"]
stop_wait_s = 2
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with running(tmp_path_factory.mktemp("forest"), FOREST) as program:
        yield program


@pytest.fixture
def elf(capsys: pytest.CaptureFixture[str], node: Program, monkeypatch: pytest.MonkeyPatch) -> Elf:
    monkeypatch.setenv("LANG", "C")
    return Elf(capsys, node.data)


def pid_of(elf: Elf) -> int:
    """Wait for the worker to run; its pid."""

    def look() -> int:
        (row,) = elf("status", "--json").json["workers"]
        return int(row["pid"] or 0) if row["state"] == "running" else 0

    return until(look, "the worker to run")


def test_a_healed_worker_becomes_a_document_that_people_may_edit(elf: Elf, node: Program) -> None:
    os.kill(pid_of(elf), signal.SIGKILL)
    path = node.data / "knowledge" / "crash-idler.md"
    until(path.exists, "the document")
    assert [hit["id"] for hit in elf("knowledge", "search", "異常", "--json").json] == ["crash-idler"]
    shown = elf("knowledge", "show", "crash-idler").out
    assert shown.startswith("<!-- elf-forest writes from here")
    assert "killed by signal 9" in shown
    assert "start_unit: worked 1 ×" in shown
    with path.open("a", encoding="utf-8") as file:
        file.write("犯人は試験係だった。\n")
    os.kill(pid_of(elf), signal.SIGKILL)
    until(lambda: "worked 2 ×" in path.read_text(encoding="utf-8"), "the second time")
    assert "犯人は試験係だった。" in path.read_text(encoding="utf-8")
    (hit,) = elf("knowledge", "search", "犯人", "--json").json
    assert (hit["id"], hit["piece"]) == ("crash-idler", "犯人は試験係だった。")
    assert "worker crashed" in elf("knowledge", "search", "idler", "crash").out


def test_people_add_what_they_know(elf: Elf, node: Program) -> None:
    said = elf(
        "knowledge", "add", "ups-1", "--title", "停電のあと", "--symptom", "全員が沈黙した", "--cause", "old UPS",
        "--measure", "new battery", "--tag", "電源",
    )  # fmt: skip
    assert said.code == 0, said
    until((node.data / "knowledge" / "ups-1.md").exists, "the document")
    for query in ("停電", "電源", "沈黙", "battery"):
        assert "ups-1" in [hit["id"] for hit in elf("knowledge", "search", query, "--json").json], query


def test_wrong_use_is_one_line(elf: Elf, tmp_path: Path) -> None:
    assert elf("knowledge", "search", "火災").code == 1
    assert "expected the id of a document, got 'x'" in elf.no(1, "knowledge", "show", "x")
    assert "expected id of 1 to 64 letters" in elf.no(
        2, "knowledge", "add", "a b", "--title", "t", "--symptom", "s"
    )
    assert "expected a data folder with documents" in elf.no(
        1, "knowledge", "search", "x", "--data", str(tmp_path), data=False
    )


def test_the_documents_of_a_stopped_node_are_found(elf: Elf, node: Program) -> None:
    assert node.stop() == 0
    assert [hit["id"] for hit in elf("knowledge", "search", "犯人", "--json").json] == ["crash-idler"]
    assert "expected a running node" in elf.no(4, "knowledge", "add", "y", "--title", "t", "--symptom", "s")

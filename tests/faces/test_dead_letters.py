"""`elf dlq`, `elf task retry` and delays as people use them, on a real node and on the folder it left."""

from pathlib import Path

import pytest

from tests.faces.console import Elf, running, until


def test_from_a_death_to_its_end(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "C")
    with running(tmp_path) as node:
        elf = Elf(capsys, node.data)
        for task in ("a", "b", "c"):
            assert elf("submit", "sums", "--payload", '["x"]', "--id", task, "--wait").code == 1
        until(lambda: len(elf("dlq", "list", "--json").json) == 3, "three dead letters")
        assert [row["id"] for row in elf("dlq", "list", "--json", "-n", "2").json] == ["c", "b"]
        assert elf("dlq", "list", "--json", "--queue", "slow").json == []
        assert elf("dlq", "list", "--queue", "slow").out == "no dead letters: slow\n"
        assert elf("dlq", "list", "--lang", "ja", "--queue", "slow").out == "デッドレターはありません: slow\n"
        assert "exit code 1: summing" in elf("dlq", "list").out
        told = elf("dlq", "list", "--lang", "ja").out
        assert told.startswith("タスク")
        assert "終了コード 1: summing" in told
        assert elf("task", "a", "--lang", "ja").out.count("エラー  終了コード 1: summing") == 1
        shown = elf("dlq", "show", "a").out
        assert shown.startswith("task  a\nqueue  sums\nattempts  1\ndeaths  0\nerror  error: exit code 1:")
        assert elf.no(1, "dlq", "show", "nobody") == "expected a dead letter, got 'nobody'; try elf dlq list"
        assert elf.no(2, "dlq", "requeue").startswith("expected ids of dead letters or --all")
        (said,) = elf("dlq", "drop", "a", "--reason", "known", "--json").json
        assert said["id"] == "a"
        assert elf.no(1, "dlq", "drop", "a").startswith("expected a dead letter, got a: task_dropped")
        assert elf("task", "a", "--json").json["state"] == "dropped"
        assert elf("dlq", "requeue", "--all").out.count("requeued at position") == 2
        until(lambda: len(elf("dlq", "list", "--json").json) == 2, "two dead letters again")
        assert elf("task", "retry", "a").code == 0
        until(lambda: elf("task", "a", "--json").json["state"] == "dead", "the next death of a")
        assert elf("task", "a", "--json").json["attempts"] == 1
        delays(elf)
    stopped = Elf(capsys, node.data)
    assert {row["id"] for row in stopped("dlq", "list", "--json").json} == {"a", "b", "c"}
    assert stopped("tasks", "--state", "delayed", "--json").json[0]["id"] == "later"


def delays(elf: Elf) -> None:
    """Tasks that are not due are shown, cancelled and brought forward."""
    for task in ("later", "sooner", "never"):
        assert elf("submit", "sums", "--payload", "[1]", "--id", task, "--delay", "1h").code == 0
    assert elf.no(2, "submit", "sums", "--delay", "soon").startswith("expected a delay like 10s")
    until(lambda: len(elf("tasks", "--state", "delayed", "--json").json) == 3, "three delayed tasks")
    assert "delayed to " in elf("tasks").out
    assert "state  delayed\n" in elf("task", "later").out
    assert elf("task", "cancel", "never").code == 0
    assert elf("task", "retry", "sooner").code == 0
    until(lambda: elf("task", "sooner", "--json").json["state"] == "done", "the end of sooner")
    assert "task_finished" in elf.no(1, "task", "retry", "sooner")
    assert elf("task", "never", "--json").json["state"] == "cancelled"
    assert elf("submit", "sums", "--payload", "[2]", "--delay", "300ms", "--wait").out == "2\n"

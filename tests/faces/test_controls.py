"""What people allow elves on a real node: a pause, a mode and their ends take effect at once; alerts are kept quiet."""

import os
import re
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

[limits]
steady_s = 0.1
queue_backlog = 3

[[queue]]
name = "slow"

[[worker]]
name = "sleeper"
queue = "slow"
exec = ["sleep", "1000"]
stop_wait_s = 0.5

[[worker]]
name = "a"
command = ["sleep", "1000"]
stop_wait_s = 0.5

[[worker]]
name = "b"
command = ["sleep", "1000"]
stop_wait_s = 0.5
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with running(tmp_path_factory.mktemp("forest"), FOREST) as program:
        yield program


@pytest.fixture
def elf(capsys: pytest.CaptureFixture[str], node: Program, monkeypatch: pytest.MonkeyPatch) -> Elf:
    monkeypatch.setenv("LANG", "C")
    return Elf(capsys, node.data)


def pid_of(elf: Elf, name: str, before: int = 0) -> int:
    """Wait until a worker runs as another process than before; its pid."""

    def look() -> int:
        rows = elf("status", "--json").json["workers"]
        found = next(
            (row["pid"] or 0 for row in rows if row["name"] == name and row["state"] == "running"), 0
        )
        return found if found != before else 0

    return until(look, f"{name} to run")


def decided(elf: Elf, rule: str, target: str, mode: str) -> int:
    """Wait for a decision; how many there are."""
    sql = f"SELECT count(*) AS n FROM decisions WHERE kind = '{rule}' AND target = '{target}' AND mode = '{mode}'"
    return until(lambda: int(elf("sql", sql, "--json").json[0]["n"]), f"{mode} {rule} of {target}")


def test_nothing_is_done_in_a_pause_and_all_of_it_afterwards(elf: Elf) -> None:
    pid = pid_of(elf, "a")
    assert elf("pause", "--all", "--reason", "moving house", "--json").json["paused"] is True
    until(lambda: elf("status", "--json").json["paused"], "the pause to be known")
    os.kill(pid, signal.SIGKILL)
    decided(elf, "crash", "a", "observe")
    page = elf("status", "--json").json
    assert {row["mode"] for row in page["elves"]} == {"observe"}
    assert next(row for row in page["workers"] if row["name"] == "a")["pid"] is None
    assert "all elves only observe" in elf("status").out
    assert "all elves go on" in elf("resume", "--all").out
    assert pid_of(elf, "a", before=pid) != pid
    assert "expected --all" in elf.no(2, "pause")


def test_a_rule_may_be_kept_from_acting_and_be_let_loose_again(elf: Elf) -> None:
    pid = pid_of(elf, "b")
    said = elf("mode", "healing.stopped", "observe", "--json").json
    assert (said["elf"], said["rule"], said["mode"]) == ("healing", "stopped", "observe")
    os.kill(pid, signal.SIGSTOP)
    decided(elf, "stopped", "b", "observe")
    assert Path(f"/proc/{pid}/stat").read_text().split()[2] == "T"
    (row,) = [row for row in elf("mana", "--json").json["elves"] if row["name"] == "healing"]
    assert (row["mode"], row["rules"]) == ("act", {"stopped": "observe"})
    assert "act (stopped observe)" in elf("mana").out
    elf("mode", "healing.stopped", "file")
    until(lambda: Path(f"/proc/{pid}/stat").read_text().split()[2] == "S", "the process to go on")
    assert elf.no(2, "mode", "heeling", "act") == "expected an elf, got 'heeling'; try healing"
    assert elf.no(2, "mode", "healing.leek", "act") == "expected a rule of healing, got 'leek'; try leak"


def test_an_alert_is_acknowledged_and_silenced(elf: Elf) -> None:
    for _ in range(6):
        elf("submit", "slow")
    (alert,) = until(lambda: elf("alert", "list", "--json").json, "an alert")
    assert (alert["cause"], alert["target"], alert["acknowledged"]) == ("backlog", "slow", False)
    assert elf("alert", "ack", "backlog", "--json").json["alert"] == "backlog/slow"
    until(lambda: "acknowledged" in elf("alert", "list").out, "the answer to be known")
    assert re.search(r" 警告 +確認済 +タスク \d+ 件が滞留", elf("alert", "list", "--lang", "ja").out)
    assert elf("alert", "silence", "slow", "--for", "30m", "--json").json["seconds"] == 1800
    (alert,) = until(
        lambda: [row for row in elf("status", "--json").json["alerts"] if row["silent_until"]], "silence"
    )
    assert "(silent)" in elf("status").out
    assert "expected one open alert, got 'jamm'" in elf.no(1, "alert", "ack", "jamm")
    assert "expected a delay" in elf.no(2, "alert", "silence", "backlog", "--for", "soon")


def test_the_log_of_all_this_replays_equal(elf: Elf) -> None:
    report = elf("replay", "--json").json
    assert (report["divergences"], report["equal"]) == ([], report["decisions"])

"""Advice on a real node: people see it, approve it and it is done; they reject it and it is not said again."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.faces.console.plan import by_hand
from tests.faces.console import Elf, Program, running, until

FOREST = """
[node]
name = "t"
data = "data"
sample_s = 0.2

[[worker]]
name = "a"
command = ["sleep", "1000"]
stop_wait_s = 2

[[worker]]
name = "b"
command = ["sleep", "1000"]
stop_wait_s = 2

[[elf]]
name = "healing"
rules = { stopped = "advise" }
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with running(tmp_path_factory.mktemp("forest"), FOREST) as program:
        yield program


@pytest.fixture
def elf(capsys: pytest.CaptureFixture[str], node: Program, monkeypatch: pytest.MonkeyPatch) -> Elf:
    monkeypatch.setenv("LANG", "C")
    return Elf(capsys, node.data)


def suspend(elf: Elf, name: str) -> int:
    """Stop a worker's process from outside; its pid."""

    def running_pid() -> int:
        rows = elf("status", "--json").json["workers"]
        return next((row["pid"] or 0 for row in rows if row["name"] == name and row["state"] == "running"), 0)

    pid = until(running_pid, f"{name} to run")
    os.kill(pid, signal.SIGSTOP)
    return pid


def advice(elf: Elf, name: str) -> dict[str, object]:
    """Wait for the advice about a worker."""

    def look() -> dict[str, object] | None:
        return next((row for row in elf("plan", "--json").json if row["target"] == name), None)

    found = until(look, f"advice about {name}")
    assert found
    return found


def test_approved_advice_is_done(elf: Elf) -> None:
    pid = suspend(elf, "a")
    row = advice(elf, "a")
    assert (row["elf"], row["rule"], row["choice"], row["mode"]) == (
        "healing",
        "stopped",
        "continue_unit",
        "advise",
    )
    name = str(row["id"])
    assert name[:9] in elf("plan").out
    shown = elf("plan", name[:12]).out
    assert "healing stopped a: open" in shown
    assert "was stopped from outside" in shown
    assert " 外部から一時停止された" in elf("plan", "--lang", "ja").out
    assert "healing stopped a: 未回答\n  外部から一時停止された" in elf("plan", name, "--lang", "ja").out
    assert "was stopped from outside" in elf("plan", name, "--lang", "ja", "--json").out
    answer = elf("approve", name[:12], "--reason", "it was me", "--json").json
    assert (answer["id"], answer["answer"], answer["next"]) == (name, "approved", "")
    until(lambda: Path(f"/proc/{pid}/stat").read_text().split()[2] == "S", "the process to go on")
    (found,) = [row for row in elf("plan", "--all", "--json").json if row["id"] == name]
    assert (found["state"], found["answer"], found["answered_by"]) == (
        "approved",
        "it was me",
        "operator.cli",
    )
    assert "expected an open proposal" in elf.no(1, "approve", name)
    assert "was stopped from outside" in elf("why", "a").out


def test_rejected_advice_is_not_followed(elf: Elf) -> None:
    pid = suspend(elf, "b")
    name = str(advice(elf, "b")["id"])
    assert f"{name}: rejected" in elf("reject", name).out
    assert not [row for row in elf("plan", "--json").json if row["target"] == "b"]
    assert Path(f"/proc/{pid}/stat").read_text().split()[2] == "T"
    os.kill(pid, signal.SIGCONT)


def test_what_nobody_proposed_cannot_be_approved(elf: Elf) -> None:
    assert elf.no(1, "approve", "dffff") == "expected the id of a proposal, got 'dffff'; try elf plan --all"
    assert "expected the id of a proposal" in elf.no(1, "plan", "dffff")


def test_what_stands_in_the_configuration_is_left_to_a_person() -> None:
    change = '{"what":"[[queue]] q","key":"timeout_s","now":600,"to":90}'
    row = {"choice": "propose", "change": change, "pool": None, "batch": None}
    assert by_hand(row, "en").startswith("next: set timeout_s = 90 of [[queue]] q in forest.toml")
    batch = {"choice": "propose_batch", "change": None, "pool": "w", "batch": "30"}
    assert by_hand(batch, "ja").startswith("次の手順: forest.toml の [[worker]] w で batch = 30")
    assert by_hand({"choice": "restart_unit", "change": None}, "en") == ""

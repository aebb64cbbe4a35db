"""Every rule of every elf has decisions in a recorded history, and each of these histories replays equal.

Those under `rules/` are logs of real nodes, kept by tests of the same name that ran with `ELF_HISTORIES=FOLDER`; where
no real node shows a rule, the observations of its policy test were played to all five elves (`tests.histories.play`) or
told to them (`tests.histories.tell`).
"""

from pathlib import Path

import pytest

from actors.audit import replay
from actors.elves.rules import RULES
from events.decisions import Decided
from tests.histories import FOLDER, SPINE, load

RECORDED = sorted((FOLDER / "rules").glob("*.jsonl.gz"))


def rules_of(path: Path) -> set[str]:
    """Return the rules that decided something."""
    return {f"{event.body.elf}.{event.body.rule}" for event in load(path) if isinstance(event.body, Decided)}


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name.partition(".")[0])
def test_what_was_decided_is_decided_again(path: Path) -> None:
    events = load(path)
    report = replay(lambda: iter([events]))
    # Where a policy has another version since, it may decide otherwise; what it decided is known as the earlier one's.
    older = {item.elf for item in report.divergences if item.cls == "version"}
    assert [item for item in report.divergences if item.elf not in older] == []
    assert report.decisions > 0


def test_every_rule_has_decisions_and_every_decision_a_rule() -> None:
    recorded = {rule for path in (SPINE, *RECORDED) for rule in rules_of(path)}
    known = {f"{elf}.{rule}" for elf, rules in RULES.items() for rule in rules}
    assert recorded == known

"""Recorded logs of real nodes replay equal with this code, in other processes too; changed code is told apart."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import actors.elves.healing_elf as healing
import actors.elves.memory_care as memory_care
from actors.audit import replay
from actors.elves.deliberation import decode_mind, encode_mind, fold, new_mind
from actors.policies import POLICIES
from tests.histories import FOLDER, load

ROOT = Path(__file__).parents[2]
HISTORIES = sorted(FOLDER.glob("*.jsonl.gz"))

_DIGEST = """
import sys, hashlib, msgspec
from pathlib import Path
from actors.audit import replay
from actors.elves.deliberation import decode_mind, encode_mind, fold, new_mind
from actors.policies import POLICIES
from tests.histories import load
events = load(Path(sys.argv[1]))
for policy in POLICIES:
    mind = new_mind(policy)
    for event in events:
        fold(policy, mind, event)
    print(policy.name, hashlib.sha256(encode_mind(mind)).hexdigest())
report = replay(lambda: iter([events]))
print(report.decisions, report.equal)
"""


@pytest.mark.smoke
@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.name)
def test_a_recorded_history_replays_equal(path: Path) -> None:
    events = load(path)
    report = replay(lambda: iter([events]))
    assert report.divergences == []
    assert report.equal == report.decisions > 0


def test_states_are_equal_byte_for_byte_whatever_the_hash_seed() -> None:
    answers = {
        subprocess.run(
            [sys.executable, "-c", _DIGEST, str(HISTORIES[0])],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(answers) == 1
    assert len(next(iter(answers)).splitlines()) == len(POLICIES) + 1


@pytest.mark.parametrize(
    ("module", "name", "value", "rules"),
    [
        (healing, "TICKS", 3, {"stopped", "not_responding", "memory"}),
        (memory_care, "_FULL_COST", 11, {"memory", "memory_hurry"}),
        (healing, "SPAWN_GAP", 3_000_000, {"crash", "start", "quarantine"}),
    ],
)
def test_a_changed_coefficient_touches_only_the_rules_that_use_it(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, value: Any, rules: set[str]
) -> None:
    events = load()
    monkeypatch.setattr(module, name, value)
    report = replay(lambda: iter([events]))
    found = {item.rule for item in report.divergences}
    assert found
    assert found <= rules
    touched = {item.decision for item in report.divergences if item.decision}
    assert report.equal == report.decisions - len(touched)


def test_a_snapshot_and_the_tail_give_the_same_state_as_the_whole_log() -> None:
    events = load()
    for policy in POLICIES:
        whole = new_mind(policy)
        for event in events:
            fold(policy, whole, event)
        for cut in (1, 100, len(events) // 2, len(events) - 1):
            mind = new_mind(policy)
            for event in events[:cut]:
                fold(policy, mind, event)
            restored = _restored(policy, mind)
            for event in events[cut:]:
                fold(policy, restored, event)
            assert encode_mind(restored) == encode_mind(whole)


def _restored(policy: Any, mind: Any) -> Any:
    return decode_mind(policy, encode_mind(mind))

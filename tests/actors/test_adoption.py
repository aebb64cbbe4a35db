"""What a node finds against what the log believes: with real processes, their pids and their markers."""

import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from actors.adoption import Adopted, Finding, Over, Stranger, Vanished, compare
from actors.keeper_client import Exit
from actors.process import Identity, boot_id
from actors.processes import LocalProcesses
from projections.units import Unit, Units
from tests.victims import Bench, bench, victim


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path / "run") as made:
        yield made


def look(
    run: Bench, unit: Unit, boot: str = "", exits: tuple[Exit, ...] = (), child: bool = False
) -> list[Finding]:
    """Compare one believed unit with what lives, as a node does that takes over."""
    living = run.keepers[0].units() if child else []
    known = Identity(boot or boot_id(), unit.pid, unit.start)
    return compare(
        Units({unit.name: unit}), lambda _: known, run.marker, LocalProcesses(), living, lambda: exits
    )


def believed(run: Bench, **changed: object) -> Unit:
    """Start `a` and return the log's belief in it."""
    started = run.start(run.keeper(), "a", victim("stubborn"))
    unit = Unit(
        "a",
        generation=1,
        alive=True,
        pid=started.pid,
        start=started.start,
        nonce="n",
        started_at=1,
        ordered_at=1,
    )
    return msgspec.structs.replace(unit, **changed)


def ended_with(unit: Unit, nonce: str) -> Exit:
    return Exit(
        offset=0, next=1, unit="a", generation=1, nonce=nonce, pid=unit.pid, start=unit.start,
        code=3, signal=None, time_us=1, orphan=False,
    )  # fmt: skip


def test_the_keepers_child_and_the_child_of_nobody_are_adopted(run: Bench) -> None:
    unit = believed(run)
    identity = Identity(boot_id(), unit.pid, unit.start)
    assert look(run, unit, child=True) == [Adopted(unit, identity)]
    assert look(run, unit) == [Adopted(unit, identity, stray=True)]


def test_a_reused_pid_and_another_boot_are_somebody_else(run: Bench) -> None:
    unit = believed(run)
    assert look(run, unit, boot="another") == [Vanished(unit)]
    reused = msgspec.structs.replace(unit, start=unit.start + 1)
    assert look(run, reused) == [Vanished(reused)]


def test_an_order_without_its_completion_is_found_by_the_nonce(run: Bench) -> None:
    unit = believed(run, alive=False, pid=0)
    started = run.keepers[0].units()[0]
    assert look(run, unit) == [Adopted(unit, Identity(boot_id(), started.pid, started.start), stray=True)]
    other = msgspec.structs.replace(unit, nonce="m")
    assert look(run, other) == [Vanished(other)]
    (stranger, gone) = look(run, other, child=True)
    assert stranger == Stranger(started)
    assert gone == Vanished(other)


def test_the_book_of_exits_is_asked_by_nonce(run: Bench) -> None:
    unit = believed(run)
    LocalProcesses().sweep(f"{run.marker}:a", signal.SIGKILL)
    run.exit_of(run.keepers[0], "a")
    ours, another = ended_with(unit, "n"), ended_with(unit, "m")
    assert look(run, unit, exits=(another, ours)) == [Over(ours)]
    assert look(run, unit, exits=(another,)) == [Vanished(unit)]

"""Identity of processes: nothing but the very process that was meant is ever touched."""

import os
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from actors.process import (
    Identity,
    Process,
    boot_id,
    descendants,
    marked,
    members,
    sample_tree,
    start_ticks,
    sweep,
)
from tests.victims import Bench, Gate, bench, ended, hold, identity, until, victim


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path / "run") as made:
        yield made


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.smoke
def test_a_process_opens_by_its_identity_only(run: Bench) -> None:
    started = run.start(run.keeper(), "unit", ["sleep", "1000"])
    who = identity(started)
    assert start_ticks(started.pid) == started.start
    assert Process.open(msgspec.structs.replace(who, start=who.start + 1)) is None
    assert Process.open(msgspec.structs.replace(who, boot="another boot")) is None
    with hold(started) as process:
        assert process.alive()
        assert process.signal(signal.SIGKILL)
        assert ended(process)
        assert not process.alive()
        until(lambda: start_ticks(started.pid) is None)
        assert not process.signal(signal.SIGKILL)
        assert not process.signal_group(signal.SIGKILL)
    assert Process.open(who) is None


def test_a_zombie_counts_as_dead(run: Bench) -> None:
    run.start(run.keeper(), "careless", victim("careless"))
    zombie = int(run.said("careless", "ZOMBIE").split()[1])
    start = start_ticks(zombie)
    assert state_of(zombie) == "Z"
    assert start is not None
    assert Process.open(Identity(boot_id(), zombie, start)) is None
    assert zombie not in marked(run.marker)


@pytest.mark.parametrize("room", [60_000, 65_500, 200_000])
def test_its_unit_is_found_in_an_environment_of_any_length(run: Bench, room: int) -> None:
    # One string may have 128 KiB.
    before = {f"A{number}": "x" * (room // 2 - 4) for number in range(2)}
    child = subprocess.Popen(["sleep", "1000"], env={**before, "ELF_UNIT": f"{run.marker}:far:1"})
    try:
        assert child.pid in marked(run.marker)
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("by_number", [False, True], ids=["by-pidfd", "by-number"])
def test_a_signal_to_the_group_reaches_all_of_it(run: Bench, by_number: bool) -> None:
    keeper = run.keeper()
    started = run.start(keeper, "pair", ["sh", "-c", "sleep 1000 & echo CHILD $!; wait"])
    child = int(run.said("pair", "CHILD").split()[1])
    start = start_ticks(child)
    assert start is not None
    with (
        hold(started) as main,
        Process.open(Identity(boot_id(), child, start)) or pytest.fail("gone") as other,
    ):
        reached = (
            main._signal_group_by_number(signal.SIGKILL) if by_number else main.signal_group(signal.SIGKILL)
        )
        assert reached
        assert ended(main)
        assert ended(other)
        assert not main._signal_group_by_number(signal.SIGKILL)


def test_without_its_leader_a_unit_is_reached_by_group_or_marker(run: Bench) -> None:
    keeper, gate = run.keeper(), Gate(run.run_dir / "gate")
    with hold(run.start(keeper, "gone", victim("escaping", gate.path))) as main:
        child = int(run.said("gone", "CHILD").split()[1])
        assert run.exit_of(keeper, "gone").code == 0
        assert not main.signal_group(signal.SIGKILL)  # the child left the group
        assert main.signal_group(signal.SIGKILL, f"{run.marker}:gone:1")
    orphan = until(lambda: next((one for one in keeper.exits(0) if one.orphan), None))
    assert orphan is not None
    assert (orphan.pid, orphan.signal) == (child, signal.SIGKILL)


def test_markers_match_whole_parts(run: Bench) -> None:
    keeper = run.keeper()
    pids = {name: run.start(keeper, name, ["sleep", "1000"]).pid for name in ("unit", "unit1", "other")}
    assert sorted(marked(run.marker)) == sorted(marked(f"{run.marker}:")) == sorted(pids.values())
    assert marked(f"{run.marker}:unit") == marked(f"{run.marker}:unit:1:n") == [pids["unit"]]
    assert marked(f"{run.marker}:unit:2") == []
    assert marked(run.marker[:-1]) == []
    with pytest.raises(ValueError, match="empty"):
        marked("")
    with pytest.raises(ValueError, match="empty"):
        sweep("", signal.SIGKILL)


def test_a_sweep_finds_who_left_the_session_and_spares_the_others(run: Bench) -> None:
    keeper, gate = run.keeper(), Gate(run.run_dir / "gate")
    run.start(keeper, "parent", victim("escaping", gate.path))
    child = int(run.said("parent", "CHILD").split()[1])
    run.exit_of(keeper, "parent")
    with hold(run.start(keeper, "bystander", ["sleep", "1000"])) as bystander:
        assert sweep(f"{run.marker}:parent:1", signal.SIGKILL) == [child]
        until(lambda: not marked(f"{run.marker}:parent"))
        assert bystander.alive()


def test_members_are_found_without_their_marker(run: Bench) -> None:
    keeper = run.keeper()
    started = run.start(keeper, "retitled", victim("retitled"))
    with hold(run.start(keeper, "bystander", ["sleep", "1000"])) as bystander:
        child = int(run.said("retitled", "CHILD").split()[1])  # other session, no environment
        run.said("retitled", "READY")
        marker = f"{run.marker}:retitled:1"
        assert marked(marker) == []
        assert descendants(started.pid) == [child]
        family = sorted([started.pid, child])
        assert members(marker, started.pid) == members(marker, started.pid, started.start) == family
        assert members(marker, started.pid, started.start + 1) == []  # the pid is somebody else's now
        assert sweep(marker, signal.SIGKILL) == []
        assert sorted(sweep(marker, signal.SIGKILL, started.pid, started.start)) == family
        until(lambda: members(marker, started.pid, started.start) == [] and len(keeper.exits(0)) == 2)
        assert bystander.alive()


def test_a_session_is_found_after_its_leader_ended(run: Bench) -> None:
    keeper = run.keeper()
    started = run.start(keeper, "left", ["sh", "-c", "env -i sleep 1000 & echo CHILD $!; exit 0"])
    child = int(run.said("left", "CHILD").split()[1])
    run.exit_of(keeper, "left")
    until(lambda: not marked(f"{run.marker}:left"))  # env has become sleep, without a marker
    assert members(f"{run.marker}:left:1", started.pid, started.start) == [child]
    assert sweep(f"{run.marker}:left:1", signal.SIGKILL, started.pid, started.start) == [child]
    until(lambda: start_ticks(child) is None)


def test_a_sample_sums_the_tree(run: Bench) -> None:
    keeper = run.keeper()
    busy, idle = (
        run.start(keeper, name, argv) for name, argv in [("busy", victim("busy")), ("idle", ["sleep", "99"])]
    )
    gone = identity(run.start(keeper, "gone", ["true"]))
    run.exit_of(keeper, "gone")
    run.said("busy", "READY")
    units = {"busy": identity(busy), "idle": identity(idle), "gone": gone}
    samples = sample_tree(units)
    assert samples.keys() == {"busy", "idle"}
    one = samples["busy"]
    assert (one.status, one.processes, one.threads, one.fds) == ("S", 2, 3, 3 + 5 + 8)
    assert 0.07 <= one.cpu_s < 10  # user and system time are cut to ticks of 10 ms each
    assert 40 << 20 < one.rss < 400 << 20
    assert samples["idle"].cpu_s < 0.1
    assert (samples["idle"].processes, samples["idle"].fds) == (1, 3)
    with hold(idle) as process:
        process.signal(signal.SIGSTOP)
        assert until(lambda: sample_tree(units)["idle"].status == "T")
        process.signal(signal.SIGCONT)
        assert until(lambda: sample_tree(units)["idle"].status == "S")


def test_a_sample_keeps_who_lost_its_parent_but_not_its_session(run: Bench) -> None:
    keeper = run.keeper()
    started = run.start(keeper, "unit", ["sh", "-c", "(sleep 1000 & echo CHILD $!); exec sleep 1000"])
    child = int(run.said("unit", "CHILD").split()[1])
    until(lambda: f"PPid:\t{keeper.identity.pid}\n" in Path(f"/proc/{child}/status").read_text())
    until(lambda: f"{started.pid} (sleep)" in Path(f"/proc/{started.pid}/stat").read_text())
    assert sample_tree({"unit": identity(started)})["unit"].processes == 2


def test_what_a_look_costs(run: Bench) -> None:
    keeper = run.keeper()
    units = {
        name: identity(run.start(keeper, name, ["sleep", "1000"])) for name in (f"u{n}" for n in range(50))
    }
    cost: dict[str, list[float]] = {"sample_tree": [], "marked": []}
    for _ in range(20):
        begun = time.perf_counter()
        assert len(sample_tree(units)) == 50
        cost["sample_tree"].append((time.perf_counter() - begun) * 1e3)
        begun = time.perf_counter()
        assert len(marked(run.marker)) == 50
        cost["marked"].append((time.perf_counter() - begun) * 1e3)
    pids = sum(name.isdigit() for name in os.listdir("/proc"))
    medians = {name: f"{statistics.median(times):.2f} ms" for name, times in cost.items()}
    print(f"50 units among {pids} processes: {medians}")

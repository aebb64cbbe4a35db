"""The keeper as a process: one for a folder, hard to end, small, and watched without a gap."""

import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.keeper_client import PROGRAM, Exit, Keeper, KeeperGone, KeeperRefused
from actors.process import Process
from tests.victims import Bench, bench, ended, hold, until


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path / "run") as made:
        yield made


def kill_keeper(keeper: Keeper) -> None:
    process = Process.open(keeper.identity)
    assert process is not None
    with process:
        process.signal(signal.SIGKILL)
        assert ended(process)


def rss_kib(pid: int) -> int:
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def test_there_is_one_keeper_for_a_folder(run: Bench) -> None:
    keeper = run.keeper()
    command = [sys.executable, "-I", "-S", str(PROGRAM), "--dir", str(run.run_dir)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert "living one" in second.stderr
    assert keeper.units() == []


def test_two_who_ensure_at_once_share_one_keeper(run: Bench) -> None:
    found: list[tuple[Keeper, bool]] = []
    threads = [threading.Thread(target=lambda: found.append(Keeper.ensure(run.run_dir))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.keepers += [keeper for keeper, _ in found]
    assert len({keeper.identity for keeper, _ in found}) == 1
    assert sum(started for _, started in found) == 1


def test_a_long_path_and_private_files(tmp_path: Path) -> None:
    with bench(tmp_path / ("深い森" * 20) / ("x" * 120) / "run") as run:
        assert len(os.fsencode(run.run_dir)) > 250
        keeper = run.keeper()
        run.start(keeper, "unit", ["true"])
        assert run.exit_of(keeper, "unit").code == 0
        for name in ("keeper.sock", "keeper.json", "keeper.lock", "keeper.log", "exits.jsonl"):
            assert (run.run_dir / name).stat().st_mode & 0o777 == 0o600, name
        told = json.loads((run.run_dir / "keeper.json").read_text())
        assert (told["pid"], told["start"], told["boot"]) == (
            keeper.identity.pid,
            keeper.identity.start,
            keeper.identity.boot,
        )


def test_only_quit_or_kill_ends_it(run: Bench) -> None:
    keeper = run.keeper()
    with hold(run.start(keeper, "living", ["sleep", "1000"])) as unit:
        with Process.open(keeper.identity) or pytest.fail("the keeper is gone") as process:
            for sig in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1):
                assert process.signal(sig)
            log = run.run_dir / "keeper.log"
            until(lambda: "SIGTERM" in log.read_text())
            with pytest.raises(KeeperRefused, match="living"):
                keeper.quit()
            assert process.alive()
            keeper.quit(force=True)
            assert ended(process)
        assert unit.alive()
        assert not (run.run_dir / "keeper.sock").exists()
        with pytest.raises(KeeperGone):
            Keeper.attach(run.run_dir)
        with pytest.raises(KeeperGone):
            keeper.units()
        assert run.keeper().units() == []


def test_units_survive_the_keepers_death_and_its_successor_keeps_the_old_exits(run: Bench) -> None:
    keeper, lost = run.keeper(), threading.Event()
    run.start(keeper, "short", ["true"])
    short = run.exit_of(keeper, "short")
    with hold(run.start(keeper, "long", ["sleep", "1000"])) as unit:
        keeper.watch(short.next, lambda _: None, lost.set)
        kill_keeper(keeper)
        assert lost.wait(60)
        later, started = Keeper.ensure(run.run_dir)
        run.keepers.append(later)
        assert started
        assert unit.alive()
        assert later.units() == []
        assert later.exits(0) == [short]


def test_a_watch_shows_past_and_coming_exits_once_each(run: Bench) -> None:
    keeper, seen, full = run.keeper(), list[str](), threading.Event()
    for name in ("a", "b"):
        run.start(keeper, name, ["true"])
        run.exit_of(keeper, name)

    def note(one: Exit) -> None:
        seen.append(one.unit)
        if len(seen) == 4:
            full.set()

    keeper.watch(keeper.exits(0)[0].offset, note, lambda: None)
    for name in ("c", "d"):
        run.start(keeper, name, ["true"])
        run.exit_of(keeper, name)
    assert full.wait(60)
    assert seen == ["a", "b", "c", "d"]


def test_many_threads_may_use_one_client(run: Bench) -> None:
    keeper = run.keeper()
    threads = [
        threading.Thread(target=lambda t=t: [run.start(keeper, f"t{t}-{n}", ["true"]) for n in range(10)])
        for t in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: len(keeper.exits(0)) == 40)
    assert {one.unit for one in keeper.exits(0)} == {f"t{t}-{n}" for t in range(4) for n in range(10)}


def test_small_and_quick(run: Bench) -> None:
    begun = time.perf_counter()
    keeper = run.keeper()
    ready_ms = (time.perf_counter() - begun) * 1e3
    noticed, notice_ms = threading.Event(), list[float]()
    keeper.watch(0, lambda _: noticed.set(), lambda: None)
    for generation in range(50):
        started = run.start(keeper, "brief", ["sleep", "1000"], generation=generation)
        with hold(started) as process:
            begun = time.perf_counter()
            process.signal(signal.SIGKILL)
            assert noticed.wait(60)
            notice_ms.append((time.perf_counter() - begun) * 1e3)
            noticed.clear()
    kib = rss_kib(keeper.identity.pid)
    cuts = statistics.quantiles(notice_ms, n=100)
    print(
        f"keeper ready {ready_ms:.0f} ms, notice p50 {cuts[49]:.2f} ms p99 {cuts[98]:.2f} ms, RSS {kib} KiB"
    )
    assert kib <= 15 << 10
    assert len(PROGRAM.read_text().splitlines()) <= 320

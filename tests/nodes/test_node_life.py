"""The node itself: ends, is killed, comes back, shares its folder with nobody, loses its server or lead."""

import asyncio
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

import tests.real_node
from actors.connection import connect, read_credentials
from actors.jetstream import JetStreamLog
from actors.keeper_client import Keeper
from actors.process import marked
from events.decisions import Decided, StartUnit
from events.log import Expect, entry, envelope
from events.observations import LeaseTaken, NodeStopped, NodeStopping, Sampled, WorkerExited
from events.outcomes import (
    EffectFailed,
    EffectStarted,
    EffectVerified,
    StepDone,
    WorkerStarted,
    WorkerStartOrdered,
)
from events.settings import SettingsAdopted
from events.subjects import LEASE
from tests.real_node import RealNode, real_node

STEADY = "[limits]\nsteady_s = 0.1\n"
SLEEPER = '[[worker]]\nname = "a"\ncommand = ["sleep", "1000"]\nstop_wait_s = 2\n'
SECOND = '[[worker]]\nname = "b"\ncommand = ["sleep", "1000"]\nstop_wait_s = 2\n'


async def test_sigterm_ends_everything_and_the_last_word_is_in_the_log(tmp_path: Path) -> None:
    async with real_node(tmp_path, SLEEPER + SECOND) as node:
        await node.runs("a")
        await node.runs("b")
        assert await node.stop() == 0
        await node.start()
        await node.runs("a", 2)
        (stopping, first), *_ = node.all(NodeStopping)
        (stopped, last), *_ = node.all(NodeStopped)
        assert first.reason == last.reason == "SIGTERM"
        exits = [at for at, _ in node.all(WorkerExited)]
        assert [stopping < at < stopped for at in exits] == [True, True]
        assert node.all(Decided, rule="crash") == []


HANGING_BUS = """
import actors.feed
async def beyond(*_):
    raise TimeoutError
actors.feed.Feed.beyond = beyond
"""
DYING_ROSTER = """
import actors.feed
import actors.roster
class Roster(actors.roster.Roster):
    def handle(self, message):
        if isinstance(message, actors.feed.Chunk):
            raise RuntimeError("dies of every event")
        return super().handle(message)
actors.roster.Roster = Roster
"""


async def test_a_bus_that_hangs_at_the_end_keeps_nothing_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tests.real_node, "_PROGRAM", HANGING_BUS + tests.real_node._PROGRAM)
    async with real_node(tmp_path, SLEEPER) as node:
        await node.runs("a")
        assert await node.stop() == 0


async def test_a_node_whose_page_dies_at_its_start_never_says_it_is_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tests.real_node, "_PROGRAM", DYING_ROSTER + tests.real_node._PROGRAM)
    node = RealNode(tmp_path, "")
    try:
        with pytest.raises(AssertionError, match=r"(?s)the node ended with 1: .*dies of every event"):
            await node.start()
    finally:
        await node.clear()


async def test_a_node_that_ends_while_it_starts_its_workers_leaves_none_behind(tmp_path: Path) -> None:
    toml = '[[worker]]\nname = "a"\ncommand = ["sleep", "1000"]\nmin = 12\nmax = 12\nstop_wait_s = 2\n'
    async with real_node(tmp_path, toml) as node:
        await node.saw(WorkerStarted)
        assert await node.stop() == 0
        await node.start()
        assert await node.stop() == 0


async def test_killed_node_finds_the_same_processes_at_their_work(tmp_path: Path) -> None:
    async with real_node(tmp_path, SLEEPER + SECOND) as node:
        first, second = await node.runs("a"), await node.runs("b")
        await node.saw(EffectVerified, target="b")
        await node.kill9()
        assert marked(f"{node.marker}:a:") == [first.pid]
        await node.start()
        leases = [at for at, _ in node.all(LeaseTaken)]
        await node.wait(lambda _: len(node.all(LeaseTaken)) == 2)
        await ticks(node, 3)
        assert leases[0] == 1
        assert len(node.all(WorkerStarted)) == 2
        assert node.all(WorkerExited) == []
        rows = {row["name"]: (row["pid"], row["state"]) for row in (await node.status())["workers"]}
        assert rows == {"a": (first.pid, "running"), "b": (second.pid, "running")}
        os.kill(first.pid, signal.SIGKILL)
        assert (await node.runs("a", 2)).adopted is False


async def test_a_worker_that_died_while_the_node_was_away_is_started_again(tmp_path: Path) -> None:
    async with real_node(tmp_path, STEADY + SLEEPER) as node:
        started = await node.runs("a")
        await node.saw(EffectVerified, target="a")
        await node.kill9()
        os.kill(started.pid, signal.SIGTERM)
        await node.start()
        _, exited = await node.saw(WorkerExited, unit="a", generation=1)
        assert exited.signal == 15
        await node.runs("a", 2)
        _, why = await node.decided("crash", "a")
        assert why.action == StartUnit(generation=2)
        assert len(node.all(WorkerExited, unit="a")) == 1


async def test_a_start_that_was_ordered_and_not_completed_is_adopted_by_its_nonce(tmp_path: Path) -> None:
    async with real_node(tmp_path, SLEEPER) as node:
        await node.runs("a")
        stop = await node.intend("a", "stop")
        await node.saw(EffectVerified, stop, target="a")
        keeper = keeper_pid(node)
        os.kill(keeper, signal.SIGSTOP)
        await node.intend("a", "run")
        _, ordered = await node.saw(WorkerStartOrdered, unit="a", generation=2)
        # The keeper has the request by then, and cannot answer.
        await ticks(node, 2)
        await node.kill9()
        os.kill(keeper, signal.SIGCONT)
        (pid,) = await node.wait(lambda _: marked(f"{node.marker}:a:2:{ordered.nonce}"), what="the process")
        assert node.all(WorkerStarted, generation=2) == []
        await node.start()
        started = await node.runs("a", 2)
        assert (started.pid, started.nonce, started.adopted) == (pid, ordered.nonce, True)
        await ticks(node, 2)
        assert marked(f"{node.marker}:a:") == [pid]
        assert node.all(WorkerStartOrdered, generation=3) == []


async def test_a_stop_that_the_node_did_not_live_to_see_is_carried_on_to_its_end(tmp_path: Path) -> None:
    script = "setsid sleep 1000 & exec sleep 1000"
    toml = f'[[worker]]\nname = "a"\ncommand = ["sh", "-c", "{script}"]\nstop_wait_s = 5\n'
    async with real_node(tmp_path, toml) as node:
        await node.runs("a")
        await node.wait(lambda _: len(marked(f"{node.marker}:a:")) == 2, what="two processes")
        keeper = keeper_pid(node)
        os.kill(keeper, signal.SIGSTOP)
        await node.intend("a", "stop")
        decision, _ = await node.decided("stop", "a")
        await node.saw(StepDone, decision=decision.id, step="send_sigterm")
        await node.kill9()
        os.kill(keeper, signal.SIGCONT)
        await node.wait(lambda _: len(marked(f"{node.marker}:a:")) == 1, what="one process left")
        await node.start()
        await node.saw(EffectVerified, decision=decision.id)
        assert marked(f"{node.marker}:a:") == []
        assert len(node.all(Decided, rule="stop")) == 1


async def test_a_continue_that_the_node_did_not_live_to_see_is_settled_by_what_is(tmp_path: Path) -> None:
    async with real_node(tmp_path, SLEEPER) as node:
        started = await node.runs("a")
        await node.saw(EffectVerified, target="a")
        os.kill(started.pid, signal.SIGSTOP)
        decision, _ = await node.decided("stopped", "a")
        await node.saw(EffectStarted, decision=decision.id)
        await node.kill9()
        os.kill(started.pid, signal.SIGSTOP)
        await node.start()
        _, failed = await node.saw(EffectFailed, decision=decision.id)
        assert "stopped" in failed.error
        await node.decided("stopped", "a", decision.position, reason="stopped_again")
        os.kill(started.pid, signal.SIGCONT)


async def test_a_second_node_on_the_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    async with real_node(tmp_path, SLEEPER) as node:
        await node.runs("a")
        before = node.words()
        other = await node.spawn()
        assert await asyncio.wait_for(other.wait(), 60) == 2
        said = node.words().removeprefix(before)
        line = f"expected {node.data} to be free, got another node running on it; try elf status\n"
        assert line in said
        assert "Traceback" not in said
        assert (await node.worker("a"))["state"] == "running"


async def test_a_changed_command_restarts_only_its_worker(tmp_path: Path) -> None:
    async with real_node(tmp_path, SLEEPER + SECOND) as node:
        first, second = await node.runs("a"), await node.runs("b")
        await node.saw(EffectVerified, target="b")
        node.configure(SLEEPER + SECOND.replace("1000", "1001"))
        node.hup()
        adopted, settings = (await node.wait(lambda _: node.all(SettingsAdopted)[1:]))[0]
        assert settings.changed == ("workers",)
        _, why = await node.decided("reconfigure", "b")
        assert why.trigger == adopted
        assert (await node.runs("b", 2)).pid != second.pid
        await ticks(node, 2)
        assert marked(f"{node.marker}:a:") == [first.pid]
        assert len(node.all(WorkerStarted)) == 3


async def test_a_wrong_file_changes_nothing(tmp_path: Path) -> None:
    async with real_node(tmp_path, SLEEPER) as node:
        await node.runs("a")
        node.configure('[[worker]]\nname = "a"\ncomand = ["sleep", "1"]\n')
        node.hup()
        await node.wait(lambda _: "the configuration stays as it was" in node.words(), what="a complaint")
        await ticks(node, 2)
        assert len(node.all(SettingsAdopted)) == 1
        assert (await node.worker("a"))["state"] == "running"


async def test_a_killed_server_comes_back_and_nothing_is_lost(tmp_path: Path) -> None:
    async with real_node(tmp_path, STEADY + SLEEPER) as node:
        started = await node.runs("a")
        await node.saw(EffectVerified, target="a")
        before = [event.data for event in await node.read()]
        (server,) = marked(f"{node.marker}:nats:")
        node.signal_server(signal.SIGKILL)
        os.kill(started.pid, signal.SIGKILL)
        await node.runs("a", 2, seconds=60)
        assert marked(f"{node.marker}:nats:") != [server]
        node.events.clear()
        story = await node.read()
        assert [event.data for event in story[: len(before)]] == before
        assert [event.position for event in story] == list(range(1, len(story) + 1))
        assert len(node.all(WorkerExited, unit="a")) == 1
        assert len(node.all(Decided, rule="crash")) == 1


async def test_a_node_that_lost_the_lead_ends_and_leaves_its_workers_alone(tmp_path: Path) -> None:
    async with real_node(tmp_path, SLEEPER) as node:
        started = await node.runs("a")
        await node.saw(EffectVerified, target="a")
        credentials = read_credentials(node.data / "secrets" / "node.json")
        usurper = await connect(credentials, "test-usurper")
        log = JetStreamLog(usurper)
        lease = envelope(
            "other", time.time_ns() // 1000, "node.other", LeaseTaken(holder="other", previous=1)
        )
        receipt = await log.append([entry(lease, Expect(LEASE, 1))])
        await usurper.close()
        assert await node.ended() == 1
        assert "another node leads" in node.words()
        await node.read()
        assert node.all(Decided, receipt.positions[0]) == []
        assert marked(f"{node.marker}:a:") == [started.pid]
        await node.start()
        await node.wait(lambda _: len(node.all(LeaseTaken)) == 3)
        await ticks(node, 2)
        assert (await node.worker("a"))["pid"] == started.pid


def keeper_pid(node: RealNode) -> int:
    """Return the pid of the node's keeper."""
    client = Keeper.attach(node.data / "run")
    client.close()
    return client.identity.pid


async def ticks(node: RealNode, more: int) -> None:
    """Wait for so many more ticks: what the elves had to say is said by then."""
    seen = sum(event.type == "sampled" for event in await node.read())
    await node.wait(
        lambda events: sum(event.type == "sampled" for event in events) >= seen + more, what=f"{more} ticks"
    )


async def test_a_node_on_a_copy_of_the_folder_leaves_the_originals_processes_alone(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    async with real_node(tmp_path / "one", SLEEPER) as node:
        started = await node.runs("a")
        await node.saw(EffectVerified, target="a")
        await node.kill9()
        copy = RealNode(tmp_path / "two", SLEEPER)
        shutil.copytree(node.data, copy.data, ignore=shutil.ignore_patterns("*.sock", "notify"))
        copy.name = node.name
        copy.configure(SLEEPER)
        (copy.data / "nats" / "port").unlink()
        try:
            await copy.start()
            assert (await copy.runs("a", 2)).pid != started.pid
            assert await copy.stop() == 0
        finally:
            await copy.clear()
        known = len(await node.read())
        await node.start()
        await node.saw(LeaseTaken, after=known)
        await node.saw(Sampled, after=known)
        row = await node.worker("a")
        assert row["pid"] == started.pid, row
        assert node.all(WorkerExited) == []

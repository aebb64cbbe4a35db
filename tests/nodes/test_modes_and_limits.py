"""What limits do: memory, mana, modes that only watch, intents that pause."""

import os
import signal
import sys
from pathlib import Path

from actors.process import read_stat
from events.decisions import ContinueUnit, Decided, Defer, RestartUnit
from events.outcomes import EffectVerified, WorkerStarted
from tests.real_node import real_node

PYTHON = sys.executable
FAT = f"""
[[worker]]
name = "a"
command = ["{PYTHON}", "-I", "-S", "-c", "import signal; kept = bytearray(b'x') * (60 << 20); signal.pause()"]
memory_limit = "73 MiB"
stop_wait_s = 2
"""
SLEEPER = '[[worker]]\nname = "a"\ncommand = ["sleep", "1000"]\nstop_wait_s = 2\n'


async def test_a_worker_above_its_memory_limit_is_replaced_after_two_ticks_at_a_price(tmp_path: Path) -> None:
    elves = '[[elf]]\nname = "healing"\nmana = { start = 30 }\n'
    async with real_node(tmp_path, FAT + elves) as node:
        started = await node.runs("a")
        decision, why = await node.decided("memory", "a")
        assert why.action == RestartUnit(generation=1, drain=True)
        assert why.cost == 10
        assert why.inputs["ticks"] == 2
        assert 90 <= why.inputs["memory_percent"] < 98
        again = await node.runs("a", 2)
        assert again.pid != started.pid
        await node.saw(EffectVerified, decision=decision.id)
        assert [step for step, _ in node.steps(decision.id)][:2] == ["check_process_status", "send_sigterm"]
        # 30 - 10 + 5 for the success leaves less than the price and the reserve.
        deferred, later = await node.decided("memory", "a", decision.position)
        assert isinstance(later.action, Defer)
        assert later.action.wanted == "restart_unit"
        assert later.cost == 0
        assert later.action.until > deferred.time
        page = await node.status()
        (row,) = [elf for elf in page["elves"] if elf["name"] == "healing"]
        assert (row["mana"], row["deferred"]) == (25, 1)
        assert len(node.all(WorkerStarted)) == 2


async def test_an_observing_elf_says_what_it_would_do_once_and_does_nothing(tmp_path: Path) -> None:
    async with real_node(tmp_path, SLEEPER + '[[elf]]\nname = "healing"\nmode = "observe"\n') as node:
        decision, why = await node.decided("start", "a")
        assert (why.mode, why.cost) == ("observe", 0)
        seen = len([event for event in node.events if event.type == "sampled"])
        await node.wait(lambda events: sum(event.type == "sampled" for event in events) >= seen + 5)
        assert len(node.all(Decided)) == 1
        assert node.all(WorkerStarted) == []
        assert (await node.worker("a"))["state"] == "stopped"
        assert [item["decision"] for item in (await node.status())["actions"]] == [decision.id]


async def test_one_rule_can_be_advice_while_the_others_act(tmp_path: Path) -> None:
    toml = SLEEPER + '[[elf]]\nname = "healing"\nrules = { stopped = "advise" }\n'
    async with real_node(tmp_path, toml) as node:
        started = await node.runs("a")
        os.kill(started.pid, signal.SIGSTOP)
        _, why = await node.decided("stopped", "a")
        assert (why.mode, why.cost) == ("advise", 0)
        assert why.action == ContinueUnit(generation=1)
        stat = read_stat(started.pid)
        assert stat is not None
        assert stat.state == "T"
        os.kill(started.pid, signal.SIGCONT)


async def test_a_paused_worker_is_left_stopped_until_it_may_run(tmp_path: Path) -> None:
    async with real_node(tmp_path, SLEEPER) as node:
        started = await node.runs("a")
        await node.saw(EffectVerified, target="a")
        await node.intend("a", "pause")
        await node.wait(lambda _: state(started.pid) == "T", what="a stopped process")
        seen = len([event for event in node.events if event.type == "sampled"])
        await node.wait(lambda events: sum(event.type == "sampled" for event in events) >= seen + 4)
        assert node.all(Decided, rule="stopped") == []
        assert (await node.worker("a"))["state"] == "paused"
        await node.intend("a", "run")
        await node.wait(lambda _: state(started.pid) == "S", what="a running process")


async def test_a_restart_by_order_is_one_new_generation(tmp_path: Path) -> None:
    async with real_node(tmp_path, SLEEPER) as node:
        started = await node.runs("a")
        await node.saw(EffectVerified, target="a")
        said = await node.intend("a", "run", restart=True)
        _, why = await node.decided("order", "a", said)
        assert why.action == RestartUnit(generation=1, drain=True)
        assert (await node.runs("a", 2)).pid != started.pid
        seen = len([event for event in node.events if event.type == "sampled"])
        await node.wait(lambda events: sum(event.type == "sampled" for event in events) >= seen + 4)
        assert len(node.all(WorkerStarted)) == 2


def state(pid: int) -> str:
    """Return the kernel's letter for a process."""
    stat = read_stat(pid)
    return stat.state if stat else ""

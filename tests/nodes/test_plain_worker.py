"""A plain program under a node: killed, stopped, asked to end, frozen."""

import os
import signal
from pathlib import Path

from actors.process import marked
from events.decisions import ContinueUnit, Decided, RaiseAlert, StartUnit, StopUnit
from events.observations import WorkerExited
from events.outcomes import EffectVerified, WorkerStarted
from tests.real_node import real_node
from tests.victims import victim

STEADY = "[limits]\nsteady_s = 0.1\n"
SLEEPER = '[[worker]]\nname = "a"\ncommand = ["sleep", "1000"]\nstop_wait_s = 2\n'


async def test_all_units_start_and_end_with_the_node(tmp_path: Path) -> None:
    toml = SLEEPER + '[[worker]]\nname = "b"\ncommand = ["sleep", "1000"]\nmin = 2\nmax = 2\nafter = ["a"]\n'
    async with real_node(tmp_path, toml) as node:
        first = await node.runs("a")
        second, third = await node.runs("b-1"), await node.runs("b-2")
        assert marked(f"{node.marker}:b-1:1:{second.nonce}") == [second.pid]
        starts = {body.target: at for at, body in node.all(Decided, rule="start")}
        assert starts["a"] < starts["b-1"]
        assert (await node.worker("a"))["state"] == "running"
        assert len({first.pid, second.pid, third.pid}) == 3
        assert await node.stop() == 0


async def test_killed_worker_comes_back_as_a_new_generation_and_the_log_says_why(tmp_path: Path) -> None:
    async with real_node(tmp_path, STEADY + SLEEPER) as node:
        started = await node.runs("a")
        await node.saw(EffectVerified, target="a")
        os.kill(started.pid, signal.SIGKILL)
        again = await node.runs("a", 2)
        at, exited = await node.saw(WorkerExited, unit="a", generation=1)
        decision, why = await node.decided("crash", "a")
        assert (exited.signal, exited.code, exited.pid) == (9, None, started.pid)
        assert why.action == StartUnit(generation=2)
        assert why.inputs["signal"] == 9
        assert "killed by signal 9" in why.text
        assert why.trigger >= at
        assert (await node.saw(EffectVerified, decision=decision.id))[0] > decision.position
        assert again.pid != started.pid
        assert (await node.worker("a"))["restarts"] == 1


async def test_stop_intent_ends_a_worker_step_by_step_and_nobody_starts_it_again(tmp_path: Path) -> None:
    async with real_node(tmp_path, STEADY + SLEEPER) as node:
        started = await node.runs("a")
        said = await node.intend("a", "stop")
        decision, why = await node.decided("stop", "a")
        verified, _ = await node.saw(EffectVerified, decision=decision.id)
        assert why.action == StopUnit(generation=1)
        assert why.trigger >= said
        assert node.steps(decision.id) == [
            ("check_process_status", True),
            ("send_sigterm", True),
            ("wait_graceful_shutdown", True),
            ("force_kill_if_needed", True),
        ]
        assert marked(f"{node.marker}:a:") == []
        ticks = [event.position for event in node.events if event.type == "sampled"]
        await node.wait(lambda events: sum(event.type == "sampled" for event in events) >= len(ticks) + 3)
        assert node.all(WorkerStarted, verified, unit="a") == []
        assert (await node.worker("a"))["state"] == "stopped"
        await node.intend("a", "run")
        assert (await node.runs("a", 2)).pid != started.pid


async def test_a_worker_that_ignores_term_is_gone_after_its_declared_wait(tmp_path: Path) -> None:
    command = str(victim("stubborn")).replace("'", '"')
    toml = f'[[worker]]\nname = "a"\ncommand = {command}\nstop_wait_s = 0.3\n'
    async with real_node(tmp_path, toml) as node:
        started = await node.runs("a")
        log = node.data / "logs" / "a.log"
        await node.wait(lambda _: log.exists() and "READY" in log.read_text(), what="its first line")
        await node.intend("a", "stop")
        decision, _ = await node.decided("stop", "a")
        await node.saw(EffectVerified, decision=decision.id)
        steps = dict(node.steps(decision.id))
        assert steps["wait_graceful_shutdown"] is False
        assert steps["force_kill_if_needed"] is True
        (_, exited), *_ = node.all(WorkerExited, unit="a")
        assert (exited.signal, exited.pid) == (9, started.pid)


async def test_a_grandchild_in_a_session_of_its_own_ends_with_the_worker(tmp_path: Path) -> None:
    script = "setsid sleep 1000 & exec sleep 1000"
    toml = f'[[worker]]\nname = "a"\ncommand = ["sh", "-c", "{script}"]\nstop_wait_s = 2\n'
    async with real_node(tmp_path, toml) as node:
        await node.runs("a")
        await node.wait(lambda _: len(marked(f"{node.marker}:a:")) == 2, what="two processes")
        await node.intend("a", "stop")
        decision, _ = await node.decided("stop", "a")
        await node.saw(EffectVerified, decision=decision.id)
        assert marked(f"{node.marker}:a:") == []


async def test_a_stopped_worker_is_noticed_and_continued_once_then_a_person_is_asked(tmp_path: Path) -> None:
    async with real_node(tmp_path, STEADY + SLEEPER) as node:
        started = await node.runs("a")
        os.kill(started.pid, signal.SIGSTOP)
        decision, why = await node.decided("stopped", "a")
        assert why.action == ContinueUnit(generation=1)
        assert why.cost == 1
        _, verified = await node.saw(EffectVerified, decision=decision.id)
        assert "after SIGCONT" in verified.detail
        os.kill(started.pid, signal.SIGSTOP)
        raised, asked = await node.decided("stopped", "a", decision.position, reason="stopped_again")
        assert asked.action == RaiseAlert(cause="stopped_again", severity="critical")
        os.kill(started.pid, signal.SIGCONT)
        _, cleared = await node.decided("stopped", "a", raised.position, reason="running")
        assert (await node.status())["alerts"] == []
        assert node.all(WorkerExited, unit="a") == []
        assert cleared.inputs["alive"] is True

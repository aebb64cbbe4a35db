"""Remote agents under a node: three programs, one killed, one frozen, one slow and failing every tenth task."""

import secrets
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from events.agents import AgentJoined, AgentLeft, HandedOver, PhaseEntered
from events.decisions import Decided, MarkAgent, RestartAgent
from events.log import Expect, entry, envelope
from events.outcomes import EffectVerified, StepDone
from events.subjects import task_filter
from events.tasks import ResultSalvaged, TaskFailed, TaskFinished, TaskStarted, TaskSubmitted
from tests.archive.folder import elf
from tests.real_agent import RealAgent, agents
from tests.real_node import ROOT, RealNode, real_node

QUEUE = '[[queue]]\nname = "q"\nserve = "dispatch"\nmax_attempts = 8\ntimeout_s = 60\n'
FAST = "[limits]\nagent_suspect_s = 1.5\nagent_ping_s = 0.3\nagent_cooldown_s = [1.0]\nagent_cap_s = 1\n"
# bench/agents_failover.py does the same with 300 and the limits of every day.
TASKS = 120
TYPES = ("design", "infrastructure", "quality")
PRIORITIES = ("high", "middle", "low")


def forest(*names: str, wip: int = 2, more: str = "") -> str:
    """Return a configuration with these agents."""
    return QUEUE + FAST + "".join(f'[[agent]]\nname = "{name}"\nwip = {wip}\n{more}' for name in names)


async def submit(node: RealNode, tasks: Sequence[TaskSubmitted]) -> None:
    """Submit tasks of any kind as the operator."""
    from actors.jetstream import JetStreamLog

    connection = await node.connection()
    now = time.time_ns() // 1000
    source = connection.credentials.source
    entries = [
        entry(
            envelope(secrets.token_hex(8), now, source, task), Expect(task_filter(task.queue, task.task), 0)
        )
        for task in tasks
    ]
    for start in range(0, len(entries), 500):
        await JetStreamLog(connection).append(entries[start : start + 500])


def one(task: str, **payload: object) -> TaskSubmitted:
    """Return a task for the tests' command."""
    return TaskSubmitted(task=task, queue="q", payload=payload)


def ends(node: RealNode) -> dict[str, int]:
    """Return how many results the log has of each task."""
    counts: dict[str, int] = {}
    for _, body in node.all(TaskFinished):
        counts[body.task] = counts.get(body.task, 0) + 1
    return counts


@pytest.mark.slow
async def test_three_agents_one_killed_one_frozen_one_failing_and_every_task_ends_once(
    tmp_path: Path,
) -> None:
    count = tmp_path / "count"
    async with real_node(tmp_path, forest("A", "B", "C")) as node:
        killed = RealAgent(node, "A", "--gate", str(tmp_path / "gate-A"), wip=2)
        frozen = RealAgent(node, "B", "--gate", str(tmp_path / "gate-B"), wip=2)
        poor = RealAgent(node, "C", "--takes", "0.05", "--fail-every", "10", "--count", str(count), wip=2)
        async with agents(killed, frozen, poor):
            await submit(node, [mixed(number) for number in range(TASKS)])
            await node.wait(lambda _: len(node.all(TaskFinished)) >= 30, 60, "30 results")
            victim = await at_work(node, tmp_path / "gate-B")
            frozen.signal(signal.SIGSTOP)
            (tmp_path / "gate-B").unlink()
            lost = await at_work(node, tmp_path / "gate-A")
            last_beat = time.time_ns() // 1000
            await killed.kill9()
            await node.wait(lambda _: len(ends(node)) == TASKS, 120, "all tasks to end")
            for name in ("A", "B"):
                await node.saw(Decided, target=name, action=MarkAgent(state="down"))
            again = min(
                event.time
                for event in node.events
                if isinstance(event.body, TaskStarted)
                and event.body.task == lost
                and event.source != "agent.A"
            )
            assert again - last_beat < 45_000_000
            assert set(ends(node).values()) == {1}
            frozen.signal(signal.SIGCONT)
            await node.saw(ResultSalvaged, seconds=60, task=victim, unit="B")
            assert node.all(TaskFailed, unit="C"), "every tenth failed"
            await told(node, victim)
        assert node.all(HandedOver, task=lost)
        assert await node.stop() == 0
        code, out, err = await elf("replay", "--data", str(node.data))
        assert code == 0, out + err
        assert "0 differences" in out


def mixed(number: int) -> TaskSubmitted:
    """Return one of the tasks of mixed type and priority."""
    return TaskSubmitted(
        task=f"t{number}",
        queue="q",
        kind=TYPES[number % 3],
        priority=PRIORITIES[number % 7 % 3],
        payload={"takes": 0.02 * (number % 5)},
    )


async def at_work(node: RealNode, gate: Path) -> str:
    """Close an agent's gate and return a task that waits before it."""
    touch(gate)
    there = await node.wait(lambda _: sorted(gate.parent.glob(f"{gate.name}.*")), 60, f"a task at {gate}")
    return there[0].suffix.removeprefix(".")


def touch(path: Path) -> None:
    """Make a file."""
    path.touch()


async def told(node: RealNode, task: str) -> None:
    """The story of a task that changed hands names both agents, in both languages."""
    words = {
        "en": (
            "B (generation 1, process",
            "assign_task",
            "what B left of",
            "mark_agent for B by rule down",
            "kept, not merged",
        ),
        "ja": ("B(第 1 世代", "assign_task", "で残したもの", "規則 down", "保管のみ"),
    }
    for language, wanted in words.items():
        code, out, err = await elf("why", task, "--lang", language, "--data", str(node.data))
        assert code == 0, err
        assert [word for word in wanted if word not in out] == [], out
    code, out, _ = await elf("why", "B", "--data", str(node.data))
    assert code == 0
    assert "agent B joined" in out
    assert "entered phase" in out


async def test_a_killed_agent_sweeps_what_it_left_and_goes_on_step_by_step(tmp_path: Path) -> None:
    async with real_node(tmp_path, forest("A", wip=1)) as node:
        agent = RealAgent(node, "A")
        async with agents(agent):
            go = tmp_path / "go"
            await submit(node, [one("t", wait_for=str(go), leaves=True)])
            await node.saw(TaskStarted, task="t")
            await node.wait(lambda _: len(agent.children()) >= 2, what="a command and what it leaves")
            before = set(agent.children())
            await agent.kill9()
            assert before <= set(agent.children()), "the tree lives on"
            go.touch()
            await node.saw(Decided, rule="down", target="A")
            await agent.start()
            assert not before & set(agent.children())
            _, failed = await node.saw(TaskFailed, task="t", attempt=1)
            assert failed.kind == "crash"
            _, result = await node.saw(TaskFinished, task="t", seconds=60)
            assert isinstance(result.result, dict)
            assert result.result["attempt"] == 2
            assert result.result["hand_over"]["error"]
            await node.saw(PhaseEntered, agent="A", phase="stepwise")


async def test_drain_and_retire_finish_what_runs_and_leave_in_order(tmp_path: Path) -> None:
    async with real_node(tmp_path, forest("A", "B", wip=1)) as node:
        first, second = RealAgent(node, "A"), RealAgent(node, "B")
        async with agents(first, second):
            go = tmp_path / "go"
            await submit(node, [one("t1", wait_for=str(go)), one("t2", wait_for=str(go))])
            await node.wait(lambda _: len(node.all(TaskStarted)) == 2, what="both at work")
            code, out, err = await elf("agent", "drain", "A", "--data", str(node.data))
            assert code == 0, err
            code, out, err = await elf("agent", "retire", "B", "--data", str(node.data))
            assert code == 0, out + err
            go.touch()
            await node.wait(lambda _: len(ends(node)) == 2, what="both results")
            assert await second.ended() == 0
            await node.saw(AgentLeft, agent="B")
            await submit(node, [one("t3")])
            code, out, err = await elf("agent", "readmit", "A", "--data", str(node.data))
            assert code == 0, out + err
            _, started = await node.saw(TaskStarted, task="t3")
            assert started.unit == "A"
            await node.saw(TaskFinished, task="t3")


async def test_a_canary_proves_an_agent_and_a_wrong_answer_does_not(tmp_path: Path) -> None:
    made = tmp_path / "made"
    canary = (
        'restart = ["true"]\n[agent.canary]\n'
        f'payload = {{artefact = "{made}", holds = "sung"}}\nartefact = "{made}"\ncontains = "sung"\n'
    )
    async with real_node(tmp_path, forest("A", wip=1, more=canary)) as node:
        agent = RealAgent(node, "A")
        async with agents(agent):
            await agent.kill9()
            await node.saw(Decided, rule="down", target="A")
            made.write_text("an old song")
            await agent.start()
            _, decided = await node.decided("verify", "A", seconds=60)
            assert decided.action.effect
            verified = await node.wait(
                lambda _: [b for _, b in node.all(EffectVerified, target="A") if "canary" in b.detail],
                20,
                "a canary that is right",
            )
            assert verified
            assert made.read_text() == "sung"


async def test_a_restart_command_brings_an_agent_back(tmp_path: Path) -> None:
    script = tmp_path / "again.py"
    script.write_text(
        "import os, subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-m', 'cli', 'agent', 'run', os.environ['ELF_AGENT'],\n"
        "    '--exec', 'cat', '--cred', sys.argv[1], '--cwd', sys.argv[2]],\n"
        f"    cwd={str(ROOT)!r}, start_new_session=True)\n"
    )
    cred = tmp_path / "data" / "secrets" / "agent-A.json"
    more = f'restart = ["{sys.executable}", "{script}", "{cred}", "{tmp_path}"]\n'
    async with real_node(tmp_path, forest("A", wip=1, more=more)) as node:
        agent = RealAgent(node, "A")
        async with agents(agent):
            first = node.all(AgentJoined)[0][1]
            await agent.kill9()
            await node.wait(
                lambda _: [b for _, b in node.all(Decided, target="A") if isinstance(b.action, RestartAgent)],
                20,
                "an order to restart it",
            )
            restarts = [
                at for at, body in node.all(Decided, target="A") if isinstance(body.action, RestartAgent)
            ]
            ordered = node.events[restarts[0] - 1]
            await node.saw(StepDone, decision=ordered.id, step="restart_command", ok=True, seconds=60)
            await node.saw(EffectVerified, decision=ordered.id, seconds=60)
            second = node.all(AgentJoined)[-1][1]
            assert second.run != first.run
            await node.saw(PhaseEntered, agent="A", phase="stepwise", seconds=60)
            code, out, err = await elf("agent", "retire", "A", "--data", str(node.data))
            assert code == 0, out + err
            await node.saw(AgentLeft, agent="A", run=second.run)

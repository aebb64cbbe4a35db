"""Workers that live and do not get on: each is named rightly, evidence is kept, what is well is left alone."""

import json
from functools import partial
from hashlib import blake2b
from pathlib import Path

from actors.audit import replay
from events.decisions import ContinueUnit, Decided, RestartUnit
from events.observations import EvidenceTaken, Sampled, WorkerReady
from events.outcomes import EffectVerified, WorkerStarted
from events.tasks import TaskFinished
from tests.real_node import ROOT, RealNode, real_node

# So many that one that a busy machine held up does not count.
FINE = 300
LIMITS = "[limits]\nstall_s = 2\nevidence_gap_s = 1.5\n"


def forest(names: tuple[str, ...], timeout_s: float = 60.0) -> str:
    """Return a queue and a pool of one for each kind of task."""
    folder = ROOT / "tests" / "handlers"
    tables = (
        f'[[queue]]\nname = "{name}"\ntimeout_s = {timeout_s}\n[[worker]]\nname = "{name}"\nqueue = "{name}"\n'
        f'call = "ailing:{name}"\ncwd = "{folder}"\nstop_wait_s = 1\n'
        for name in names
    )
    return LIMITS + "".join(tables)


def all_fine(node: RealNode, name: str, _: object) -> bool:
    """Tell whether all fine tasks of a pool are done."""
    return len(node.all(TaskFinished, queue=name)) == FINE


async def begin(node: RealNode, names: tuple[str, ...]) -> None:
    """Let every pool do some tasks well, so that their usual time is known, and then a bad one."""
    for name in names:
        await node.saw(WorkerReady, unit=name, seconds=60)
        await node.submit(name, [(f"{name}-{number}", "fine") for number in range(FINE)])
    for name in names:
        await node.wait(partial(all_fine, node, name), 60, "fine tasks")
        await node.submit(name, [(f"{name}-bad", "bad")])


def evidence(node: RealNode, unit: str) -> list[EvidenceTaken]:
    """Return what was taken of a unit, each proven by its file."""
    found = [body for _, body in node.all(EvidenceTaken, unit=unit)]
    for taken in found:
        data = (node.data / taken.file).read_bytes()
        assert blake2b(data, digest_size=16).hexdigest() == taken.digest
        assert json.loads(data)["processes"][0]["pid"] == taken.pid
    return found


async def test_locks_and_loops_are_proven_by_two_looks_and_end_in_a_restart(tmp_path: Path) -> None:
    names = ("self_lock", "two_lock", "spin")
    reasons = {"self_lock": "deadlock", "two_lock": "deadlock", "spin": "livelock"}
    async with real_node(tmp_path, forest(names)) as node:
        await begin(node, names)
        for name in names:
            decision, why = await node.decided(reasons[name], name, seconds=60)
            assert why.action == RestartUnit(generation=1), why
            assert why.cost == 1
            await node.saw(WorkerStarted, decision.position, unit=name, generation=2, seconds=60)
            await node.saw(EffectVerified, decision=decision.id, seconds=60)
            first, second = evidence(node, name)[:2]
            assert first.looks[0].stacks
            assert first.pid == second.pid
            assert json.loads((node.data / first.file).read_bytes())["tasks"] == [f"{name}-bad"]
        assert {body.rule for _, body in node.all(Decided, elf="healing")} <= {
            "start",
            "stalled",
            "deadlock",
            "livelock",
        }


async def test_a_held_interpreter_and_a_silent_peer_are_named_and_left_to_the_task_s_limit(
    tmp_path: Path,
) -> None:
    names = ("hold_gil", "dead_socket", "stop_inside")
    async with real_node(tmp_path, forest(names, timeout_s=30.0)) as node:
        await begin(node, names)
        for name, cause in (("hold_gil", "gil_held"), ("dead_socket", "blocked_io")):
            decision, _ = await node.decided(cause, name, seconds=60)
            assert len(evidence(node, name)) >= 2
            # The task's own limit ends it: people are told, nothing is restarted, the alert goes.
            await node.decided(cause, name, decision.position, seconds=60, reason="calm")
        _, why = await node.decided("stopped", "stop_inside", seconds=60)
        assert why.action == ContinueUnit(generation=1)
        await node.saw(TaskFinished, task="stop_inside-bad", seconds=60)
        assert [body.generation for _, body in node.all(WorkerStarted)] == [1, 1, 1]


async def test_idle_and_resting_workers_are_left_alone(tmp_path: Path) -> None:
    names = ("work", "sleeping")
    async with real_node(tmp_path, forest(names)) as node:
        await node.saw(WorkerReady, unit="work", seconds=60)
        await node.saw(WorkerReady, unit="sleeping", seconds=60)
        await node.submit("sleeping", [("nap", 8)])
        await node.submit("work", [(f"t{number}", number) for number in range(20)])
        # Two looks show that it rests: it is told of, and ends by itself.
        await node.decided("stalled", "sleeping", seconds=60, reason="no_progress")
        await node.saw(TaskFinished, task="nap", seconds=60)
        ended = len(node.events)
        await node.saw(Sampled, ended, seconds=60)
        assert not [body for _, body in node.all(Decided) if isinstance(body.action, RestartUnit)]
        assert not evidence(node, "work")
        # The second look may come when it has just ended.
        assert evidence(node, "sleeping")[0].looks[0].wait == "sleep"


async def test_a_worker_that_computes_without_a_task_is_said_until_it_calms_down(tmp_path: Path) -> None:
    names = ("leave_spinning",)
    toml = forest(names).replace("[limits]\n", "[limits]\ncpu_s = 0.5\ncpu_percent = 15\n")
    async with real_node(tmp_path, toml, sample_s=1.0) as node:
        await node.saw(WorkerReady, unit="leave_spinning", seconds=60)
        gate = tmp_path / "gate"
        gate.touch()
        await node.submit("leave_spinning", [("t", str(gate))])
        await node.saw(TaskFinished, task="t")
        decision, why = await node.decided("cpu", "leave_spinning", seconds=90)
        assert why.reason == "cpu_without_task"
        assert why.inputs["cpu_percent"] >= 15
        assert [alert["cause"] for alert in (await node.status())["alerts"]] == ["abnormal_cpu"]
        gate.unlink()
        await node.decided("cpu", "leave_spinning", decision.position, reason="calm")
        assert replay(lambda: iter([node.events])).divergences == []

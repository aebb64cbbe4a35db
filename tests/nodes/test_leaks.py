"""Live leaks: a worker that keeps its tasks' memory, and one that keeps files and threads; hours are seconds here."""

import json
import sys
from pathlib import Path

from actors.audit import replay
from events.decisions import Decided, Notify, RestartUnit, TakeEvidence
from events.jobs import Notified
from events.observations import EvidenceTaken, WorkerReady
from events.outcomes import EffectVerified, WorkerStarted
from events.reminders import RequestAnswered
from events.tasks import TaskFailed, TaskFinished
from tests.archive.folder import elf
from tests.real_node import ROOT, RealNode, real_node

LIMITS = "[limits]\nleak_slot_s = 0.5\nmemory_gc_percent = 30\nsteady_s = 0.5\nstall_s = 60\n"
PEOPLE = '[notify.task_elder]\nfile = "people.md"\ntopics = []\n'


def equal(node: RealNode) -> None:
    """Every decision is made again from the log alone."""
    report = replay(lambda: iter([node.events]))
    assert report.divergences == []


async def test_a_leaking_worker_is_restarted_at_a_task_edge_before_its_limit_and_no_task_is_lost(
    tmp_path: Path,
) -> None:
    toml = (
        LIMITS
        + PEOPLE
        + (
            '[[queue]]\nname = "q"\n[[worker]]\nname = "w"\nqueue = "q"\ncall = "keeping:keep"\n'
            f'cwd = "{ROOT / "tests" / "handlers"}"\nmemory_limit = "800MB"\nstop_wait_s = 5\n'
        )
    )
    async with real_node(tmp_path, toml) as node:
        await node.saw(WorkerReady, unit="w")
        await node.submit("q", [(f"t{number}", 2.0) for number in range(900)])
        # Asked to collect garbage it keeps what it has: the growth is confirmed, not only suspected.
        position, asked = await node.saw(Decided, rule="condition")
        _, answer = await node.saw(RequestAnswered, request=node.events[position - 1].id)
        assert answer.ok
        assert asked.action.request == "gc"  # type: ignore[union-attr]
        _, alert = await node.decided("leak_alert", "w")
        assert alert.inputs["points_per_h"] >= 24
        # The seed's playbook: a look at the memory, a word to its owner, a restart.
        looked, why = await node.decided("leak", "w", reason="log_memory_snapshot")
        assert isinstance(why.action, TakeEvidence)
        assert why.inputs["level"] == "confirmed"
        _, taken = await node.saw(EvidenceTaken, looked.position, unit="w")
        assert taken.kind == "leak"
        assert taken.memory > 100_000_000
        assert json.loads((node.data / taken.file).read_bytes())["processes"]
        notice, words = await node.decided("leak_notice", "w")
        assert words.action == Notify(channel="task_elder")
        await node.saw(Notified, channel="task_elder", notice=notice.id, ok=True)
        assert "w grows by" in (tmp_path / "people.md").read_text()
        restart, planned = await node.decided("leak", "w", looked.position, reason="schedule_restart")
        assert planned.action == RestartUnit(generation=1, drain=True)
        assert planned.inputs["memory_percent"] < 90
        await node.saw(WorkerStarted, restart.position, unit="w", generation=2)
        await node.saw(EffectVerified, decision=restart.id)
        assert not node.all(Decided, rule="memory")
        ended = len(node.all(TaskFinished))
        await node.wait(
            lambda _: len(node.all(TaskFinished)) >= min(900, ended + 20), 60, "tasks of the next process"
        )
        assert node.all(TaskFailed) == []
        claims = {(body.task, body.claim) for _, body in node.all(TaskFinished)}
        assert len(claims) == len({task for task, _ in claims})
        await node.read()
        equal(node)


async def test_files_and_threads_that_only_grow_are_said_and_an_approved_restart_frees_them(
    tmp_path: Path,
) -> None:
    program = ROOT / "tests" / "victims" / "holding.py"
    toml = LIMITS + (
        f'[[worker]]\nname = "a"\ncommand = ["{sys.executable}", "-I", "-S", "{program}"]\nstop_wait_s = 1\n'
    )
    async with real_node(tmp_path, toml) as node:
        await node.runs("a")
        for cause in ("fds_leak", "threads_leak"):
            _, alert = await node.decided("handle_leak", "a", reason=cause)
            assert alert.inputs["now"] >= 2 * alert.inputs["before"]
        advice, said = await node.decided("handle_restart", "a")
        assert (said.mode, said.action) == ("advise", RestartUnit(generation=1, drain=True))
        code, _, err = await elf("approve", advice.id, "--data", node.data)
        assert code == 0, err
        await node.saw(WorkerStarted, advice.position, unit="a", generation=2)
        code, out, err = await elf(
            "sql", "SELECT max(fds) AS fds FROM samples WHERE unit = 'a'", "--json", "--data", node.data
        )
        assert (code, json.loads(out)[0]["fds"] > 40) == (0, True), err
        await node.read()
        equal(node)

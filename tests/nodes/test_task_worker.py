"""Task workers under a node: they work, hang, are killed, outlive the node."""

import os
import signal
from pathlib import Path

from actors.audit import replay
from events.decisions import Decided, Notify, RestartUnit
from events.observations import WorkerExited, WorkerReady
from events.outcomes import EffectFailed, EffectVerified, StepDone, WorkerStarted
from events.settings import SettingsAdopted
from events.tasks import TaskFinished, TaskStarted
from tests.real_node import ROOT, RealNode, python_with, real_node

QUEUE = '[[queue]]\nname = "q"\ntimeout_s = 60\n'
HANG = "import signal, time\nsignal.signal(signal.SIGUSR1, lambda *_: time.sleep(1000))\n"


def worker(call: str, more: str = "") -> str:
    """Return a pool of one for a handler of the tests."""
    folder = ROOT / "tests" / "handlers"
    return (
        f'{QUEUE}[[worker]]\nname = "w"\nqueue = "q"\ncall = "plain:{call}"\ncwd = "{folder}"\n'
        f"stop_wait_s = 2\n{more}"
    )


def finished(node: RealNode) -> dict[str, object]:
    """Return results by task."""
    return {body.task: body.result for _, body in node.all(TaskFinished)}


async def test_tasks_are_done_once_and_the_next_one_follows_soon_after_a_killed_runner(
    tmp_path: Path,
) -> None:
    async with real_node(tmp_path, worker("double")) as node:
        started = await node.runs("w")
        await node.saw(WorkerReady, unit="w", generation=1)
        await node.submit("q", [(f"t{number}", number) for number in range(50)])
        await node.wait(lambda _: len(finished(node)) == 50, what="50 results")
        os.kill(started.pid, signal.SIGKILL)
        await node.saw(WorkerExited, unit="w", generation=1)
        await node.submit("q", [(f"u{number}", number) for number in range(50)])
        await node.wait(lambda _: len(finished(node)) == 100, what="100 results")
        assert finished(node) == {f"{kind}{number}": 2 * number for kind in "tu" for number in range(50)}
        (decision, _), *more = [(at, body) for at, body in node.all(Decided, rule="crash")]
        assert more == []
        exited = next(event for event in node.events if event.type == "worker_exited")
        first = node.all(TaskStarted, generation=2)[0][0]
        assert node.events[first - 1].time - exited.time < 5_000_000
        assert decision < first


async def test_tasks_go_on_while_the_node_is_dead(tmp_path: Path) -> None:
    async with real_node(tmp_path, worker("double")) as node:
        started = await node.runs("w")
        await node.saw(WorkerReady, unit="w")
        await node.kill9()
        await node.submit("q", [(f"t{number}", number) for number in range(100)])
        await node.wait(lambda _: len(finished(node)) == 100, what="100 results without a node")
        await node.start()
        await node.submit("q", [("last", 21)])
        await node.wait(lambda _: finished(node).get("last") == 42, what="the last result")
        assert len(node.all(TaskFinished)) == 101
        assert [body.pid for _, body in node.all(WorkerStarted)] == [started.pid]
        assert (await node.worker("w"))["tasks_processed"] == 101


async def test_a_runner_that_hangs_is_replaced_in_the_five_steps(tmp_path: Path) -> None:
    limits = "[limits]\nbeat_lost_s = 10\n"
    python = python_with(tmp_path, HANG)
    async with real_node(tmp_path, worker("double") + limits, python=python) as node:
        await node.runs("w")
        await node.saw(WorkerReady, unit="w")
        assert (await node.ask("signal", unit="w", signal="USR1"))["ok"]
        decision, why = await node.decided("not_responding", "w", seconds=60)
        assert why.action == RestartUnit(generation=1, evidence=True)
        assert why.cost == 1
        assert why.inputs["beat_age_ms"] >= 10_000
        assert why.inputs["ticks"] == 2
        await node.runs("w", 2)
        await node.saw(EffectVerified, decision=decision.id)
        assert node.steps(decision.id) == [
            ("check_process_status", True),
            ("send_sigterm", True),
            ("wait_graceful_shutdown", False),
            ("force_kill_if_needed", True),
        ]
        await node.submit("q", [("t", 21)])
        await node.wait(lambda _: finished(node) == {"t": 42}, what="a result of the new generation")


async def test_other_steps_of_the_playbook_are_other_acts(tmp_path: Path) -> None:
    limits = "[limits]\nbeat_lost_s = 10\nkill_gap_s = 1\n"
    notes = '[notify.task_elder]\nfile = "notes.md"\n[playbooks]\nworker_not_responding = '
    patient = ["notify_task_elder", "check_process_status", "send_sigterm", "wait_graceful_shutdown"]
    rough = ["check_process_status", "force_kill_if_needed", "restart_worker"]
    toml = worker("double").replace("stop_wait_s = 2", "stop_wait_s = 0.3") + limits + notes
    python = python_with(tmp_path, HANG)
    async with real_node(tmp_path, f"{toml}{[*patient, 'restart_worker']}\n", python=python) as node:
        started = await node.runs("w")
        await node.saw(WorkerReady, unit="w")
        assert (await node.ask("signal", unit="w", signal="USR1"))["ok"]
        told, notice = await node.decided("not_responding", "w", reason="notify_task_elder")
        assert notice.action == Notify(channel="task_elder")
        asked, why = await node.decided("not_responding", "w", told.position, reason="no_beat")
        assert why.action == RestartUnit(generation=1, evidence=True, steps=(*patient[1:], "restart_worker"))
        _, failed = await node.saw(EffectFailed, decision=asked.id)
        assert failed.step == "restart_worker"
        assert f"{started.pid}" in failed.error
        assert node.steps(asked.id) == list(zip(patient[1:], (True, True, False), strict=True))
        os.kill(started.pid, 0)
        notes_file = tmp_path / "notes.md"
        await node.wait(
            lambda _: notes_file.exists() and "w has given no beat" in notes_file.read_text(),
            what="the notice",
        )
        before = len(await node.read())
        node.configure(f"{toml}{rough}\n")
        node.hup()
        adopted, _ = await node.saw(SettingsAdopted, before)
        await node.runs("w", 2)
        killed = next(
            event
            for event in node.events
            if isinstance(event.body, Decided)
            and event.body.rule == "not_responding"
            and event.position > adopted
            and node.steps(event.id)[1:] == [("force_kill_if_needed", True)]
        )
        assert isinstance(killed.body, Decided)
        assert killed.body.action == RestartUnit(generation=1, evidence=True, steps=tuple(rough))
        assert len(node.all(Decided, reason="notify_task_elder")) == 1
        report = replay(lambda: iter([list(node.events)]))
        assert not report.divergences


async def test_a_frozen_runner_is_continued_and_takes_its_next_task(tmp_path: Path) -> None:
    async with real_node(tmp_path, worker("double")) as node:
        started = await node.runs("w")
        await node.saw(WorkerReady, unit="w")
        os.kill(started.pid, signal.SIGSTOP)
        await node.submit("q", [("t", 21)])
        decision, _ = await node.decided("stopped", "w")
        await node.saw(EffectVerified, decision=decision.id)
        await node.wait(lambda _: finished(node) == {"t": 42}, what="the result")
        assert len(node.all(WorkerStarted)) == 1


async def test_the_end_of_the_node_does_not_wait_for_a_task_edge(tmp_path: Path) -> None:
    async with real_node(tmp_path, worker("mark_and_wait")) as node:
        await node.saw(WorkerReady, unit="w")
        await node.submit("q", [("t", str(tmp_path / "marks"))])
        await node.saw(TaskStarted, task="t")
        await node.intend("w", "run", restart=True)
        decision, _ = await node.decided("order", "w")
        await node.saw(StepDone, decision=decision.id, step="check_process_status")
        assert await node.stop(seconds=25) == 0


async def test_backlog_and_jam_raise_one_alert_each_and_clear(tmp_path: Path) -> None:
    limits = "[limits]\nqueue_backlog = 10\nqueue_jam_s = 0.5\n"
    async with real_node(tmp_path, worker("mark_and_wait") + limits) as node:
        await node.saw(WorkerReady, unit="w")
        marks = tmp_path / "marks"
        await node.submit("q", [(f"t{number}", str(marks)) for number in range(12)])
        raised, high = await node.decided("backlog", "q", reason="backlog_high")
        assert high.inputs["backlog"] == 12
        assert high.inputs["ticks"] == 2
        jammed, jam = await node.decided("jam", "q")
        assert jam.inputs["living"] == ["w"]
        causes = sorted(alert["cause"] for alert in (await node.status())["alerts"])
        assert causes == ["backlog", "jam"]
        (tmp_path / "go").touch()
        _, low = await node.decided("backlog", "q", raised.position, reason="backlog_low")
        assert low.inputs["backlog"] < 8
        await node.decided("jam", "q", jammed.position, reason="moving")
        await node.wait(lambda _: len(finished(node)) == 12, what="12 results")
        assert (await node.status())["alerts"] == []
        assert len(node.all(Decided, elf="flow")) == 4

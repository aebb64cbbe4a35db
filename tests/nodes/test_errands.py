"""Reminders, jobs and messages to people on a whole node: real workers, real commands, real files."""

import json
import os
from pathlib import Path

from actors.audit import replay
from events.decisions import Decided, Escalate, RaiseAlert, Remind, RunJob
from events.jobs import JobFinished, Notified
from events.observations import WorkerReady
from events.outcomes import EffectVerified
from events.reminders import ReminderAdded, RequestAnswered
from tests.real_node import ROOT, RealNode, real_node

WORKERS = f"""
[[queue]]
name = "q"
[[worker]]
name = "w"
queue = "q"
call = "messages:work"
cwd = "{ROOT / "tests" / "handlers"}"
notice_file = "w.notice.json"
env = {{ NOTED = "%s" }}
"""


def forest(folder: Path, more: str) -> str:
    """Return one task worker that writes down its messages, and more."""
    return WORKERS % (folder / "noted") + more


def noted(folder: Path) -> list[dict[str, object]]:
    """Return the messages that the handler got."""
    path = folder / "noted"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def test_a_reminder_reaches_log_file_and_handler_once_also_across_a_killed_node(tmp_path: Path) -> None:
    more = """
    [[reminder]]
    worker = "w"
    when = "every 2s"
    text = "結果キューチェック"
    """
    async with real_node(tmp_path, forest(tmp_path, more)) as node:
        ready, _ = await node.saw(WorkerReady)
        position, first = await node.saw(Decided, ready, rule="remind")
        decision = node.events[position - 1].id
        assert isinstance(first.action, Remind)
        _, verified = await node.saw(EffectVerified, decision=decision)
        assert "log of w" in verified.detail
        assert "w.notice.json" in verified.detail
        log = (node.data / "logs" / "w.log").read_text()
        assert f"reminder: 結果キューチェック [{decision}]" in log
        notice = json.loads((tmp_path / "w.notice.json").read_text())
        assert decision in [each["id"] for each in notice["notices"]]
        await node.wait(lambda _: decision in [each["id"] for each in noted(tmp_path)])
        await node.kill9()
        await node.start()
        position, _ = await node.saw(Decided, position, rule="remind")
        await node.saw(EffectVerified, position, decision=node.events[position - 1].id)
    ids = [each["id"] for each in noted(tmp_path)]
    assert len(ids) == len(set(ids)) > 0
    assert set(ids) <= {event.id for event in node.events}
    replays_equal(node)


def replays_equal(node: RealNode) -> None:
    """Every decision is made again from the log alone."""
    report = replay(lambda: iter([node.events]))
    assert report.divergences == []
    assert report.rules


async def test_memory_above_the_line_asks_for_garbage_once_and_is_answered(tmp_path: Path) -> None:
    toml = forest(tmp_path, "").replace('queue = "q"\n', 'queue = "q"\nmemory_limit = "95MB"\n', 1)
    toml = toml + "[limits]\nmemory_gc_percent = 40\nmemory_restart_percent = 100\n"
    async with real_node(tmp_path, toml) as node:
        await node.runs("w")
        await node.submit("q", [("hold", 20_000_000)])
        position, asked = await node.saw(Decided, rule="condition")
        assert isinstance(asked.action, Remind)
        assert asked.action.request == "gc"
        decision = node.events[position - 1].id
        _, answer = await node.saw(RequestAnswered, request=decision)
        assert answer.ok
        assert answer.before > 0
        assert answer.after > 0
        _, verified = await node.saw(EffectVerified, decision=decision)
        assert "MB before" in verified.detail
    assert len(node.all(Decided, rule="condition")) == 1


async def test_a_job_fails_louder_and_louder_until_people_are_called_and_is_heard_again(
    tmp_path: Path,
) -> None:
    more = """
    [[job]]
    name = "check"
    every = "1s"
    command = ["sh", "-c", "echo three tests broken; test -e good"]
    [notify.escalation]
    file = "people.md"
    topics = []
    [notify.slow]
    command = ["sleep", "60"]
    [notify.dead]
    webhook = "http://127.0.0.1:9/hook"
    """
    async with real_node(tmp_path, more) as node:
        await node.saw(Decided, rule="job_failure", action=RaiseAlert(cause="job", severity="warning"))
        await node.saw(
            Decided, rule="job_failure", action=RaiseAlert(cause="job", severity="critical", again=True)
        )
        position, _ = await node.saw(Decided, rule="job_failure", action=Escalate(cause="job", times=3))
        decision = node.events[position - 1].id
        await node.saw(Notified, channel="escalation", notice=decision, ok=True)
        people = (tmp_path / "people.md").read_text()
        assert people.count(decision) == 1
        assert "three tests broken" in people
        assert (await node.status())["alerts"][0]["severity"] == "critical"
        (tmp_path / "good").touch()
        await node.saw(JobFinished, job="check", ok=True)
        await node.decided("job_failure", "check", position, reason="works_again")
    replays_equal(node)


async def test_a_job_that_never_ends_is_ended_with_everything_it_started(tmp_path: Path) -> None:
    more = """
    [[job]]
    name = "endless"
    every = "1s"
    command = ["sh", "-c", "trap '' TERM; echo begun; (setsid sleep 300 &) ; while :; do sleep 1; done"]
    timeout_s = 0.3
    """
    async with real_node(tmp_path, more) as node:
        _, finished = await node.saw(JobFinished, seconds=60, job="endless")
        assert finished.outcome == "timeout"
        assert not finished.ok
        assert "begun" in finished.tail
        assert "had not ended within 0.3 s" in finished.tail


async def test_a_killed_node_says_of_its_job_that_it_was_interrupted(tmp_path: Path) -> None:
    more = """
    [[job]]
    name = "long"
    every = "2s"
    command = ["sh", "-c", "echo $$ >> pids; sleep 300"]
    """
    async with real_node(tmp_path, more) as node:
        position, _ = await node.saw(Decided, rule="job")
        await node.wait(lambda _: (tmp_path / "pids").exists())
        pid = int((tmp_path / "pids").read_text().split()[0])
        await node.kill9()
        os.kill(pid, 0)
        await node.start()
        _, finished = await node.saw(JobFinished, job="long")
        assert finished.outcome == "interrupted"
        assert finished.decision == node.events[position - 1].id
        await node.wait(lambda _: not Path(f"/proc/{pid}").exists())
    assert not node.all(Decided, rule="job_failure")


async def test_what_a_person_adds_is_reminded_and_what_one_removes_is_not(tmp_path: Path) -> None:
    async with real_node(tmp_path, forest(tmp_path, "")) as node:
        await node.runs("w")
        await node.append(ReminderAdded(reminder="by-hand", worker="w", when="1秒毎", text="立って"))
        await node.saw(Decided, target="by-hand")
        rows = (await node.ask("reminders"))["reminders"]
        assert [row["name"] for row in rows] == ["by-hand"]
        assert len(rows[0]["next"]) == 5


async def test_a_command_that_cannot_start_is_said_so(tmp_path: Path) -> None:
    more = '[[job]]\nname = "none"\nevery = "1s"\ncommand = ["no-such-program-at-all"]\n'
    async with real_node(tmp_path, more) as node:
        _, finished = await node.saw(JobFinished, job="none")
        assert finished.outcome == "refused"
        assert "expected to start no-such-program-at-all" in finished.tail
        _, decided = await node.saw(Decided, rule="job")
        assert isinstance(decided.action, RunJob)

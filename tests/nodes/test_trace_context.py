"""A trace context goes from a submission through handlers, programs and subtasks to every event and table."""

import json
import os
import subprocess
import sys
from pathlib import Path

from events.tasks import TaskCancelled, TaskFinished
from tests.real_node import ROOT, RealNode, real_node

ONE, OTHER = "a" * 32, "c" * 32
MINE, THEIRS = f"00-{ONE}-{'b' * 16}-01", f"00-{OTHER}-{'d' * 16}-00"
FOREST = f"""
[[queue]]
name = "calls"
[[queue]]
name = "programs"
[[queue]]
name = "nobody"
[[worker]]
name = "w"
queue = "calls"
call = "plain:echo"
cwd = "{ROOT}/tests/handlers"
[[worker]]
name = "p"
queue = "programs"
exec = ["{sys.executable}", "-I", "-S", "{ROOT}/tests/handlers/program.py"]
"""


def elf(node: RealNode, *words: str, trace: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command as a person does."""
    around = {"TRACEPARENT": trace} if trace else {}
    return subprocess.run(
        [sys.executable, "cli.py", *words, "--data", str(node.data)],
        cwd=ROOT,
        env=os.environ | around,
        capture_output=True,
        text=True,
        timeout=120,
    )


async def test_a_trace_reaches_handlers_programs_subtasks_events_and_tables(tmp_path: Path) -> None:
    lines = tmp_path / "tasks.jsonl"
    lines.write_text(
        json.dumps({"queue": "calls", "id": "named", "traceparent": THEIRS})
        + "\n"
        + json.dumps({"queue": "programs", "id": "program", "payload": "trace"})
        + "\n"
    )
    async with real_node(tmp_path, FOREST) as node:
        assert elf(node, "submit", "calls", "--id", "plain").returncode == 0
        assert elf(node, "submit", "calls", "--id", "given", "--traceparent", MINE).returncode == 0
        assert elf(node, "submit", "--file", str(lines), trace=MINE).returncode == 0
        wrong = elf(node, "submit", "calls", "--traceparent", "00-x")
        assert (wrong.returncode, wrong.stdout) == (2, "")
        assert wrong.stderr.startswith("expected --traceparent as 00-<32 hex digits>-")
        assert elf(node, "submit", "nobody", "--id", "never", trace=MINE).returncode == 0
        assert elf(node, "task", "cancel", "never").returncode == 0
        # What is no trace context is passed over where nobody asked for it by name.
        assert elf(node, "submit", "nobody", "--id", "odd", trace="nonsense").returncode == 0

        def results() -> dict[str, object]:
            return {body.task: body.result for _, body in node.all(TaskFinished)}

        await node.wait(lambda _: len(results()) >= 5, what="five results")
        found = results()
        assert found["program"] == {"environment": MINE, "message": MINE}
        told = {task: result.get("traceparent") for task, result in found.items() if isinstance(result, dict)}
        assert told == {
            "plain": None,
            "given": MINE,
            "named": THEIRS,
            "program": None,
            "program-1": MINE,
        }
        await node.saw(TaskCancelled, task="never")
        traces = {(event.correlation, event.trace) for event in node.events if "task_" in event.type}
        assert traces == {
            *(("plain", ""), ("given", MINE), ("named", THEIRS), ("program", MINE), ("program-1", MINE)),
            *(("never", MINE), ("odd", "")),
        }
        assert elf(node, "task", "retry", "never").returncode == 0
        rows = json.loads(elf(node, "sql", "SELECT id, trace_id FROM tasks", "--format", "json").stdout)
        assert {row["id"]: row["trace_id"] for row in rows} == {
            "plain": None,
            "odd": None,
            "named": OTHER,
            **dict.fromkeys(["given", "program", "program-1", "never"], ONE),
        }
        assert json.loads(elf(node, "task", "given", "--json").stdout)["trace_id"] == ONE
        assert f"trace  {ONE}" in elf(node, "task", "given").stdout
        assert f"priority middle, trace {OTHER}" in elf(node, "why", "named").stdout

"""The example forest is valid, and its handlers do real work on this project's own files."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.config import Forest
from actors.config_reader import read_forest
from actors.units import launch_of
from events.tasks import TaskSubmitted

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
# What a handler's host does: import the function from the working folder, hand over the task, take its JSON.
HOST = (
    "import importlib, json, sys; sys.path.insert(0, '.'); module, name = sys.argv[1].split(':');"
    "handler = getattr(importlib.import_module(module), name);"
    "[print(json.dumps(handler(json.loads(line))), flush=True) for line in sys.stdin]"
)


def handle(call: str, tasks: list[dict[str, Any]], folder: Path) -> list[Any]:
    """Run a handler on tasks in a process of its own. Raises RuntimeError with what it said."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", HOST, call],
        input="".join(json.dumps(task) + "\n" for task in tasks),
        cwd=folder,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def task_of(payload: dict[str, Any], task: str = "t1") -> dict[str, Any]:
    return {"id": task, "queue": "q", "type": "", "payload": payload, "attempt": 1, "hand_over": {}}


@pytest.fixture(scope="module")
def forest() -> Forest:
    return read_forest(EXAMPLES / "forest.toml")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the example tasks are about, in which handlers may write."""
    passing = shutil.ignore_patterns("__pycache__", "data")
    for folder in ("actors", "docs", "events", "examples", "projections", "requirements"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=passing)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_example_is_the_four_workers_on_their_four_queues(forest: Forest) -> None:
    assert {worker.name: worker.queue for worker in forest.workers} == {
        "enhanced_task": "ai_tasks",
        "intelligent_pm": "ai_pm",
        "async_result": "ai_results",
        "simple_task": "dialog_task_queue",
    }
    assert [queue.name for queue in forest.queues] == ["ai_tasks", "ai_pm", "ai_results", "dialog_task_queue"]
    assert {worker.cwd for worker in forest.workers} == {str(ROOT)}
    assert {launch_of(forest, worker.name).kind for worker in forest.workers} == {"call"}


def test_every_example_task_names_a_queue_of_the_example_and_fits_a_submission(forest: Forest) -> None:
    queues = {queue.name for queue in forest.queues}
    used = set()
    for line in (EXAMPLES / "tasks.jsonl").read_text().splitlines():
        task = json.loads(line)
        used.add(task["queue"])
        assert set(task) <= {"queue", "type", "payload", "id", "priority", "complexity", "timeout_s"}
        fields = {key: value for key, value in task.items() if key not in {"type", "id"}}
        msgspec.convert(
            {"type": "task_submitted", "task": "x", "kind": task["type"], **fields}, TaskSubmitted
        )
    assert used == queues


def test_every_example_task_succeeds_on_this_repository(forest: Forest, project: Path) -> None:
    calls = {worker.queue: worker.call for worker in forest.workers}
    waiting = [json.loads(line) for line in (EXAMPLES / "tasks.jsonl").read_text().splitlines()]
    waiting = [{**task, "id": f"example-{number}"} for number, task in enumerate(waiting)]
    results: dict[str, Any] = {}
    while waiting:
        ready = [task for task in waiting if task["queue"] == waiting[0]["queue"]]
        waiting = [task for task in waiting if task not in ready]
        for task, result in zip(ready, handle(calls[ready[0]["queue"]], ready, project), strict=True):
            results[task["id"]] = result
            waiting += result.get("submit", []) if isinstance(result, dict) else []

    checked = [result for result in results.values() if "doctests" in result]
    assert len(results) > 30, "the two plans submitted tasks of their own"
    assert len(checked) >= 11 + len(list((ROOT / "events").glob("*.py")))
    assert sum(result["doctests"] for result in checked) > 5
    assert all(result["failed"] == 0 for result in checked)
    report = (project / "examples/data/reports/report.md").read_text()
    assert f"{len(checked)} results" in report
    assert "| events/codec.py |" in report


def test_the_example_s_agents_share_the_seed_s_two_tables_and_its_tasks_name_what_somebody_takes() -> None:
    forest = read_forest(EXAMPLES / "agents.toml")
    lines = [json.loads(line) for line in (EXAMPLES / "agents.jsonl").read_text().splitlines()]
    chief, second, third, script = forest.agents

    assert [agent.name for agent in forest.agents] == ["CC01", "CC02", "CC03", "AUTO"]
    assert ("design" in chief.skills, chief.priorities) == (True, ())
    assert ("infrastructure" in second.skills, second.priorities) == (True, ("middle", "low"))
    assert ("quality" in third.skills, third.priorities) == (True, ("middle", "low"))
    assert script.priorities == ("low",)
    assert {line["queue"] for line in lines} == {queue.name for queue in forest.queues} == {"work"}
    assert {line["type"] for line in lines} <= {skill for agent in forest.agents for skill in agent.skills}


def test_the_example_s_agent_does_a_task_by_its_type_and_names_the_fault_of_a_bad_one() -> None:
    def run(kind: str, payload: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "examples.handlers.agent"],
            input=json.dumps({**task_of(payload), "type": kind}),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )

    design = json.loads(run("design", {"path": "examples/handlers/simple_task.py"}).stdout)
    assert design["about"] == "Counts, measures and hashes files."
    assert {item["name"].partition("(")[0] for item in design["public"]} == {"hash_files", "sha256"}
    assert json.loads(run("infrastructure", {"folder": "nats", "pattern": "*.conf"}).stdout)["files"] == 1
    wrong = run("design", {"path": "../elsewhere.py"})
    assert wrong.returncode == 1
    assert "expected a path inside the working folder" in wrong.stderr


DOCTEST = '''
def f():
    """
    >>> f()
    %s
    """
    return 1
'''
UNITTEST = """
import unittest
class T(unittest.TestCase):
    def test_it(self):
        print("noise")
        self.assertEqual(1, %s)
"""


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def f(:\n", "SyntaxError"),
        ("import no_such_module_anywhere\n", "No module named 'no_such_module_anywhere'"),
        (DOCTEST % 3, "the tests of m.py failed"),
        (UNITTEST % 2, "AssertionError: 1 != 2"),
    ],
    ids=["syntax", "import", "doctest", "unittest"],
)
def test_a_module_that_fails_fails_the_task_with_what_was_said(
    source: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "m.py").write_text(source)
    (tmp_path / "examples").symlink_to(EXAMPLES)

    with pytest.raises(RuntimeError) as caught:
        handle("examples.handlers.enhanced_task:compile_and_test", [task_of({"path": "m.py"})], tmp_path)

    assert said in str(caught.value)


def test_compile_and_test_counts_what_ran_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(EXAMPLES)
    (tmp_path / "m.py").write_text(DOCTEST % 1 + UNITTEST % 1)

    (result,) = handle(
        "examples.handlers.enhanced_task:compile_and_test",
        [task_of({"path": "m.py", "results": "out"})],
        tmp_path,
    )

    assert (result["doctests"], result["unittests"], result["failed"]) == (1, 1, 0)
    assert json.loads((tmp_path / "out" / "t1.json").read_text()) == result
    assert sorted(path.name for path in tmp_path.iterdir()) == ["examples", "m.py", "out"]


def test_no_check_reaches_beyond_the_working_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "examples").symlink_to(EXAMPLES)
    (tmp_path / "m.py").write_text("")

    with pytest.raises(RuntimeError, match="expected a path inside the working folder"):
        handle(
            "examples.handlers.enhanced_task:compile_and_test",
            [task_of({"path": "../m.py"})],
            tmp_path / "in",
        )


def test_a_plan_names_its_tasks_after_itself_so_that_a_second_attempt_submits_none_twice() -> None:
    request = {"folder": "events", "pattern": "c*.py", "results": "r", "report": "p"}

    first, second = handle(
        "examples.handlers.intelligent_pm:split", [task_of(request), task_of(request)], ROOT
    )

    assert first == second
    assert first["files"] == len(list((ROOT / "events").glob("c*.py")))
    assert [task["queue"] for task in first["submit"][-2:]] == ["dialog_task_queue", "ai_results"]
    assert {"id": "t1-1", "queue": "ai_tasks", "type": "compile_and_test"}.items() <= first["submit"][
        0
    ].items()
    assert first["submit"][0]["payload"] == {"path": "events/codec.py", "results": "r"}


def test_the_hash_is_that_of_the_files() -> None:
    (result,) = handle(
        "examples.handlers.simple_task:hash_files", [task_of({"folder": ".", "pattern": "LIC*"})], ROOT
    )

    licence = (ROOT / "LICENSE").read_bytes()
    line = f"{hashlib.sha256(licence).hexdigest()}  LICENSE\n"
    assert result == {
        "folder": ".",
        "files": 1,
        "bytes": len(licence),
        "sha256": hashlib.sha256(line.encode()).hexdigest(),
    }


def test_the_starter_is_valid_alone_and_its_exec_worker_counts_words(tmp_path: Path) -> None:
    (tmp_path / "forest.toml").write_text((EXAMPLES / "starter.toml").read_text())
    forest = read_forest(tmp_path / "forest.toml")
    plain, counter = forest.workers

    assert launch_of(forest, plain.name).kind == "plain"
    done = subprocess.run(
        counter.exec,
        input=json.dumps(task_of("How many words are these?")),  # type: ignore[arg-type]
        env=launch_of(forest, counter.name).env,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert json.loads(done.stdout) == {"words": 5, "characters": 25}


def test_the_starters_plain_program_reports_at_once(tmp_path: Path) -> None:
    (tmp_path / "forest.toml").write_text((EXAMPLES / "starter.toml").read_text())
    launch = launch_of(read_forest(tmp_path / "forest.toml"), "free_space")

    with subprocess.Popen(
        launch.argv, env=launch.env, cwd=launch.cwd, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        line = program.stdout.readline()
        program.terminate()
    assert "MiB free" in line


def test_what_the_starter_shows_in_comments_is_valid_and_its_defaults_are_the_defaults(
    tmp_path: Path,
) -> None:
    text = (EXAMPLES / "starter.toml").read_text()
    # An interpreter and a function of one's own cannot stand beside the exec worker that is shown.
    shown = re.sub(r"^# (?!call|python)(\[\[?\w+\]\]?|\w+ = .*)", r"\1", text, flags=re.MULTILINE)
    (tmp_path / "plain.toml").write_text(text)
    (tmp_path / "shown.toml").write_text(shown)

    plain = read_forest(tmp_path / "plain.toml", {})
    full = read_forest(tmp_path / "shown.toml", {"API_TOKEN": "x"})

    assert shown.count("\n#") <= text.count("\n#") - 15
    assert (full.node, full.limits, full.queues) == (plain.node, plain.limits, plain.queues)
    assert full.log.sync == plain.log.sync
    assert full.workers[0].restart == plain.workers[0].restart
    assert full.workers[1] == plain.workers[1]
    assert full.elves[0].mode == "advise"

"""The parts of a runner that decide without a process: readings, windows, subtasks, orders, the spool."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

from actors.runner_children import ending
from actors.runner_claims import Reading, read
from actors.runner_jobs import WINDOW_LIMIT, Job, Pace, job_of, request_of
from actors.runner_programs import outcome_of
from actors.runner_spec import read_spec
from actors.runner_spool import Spool
from actors.runner_subtasks import subtasks_of
from events.codec import encode
from events.envelope import Recorded, Unknown
from events.event import Event
from events.log import Expect, envelope
from events.tasks import (
    FailureKind,
    TaskCancelled,
    TaskDied,
    TaskDropped,
    TaskFailed,
    TaskFinished,
    TaskMoved,
    TaskReleased,
    TaskStarted,
    TaskSubmitted,
)
from tests.real_runner import ROOT

NOW = 1_000.0
OWN: dict[str, Any] = {"task": "t1", "queue": "q1", "unit": "w9", "generation": 4}


def job(delivered: int = 2, task: str = "t1", trace: str = "") -> Job:
    submitted = TaskSubmitted(task=task, queue="q1", kind="k", payload={"a": 1}, timeout_s=2.5)
    data = encode(replace(envelope("e1", 1, "client.cli", submitted), trace=trace))
    found = job_of(data, f"$JS.ACK.LOG.q_q1.{delivered}.7.9.1700000000.0", 3.0)
    assert found is not None
    return found


def last(body: Any, position: int = 20, time_s: float = NOW) -> Recorded:
    return Recorded(position, "s", "id", int(time_s * 1e6), "worker.p1", "", "", body, b"")


def started(attempt: int) -> TaskStarted:
    return TaskStarted(pid=1, attempt=attempt, nonce="n", **OWN)


def failed(attempt: int, retry_in_s: float, kind: FailureKind = "error", deaths: int = 0) -> TaskFailed:
    more: dict[str, Any] = {"claim": 9, "error": "E: x", "retry_in_s": retry_in_s, "deaths": deaths}
    return TaskFailed(attempt=attempt, kind=kind, **more, **OWN)


def test_a_delivery_is_read_with_its_position_and_count() -> None:
    one = job(3)
    assert (one.task, one.position, one.delivered, one.cause, one.timeout_s) == ("t1", 7, 3, "e1", 2.5)
    assert json.loads(request_of([one])) == [
        {"id": "t1", "queue": "q1", "type": "k", "payload": {"a": 1}, "attempt": 0, "hand_over": None}
    ]
    assert job_of(b"{}", "$JS.ACK.LOG.q_q1.1.7.9.1.0", 0.0) is None
    assert job_of(b"\xff", "$JS.ACK.LOG.q_q1.1.7.9.1.0", 0.0) is None


@pytest.mark.parametrize(
    ("body", "gone", "delivered", "expected"),
    [
        (TaskFinished(attempt=1, claim=8, **OWN), False, 2, Reading("done")),
        (
            TaskDied(task="t1", queue="q1", unit="", attempts=3, kind="error", error=""),
            False,
            2,
            Reading("done"),
        ),
        (TaskCancelled(task="t1", queue="q1"), False, 2, Reading("done")),
        (TaskMoved(task="t1", queue="q1", to="q2"), False, 2, Reading("done")),
        (TaskReleased(attempt=2, claim=8, **OWN), False, 2, Reading("claim", 2)),
        (failed(1, 1.0), False, 2, Reading("wait", wait_s=1.0)),
        (failed(2, 0.0), False, 2, Reading("claim", 3)),
        (failed(3, 0.0), False, 2, Reading("die", 3, kind="error", text="E: x")),
        (failed(3, 0.0, "crash", 3), False, 2, Reading("claim", 4, 3)),
        (failed(2, 0.0, "crash", 2), False, 2, Reading("claim", 3, 2)),
        (TaskReleased(attempt=4, claim=8, deaths=3, **OWN), False, 2, Reading("claim", 4, 3)),
        (TaskDropped(task="t1", queue="q1"), False, 2, Reading("done")),
        (started(1), True, 2, Reading("settle")),
        (started(1), None, 1, Reading("wait", wait_s=5.0)),
        (started(1), None, 2, Reading("wait", wait_s=5.0)),
        (started(1), None, 3, Reading("settle")),
        (started(1), False, 9, Reading("wait", wait_s=5.0)),
        (Unknown("task_sung", b"{}"), False, 2, Reading("strange", wait_s=30.0)),
    ],
)
def test_the_last_event_says_what_a_delivery_asks_for(
    body: Event | Unknown, gone: bool | None, delivered: int, expected: Reading
) -> None:
    assert read(last(body), job(delivered), 3, 3, gone, NOW) == expected


def test_only_the_delivery_of_the_latest_submission_counts() -> None:
    body = TaskSubmitted(task="t1", queue="q1")
    assert read(last(body, 7), job(), 3, 3, False, NOW) == Reading("claim", 1)
    assert read(last(body, 8), job(), 3, 3, False, NOW) == Reading("done")


def test_many_short_tasks_are_claimed_ahead_and_few_long_ones() -> None:
    pace = Pace(4)
    assert (pace.window(), pace.depth()) == (4, 1)
    pace.observe(0.00001)
    assert (pace.window(), pace.depth()) == (WINDOW_LIMIT, 256)
    pace.at_least(0.004)
    assert (pace.window(), pace.depth()) == (40, 5)
    pace.at_least(10.0)
    assert (pace.window(), pace.depth()) == (4, 1)
    for _ in range(1000):
        pace.observe(0.002)
    assert pace.median_ms() == 2.0
    assert 78 <= pace.window() <= 80


def test_ids_of_subtasks_follow_from_the_parent_and_stay_short() -> None:
    parent = job(task="p" * 63)
    (first, _), (second, _) = subtasks_of(
        parent, Raw(b'[{"queue": "q2"}, {"queue": "q2", "id": "own", "payload": [1]}]')
    )
    (again, _), _ = subtasks_of(parent, Raw(b'[{"queue": "q2"}, {"queue": "q2"}]'))
    assert first.task == again.task
    assert len(first.task) <= 64
    assert first.task.startswith("pppp")
    assert (second.task, second.queue, second.parent) == ("own", "q2", "p" * 63)
    assert subtasks_of(parent, Raw(b"null")) == []


def test_subtasks_inherit_the_trace_of_their_parent_unless_they_name_their_own() -> None:
    mine, other = f"00-{'a' * 32}-{'b' * 16}-01", f"00-{'a' * 32}-{'c' * 16}-00"
    submit = Raw(b'[{"queue": "q2"}, {"queue": "q2", "traceparent": "' + other.encode() + b'"}]')
    assert [trace for _, trace in subtasks_of(job(trace=mine), submit)] == [mine, other]
    assert [trace for _, trace in subtasks_of(job(), submit)] == ["", other]


@pytest.mark.parametrize(
    ("submit", "words"),
    [
        (b'{"queue": "q2"}', "expected submit to be a list"),
        (b'[{"queue": "q2", "traceparent": "x"}]', "expected submit[0].traceparent as 00-"),
        (b'[{"queue": "q2", "id": "a b"}]', "submit[0].id of 1 to 64 letters"),
        (b'[{"queue": "q1", "id": "t1"}]', "submit[0].id to be new"),
        (b"[" + b",".join([b'{"queue":"q2"}'] * 1000) + b"]", "at most 999 subtasks, got 1000"),
        (b'[{"queue": "q2", "payload": "' + b"x" * 262_144 + b'"}]', "at most 262144 bytes, got 262146"),
    ],
)
def test_wrong_subtasks_are_refused(submit: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        subtasks_of(job(), Raw(submit))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "expected --spec <json>, got 0 arguments"),
        (["--spec", "{"], "expected --spec to be a runner's order"),
        (["--spec", '{"unit":"w"}'], "missing required field `generation`"),
        (["--spec", '{"unit":"w","generation":1,"pool":"p","queue":"q"}'], "expected one of call and exec"),
        (
            ["--spec", '{"unit":"w","generation":1,"pool":"p","queue":"q","call":"m"}'],
            "module:function, got 'm'",
        ),
        (
            ["--spec", '{"unit":"w","generation":1,"pool":"p","queue":"q","call":"m:f","batch":0}'],
            "expected batch, concurrency, max_attempts, timeout_s and age_s above 0",
        ),
    ],
)
def test_wrong_orders_are_refused(arguments: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        read_spec(arguments)


@pytest.mark.parametrize(
    ("code", "answer", "complaint", "kind", "said"),
    [
        (0, b' {"a":1}\n', b"", "", {"a": 1}),
        (0, b"", b"", "", None),
        (0, b"plain\n", b"", "", "plain"),
        (0, b"NaN", b"", "", "NaN"),
        (0, b"\xff\xfe", b"", "", "\ufffd\ufffd"),
        (3, b"{}", b"no room\n", "error", "exit code 3: no room"),
        (-9, b"", b"", "crash", "signal 9 (SIGKILL; out of memory?)"),
    ],
)
def test_what_a_program_leaves_is_read(
    code: int, answer: bytes, complaint: bytes, kind: str, said: object
) -> None:
    outcome = outcome_of(code, answer, complaint, 0.5)
    assert outcome.kind == kind
    assert (outcome.text if kind else msgspec.json.decode(outcome.result)) == said


def test_a_program_may_submit_too() -> None:
    outcome = outcome_of(0, b'{"n": 1, "submit": [{"queue": "q2"}]}', b"", 0.5)
    assert msgspec.json.decode(outcome.result) == {"n": 1}
    assert [one.task for one, _ in subtasks_of(job(), outcome.submit)] == ["t1-1"]


def test_an_ending_has_words() -> None:
    assert [ending(code) for code in (0, 3, -15, -64)] == [
        "exit code 0",
        "exit code 3",
        "signal 15 (SIGTERM)",
        "signal 64 (SIGRTMAX)",
    ]


SPOOLED = json.dumps(
    {
        "entries": [
            {
                "subject": "log.worker.p1.task.q1.t1.failed.1",
                "event": {
                    "id": "a",
                    "time": 1,
                    "source": "worker.p1",
                    "body": msgspec.to_builtins(failed(1, 1.0)),
                },
                "expect": {"filter": "log.*.*.task.q1.t1.>", "position": 2},
            }
        ],
        "replies": ["r"],
        "delay_s": 1.0,
    }
)


def test_a_torn_spool_gives_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "torn"
    path.write_text(SPOOLED + "\n" + SPOOLED[: len(SPOOLED) // 2])
    (kept,) = Spool(str(path)).read()
    assert kept.entries[0].expect == Expect("log.*.*.task.q1.t1.>", 2)
    assert kept.entries[0].envelope.body == failed(1, 1.0)
    assert (list(kept.replies), kept.delay_s) == (["r"], 1.0)


def test_a_spool_without_a_path_keeps_nothing() -> None:
    spool = Spool("")
    assert not spool.keep([])
    assert spool.read() == []
    spool.clear()


def test_a_spool_is_private_and_goes_when_it_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "spool"
    path.parent.mkdir()
    path.write_text(SPOOLED + "\n")
    (kept,) = Spool(str(path)).read()
    path.unlink()
    spool = Spool(str(path))
    assert spool.keep([kept])
    assert spool.keep([kept])
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert len(Spool(str(path)).read()) == 2
    spool.clear()
    assert not path.exists()


def test_a_runner_carries_nothing_that_it_does_not_use() -> None:
    code = "import actors.runner, sys; print(' '.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert not loaded & {"pykka", "duckdb", "psutil", "cyclopts", "rich", "actors.nats_server", "actors.bus"}

"""A real runner on a real server: tasks are taken, executed and ended as the log says."""

import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from nats.aio.msg import Msg

from events.log import Conflict, Expect
from events.observations import WorkerReady
from events.subjects import task_filter
from events.tasks import TaskDied, TaskFailed, TaskFinished, TaskStarted, TaskSubmitted
from tests.real_runner import RealRunner, alive, end_of, ends_of, kinds, life_of, lives
from tests.real_server import Client, RealServer, pending, real_server, until

Start = Callable[..., RealRunner]


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealServer]:
    pools = {f"p{number}": f"q{number}" for number in range(1, 20)}
    async with real_server(tmp_path_factory.mktemp("server"), pools) as running:
        yield running


@pytest.fixture
def start(server: RealServer, tmp_path: Path) -> Iterator[Start]:
    started: list[RealRunner] = []

    def begin(number: int, call: str = "", **more: Any) -> RealRunner:
        own = {"unit": f"w{number}", "pool": f"p{number}", "queue": f"q{number}"}
        runner = RealRunner(server, tmp_path, call, **own, **more).start()
        started.append(runner)
        return runner

    yield begin
    for runner in started:
        runner.close()


async def test_a_task_is_claimed_executed_ended_and_acknowledged(
    start: Start, client: Client, server: RealServer
) -> None:
    runner = start(1, "plain:echo")
    await client.submit("t1", {"日本": [1, 2.5, None]}, "q1", kind="greeting")
    await end_of(client, "t1")
    submitted, started, finished = await life_of(client, "t1")
    assert isinstance(submitted, TaskSubmitted)
    assert isinstance(started, TaskStarted)
    assert isinstance(finished, TaskFinished)
    assert finished.result == {
        "id": "t1",
        "queue": "q1",
        "type": "greeting",
        "payload": {"日本": [1, 2.5, None]},
        "attempt": 1,
        "hand_over": None,
    }
    assert (started.unit, started.generation, started.pid, started.attempt) == ("w1", 1, runner.pid, 1)
    claim = await client.log.last("log.worker.p1.task.q1.t1.started.1")
    assert claim is not None
    assert finished.claim == claim.position
    assert claim.correlation == "t1"
    ready = await client.log.last("log.worker.p1.worker_ready.w1")
    assert ready is not None
    assert ready.body == WorkerReady(unit="w1", generation=1, pid=runner.pid)
    assert await runner.drain() == 0
    assert await pending(await server.connect(), "q1") == (0, 0)


async def test_a_failed_attempt_is_repeated_after_its_delay(start: Start, client: Client) -> None:
    start(2, "plain:fail_until")
    await client.submit("r1", 2, "q2")
    end = await end_of(client, "r1", "q2")
    assert (end.attempt, end.result) == (2, 2)
    life = await life_of(client, "r1")
    assert kinds(life) == ["Started", "Failed", "Started", "Finished"]
    failed = life[2]
    assert isinstance(failed, TaskFailed)
    assert (failed.kind, failed.attempt, failed.retry_in_s) == ("error", 1, 1.0)
    assert failed.error.startswith("ValueError: attempt 1 is too early (")
    assert "plain.py:" in failed.error
    assert "in fail_until" in failed.error


async def test_a_task_dies_with_its_last_attempt(start: Start, client: Client, server: RealServer) -> None:
    runner = start(3, "plain:secretive", max_attempts=1)
    await client.submit("d1", None, "q3")
    died = await end_of(client, "d1", "q3")
    assert isinstance(died, TaskDied)
    assert (died.attempts, died.kind, died.unit) == (1, "error", "w3")
    assert died.error.startswith("RuntimeError: without it")
    assert "do-not-tell" not in died.error + runner.said()
    await client.submit("d2", None, "q3")
    await end_of(client, "d2", "q3")
    assert await runner.drain() == 0
    assert await pending(await server.connect(), "q3") == (0, 0)


async def test_a_task_that_died_lives_again_when_it_is_submitted_again(start: Start, client: Client) -> None:
    start(3, "plain:fail_until", max_attempts=1)
    await client.submit("d3", 2, "q3")
    assert isinstance(await end_of(client, "d3", "q3"), TaskDied)
    last = await client.log.last(task_filter("q3", "d3"))
    assert last is not None
    await client.say(
        TaskSubmitted(task="d3", queue="q3", payload=1), Expect(task_filter("q3", "d3"), last.position)
    )
    end = await end_of(client, "d3", "q3")
    while isinstance(end, TaskDied):
        end = await end_of(client, "d3", "q3")
    assert (end.attempt, end.result) == (1, 1)


async def test_a_handler_that_exits_is_an_error_and_the_process_goes_on(start: Start, client: Client) -> None:
    start(4, "plain:leave", max_attempts=1)
    await client.submit_all([("x1", None), ("x2", None)], "q4")
    ends = await ends_of(client, ["x1", "x2"], "q4")
    assert {(end.kind, end.error.split(" (")[0]) for end in ends.values()} == {
        ("error", "SystemExit: I leave")
    }


async def test_what_a_handler_prints_goes_to_the_log_of_the_unit(start: Start, client: Client) -> None:
    runner = start(5, "plain:shout")
    await client.submit_all([(f"p{number}", None) for number in range(30)], "q5")
    ends = await ends_of(client, [f"p{number}" for number in range(30)], "q5")
    assert {end.result for end in ends.values()} == {""}
    said = runner.said()
    assert all(f"out: p{number}\n" in said for number in range(30))
    assert said.count("err\n") == 30
    assert said.count("raw bytes on descriptor 1\n") == 30


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ("nan", "Out of range float values are not JSON compliant"),
        ("object", "Object of type object is not JSON serializable"),
        ("surrogate", "surrogates not allowed"),
        (
            "big",
            "expected a result of at most 262144 bytes, got 300002; try to write a file and return its path",
        ),
    ],
)
async def test_a_result_that_cannot_be_kept_is_garbage(
    start: Start, client: Client, payload: str, words: str
) -> None:
    start(6, "plain:garbage", max_attempts=1)
    await client.submit(f"g-{payload}", payload, "q6")
    died = await end_of(client, f"g-{payload}", "q6")
    assert died.kind == "garbage"
    assert words in died.error


async def test_large_payloads_and_results_pass(start: Start, client: Client) -> None:
    start(7, "plain:double", concurrency=2)
    texts = {f"l{number}": "é" * (60_000 + number) for number in range(6)}
    for task, text in texts.items():
        await client.submit(task, text, "q7")
    ends = await ends_of(client, texts, "q7")
    assert {task: end.result for task, end in ends.items()} == {
        task: text * 2 for task, text in texts.items()
    }


async def test_subtasks_are_submitted_with_the_end_of_their_parent(start: Start, client: Client) -> None:
    start(8, "plain:split")
    await client.submit("taken", "of old", "q18")
    parts = [
        {"queue": "q18", "payload": {"n": 1}, "type": "part"},
        {"queue": "q18", "payload": 2, "id": "named", "priority": "high", "complexity": 3, "timeout_s": 9},
        {"queue": "q18", "payload": 3, "id": "taken"},
    ]
    await client.submit("s1", parts, "q8")
    end = await end_of(client, "s1", "q8")
    assert end.result == {"parts": 3}
    story = await client.story()
    position = next(one.position for one in story if one.body == end)
    children = [one for one in story if getattr(one.body, "parent", "") == "s1"]
    assert [(one.position - position, one.body.task) for one in children] == [(1, "s1-1"), (2, "named")]  # type: ignore[union-attr]
    assert children[0].cause == next(one.id for one in story if one.body == end)
    assert children[1].body == TaskSubmitted(
        task="named", queue="q18", payload=2, priority="high", complexity=3, timeout_s=9, parent="s1"
    )
    kept = await client.log.last(task_filter("q18", "taken"))
    assert kept is not None
    assert isinstance(kept.body, TaskSubmitted)
    assert kept.body.payload == "of old"


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([{"payload": 1}], "missing required field `queue`"),
        ([{"queue": "a.b"}], "expected submit[0].queue of 1 to 64 letters"),
        ([{"queue": "q18", "id": "x"}, {"queue": "q18", "id": "x"}], "submit[1].id to be new, got 'x'"),
        ([{"queue": "q18", "prio": 1}], "unknown field `prio`"),
    ],
)
async def test_wrong_subtasks_are_garbage_with_a_reason(
    start: Start, client: Client, parts: list[Any], words: str
) -> None:
    start(8, "plain:split", max_attempts=1)
    task = f"bad-{abs(hash(words))}"
    await client.submit(task, parts, "q8")
    died = await end_of(client, task, "q8")
    assert died.kind == "garbage"
    assert words in died.error


async def test_a_batch_handler_gets_many_and_answers_each(start: Start, client: Client) -> None:
    tasks = [f"b{number}" for number in range(25)]
    await client.submit_all([(task, None) for task in tasks], "q9")
    start(9, "plain:batch", batch=10)
    ends = await ends_of(client, tasks, "q9")
    assert [ends[task].result[0] for task in tasks] == tasks
    sizes = [ends[task].result[1] for task in tasks]
    assert max(sizes) == 10
    assert min(sizes) == 5


async def test_one_answer_of_a_batch_holds_for_all(start: Start, client: Client) -> None:
    await client.submit_all([("c1", None), ("c2", None)], "q10")
    start(10, "plain:batch_same", batch=2)
    ends = await ends_of(client, ["c1", "c2"], "q10")
    assert [end.result for end in ends.values()] == [2, 2]


async def test_an_error_fails_every_task_of_its_batch(start: Start, client: Client) -> None:
    await client.submit_all([("e1", None), ("e2", None)], "q11")
    start(11, "plain:batch_fail", batch=2)
    await ends_of(client, ["e1", "e2"], "q11")
    story = lives(await client.story())
    for task in ("e1", "e2"):
        assert kinds(story[task]) == ["Started", "Failed", "Started", "Finished"]
        assert story[task][2].error.startswith("ValueError: 2 at once")


async def test_a_coroutine_function_is_a_handler_too(start: Start, client: Client) -> None:
    start(12, "plain:later")
    await client.submit("a1", 5, "q12")
    assert (await end_of(client, "a1", "q12")).result == "later 5"


async def test_a_program_is_run_for_each_task(start: Start, client: Client) -> None:
    start(13, exec=(sys.executable, "program.py"), concurrency=2, max_attempts=1, timeout_s=20)
    cases = ["json", "text", "fail", "long", "crash"]
    for case in cases:
        await client.submit(case, case, "q13")
    await client.submit("hang", "hang", "q13", timeout_s=0.3)
    ends = await ends_of(client, [*cases, "hang"], "q13")
    assert ends["json"].result == {"attempt": 1, "id": "json"}
    assert ends["text"].result == "ただの text"
    assert (ends["fail"].kind, ends["fail"].error) == (
        "error",
        "exit code 1: not this line\nthe disk is full",
    )
    assert ends["long"].kind == "garbage"
    assert "at most 262144 bytes" in ends["long"].error
    assert (ends["crash"].kind, ends["crash"].error) == ("crash", "signal 6 (SIGABRT)")
    assert (ends["hang"].kind, ends["hang"].error) == ("timeout", "expected an end within 0.3 s, got none")


async def test_an_id_is_taken_once(start: Start, client: Client) -> None:
    start(14, "plain:echo")
    await client.submit("once", 1, "q14")
    with pytest.raises(Conflict):
        await client.submit("once", 2, "q14")
    await end_of(client, "once", "q14")
    with pytest.raises(Conflict):
        await client.submit("once", 3, "q14")
    assert kinds(await life_of(client, "once")) == ["Started", "Finished"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("nowhere:run", "ModuleNotFoundError: No module named 'nowhere'"),
        ("plain:nothing", "has no attribute 'nothing'"),
        ("plain:os", "TypeError: expected a function, got module"),
    ],
)
async def test_without_its_handler_a_runner_ends_and_leaves_the_tasks(
    start: Start, client: Client, server: RealServer, call: str, words: str
) -> None:
    runner = start(15, call)
    assert await runner.ended() == 3
    assert f"the handler {call} cannot be imported" in runner.said()
    assert words in runner.said()
    assert await client.log.last("log.worker.p15.worker_ready.w15") is None
    assert (await pending(await server.connect(), "q15"))[1] == 0


async def test_an_order_that_cannot_be_read_is_refused(start: Start) -> None:
    runner = start(16, "plain:echo", timeout_s=0)
    assert await runner.ended() == 2
    assert "expected batch, concurrency, max_attempts, timeout_s and age_s above 0" in runner.said()


async def test_quiet_and_resume_by_message(start: Start, client: Client, server: RealServer) -> None:
    start(17, "plain:echo")
    await client.submit("before", 1, "q17")
    await end_of(client, "before", "q17")
    node = await server.connect()
    beats: list[dict[str, Any]] = []

    async def heard(message: Msg) -> None:
        beats.append(json.loads(message.data))

    await node.client.subscribe("beat.p17.w17", cb=heard)
    await node.client.publish("run.p17.w17", b'{"do": "quiet"}')
    await until(lambda: beats and beats[-1]["state"] == "quiet", what="a beat that says quiet")
    await client.submit("during", 2, "q17")
    # What was ordered before comes back; the server may count it a little later than it stores it.
    deadline = time.monotonic() + 60
    while sum(await pending(node, "q17")) != 1:
        assert time.monotonic() < deadline
    last = await client.log.last(task_filter("q17", "during"))
    assert last is not None
    assert isinstance(last.body, TaskSubmitted)
    await node.client.publish("run.p17.all", b'{"do": "resume"}')
    await end_of(client, "during", "q17")
    await until(lambda: beats[-1]["done"] == 2, what="a beat that counts two")
    assert beats[-1].keys() == {
        "unit",
        "generation",
        "pid",
        "in_flight",
        "n",
        "done",
        "lasting",
        "failed",
        "state",
        "service_ms_p50",
        "host_pids",
    }
    assert all(alive(pid) for pid in beats[-1]["host_pids"])

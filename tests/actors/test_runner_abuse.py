"""Handlers that hang, write into their own protocol, flood their log or answer too much: the others go on."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from events.tasks import TaskDied, TaskFinished
from tests.real_runner import HANDLERS, RealRunner, end_of, ends_of, lines, lives
from tests.real_server import Client, RealServer, real_server, shorten_ack_wait, stream_ready, until

Start = Callable[..., RealRunner]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RealServer]:
    async with real_server(tmp_path) as running:
        await shorten_ack_wait(await running.connect(), "q1", 2.0)
        yield running


async def test_a_hang_says_where_and_the_log_has_every_stack(start: Start, client: Client) -> None:
    runner = start("plain:hang_deep", max_attempts=1)
    await client.submit("t1", timeout_s=0.3)
    end = await end_of(client, "t1")
    assert end.kind == "timeout"
    found = [
        number for number, line in enumerate(lines(HANDLERS / "plain.py"), 1) if "time.sleep(0.01)" in line
    ]
    place = f"{HANDLERS / 'plain.py'}:{found[-1]}"
    assert end.error == f"expected an end within 0.3 s, got none; it hangs in stuck_in_the_middle ({place})"
    assert "in hang_deep" in runner.said()
    assert await runner.drain() == 0


async def test_who_writes_into_the_protocol_fails_alone(start: Start, client: Client) -> None:
    runner = start("plain:foul", max_attempts=1)
    others = [f"t{number}" for number in range(60)]
    payloads: list[tuple[str, object]] = [(task, 1) for task in others]
    await client.submit_all([*payloads[:30], ("bad", "foul"), *payloads[30:]])
    ends = await ends_of(client, ["bad", *others])
    bad = ends.pop("bad")
    assert isinstance(bad, TaskDied)
    assert (bad.kind, bad.error) == (
        "garbage",
        "expected answers on the handler's socket, got something else",
    )
    assert all(isinstance(end, TaskFinished) for end in ends.values())
    assert await runner.drain() == 0


async def test_a_flood_of_words_is_a_long_log_and_nothing_else(start: Start, client: Client) -> None:
    runner = start("plain:foul")
    await client.submit_all([("flood", "flood"), ("t1", 1)])
    ends = await ends_of(client, ["flood", "t1"])
    assert [end.result for end in ends.values()] == ["flood", 1] or ends["flood"].result == "flood"
    assert runner.log.stat().st_size > 39_000_000
    assert await runner.drain() == 0
    runner.log.unlink()


async def test_a_program_may_flood_too_and_only_the_end_of_it_is_kept(start: Start, client: Client) -> None:
    program = (
        "import os, sys\nfor _ in range(200): os.write(2, b'y' * 99_999 + b'\\n')\nsys.exit('the last word')"
    )
    runner = start(exec=["python3", "-c", program], max_attempts=1)
    await client.submit("t1")
    end = await end_of(client, "t1", seconds=60)
    assert (end.kind, end.error[-13:]) == ("error", "the last word")
    assert len(end.error) < 4100
    assert await runner.drain() == 0
    runner.log.unlink()


async def test_a_runner_that_is_killed_with_a_spool_hands_it_to_the_next_one(
    start: Start, client: Client, server: RealServer, tmp_path: Path
) -> None:
    spool, marks = tmp_path / "w1.spool", tmp_path / "marks"
    tasks = [f"t{number}" for number in range(8)]
    await client.submit_all([(task, str(marks)) for task in tasks])
    runner = start("plain:mark_and_wait", concurrency=8)
    await until(lambda: len(lines(marks)) == 8, what="8 executions")
    server.kill()
    (tmp_path / "go").touch()
    await until(lambda: len(lines(spool)) == 8, what="8 results on the disk")
    runner.process.kill()  # type: ignore[union-attr]
    await runner.ended()
    server.start()
    await stream_ready(await server.connect())
    runner = runner.next()
    try:
        ends = await ends_of(client, tasks)
        assert await runner.drain() == 0
    finally:
        runner.close()
    assert len(lines(marks)) == 8, "nothing was executed twice"
    assert {(end.generation, end.attempt) for end in ends.values()} == {(1, 1)}
    assert all(len(life) == 3 for life in lives(await client.story()).values())
    assert not spool.exists()

"""Tasks whose events have left the stream: their ids stay used, their dead letters can be brought back."""

import asyncio
from pathlib import Path

import pytest

from actors.connection import connect, read_credentials
from actors.jetstream import jetstream_api
from events.subjects import task_filter
from tests.faces.console import Elf, running, until


async def forget(data: Path, *tasks: str) -> None:
    """Let everything of these tasks leave the stream, with the user that empties it."""
    connection = await connect(read_credentials(data / "secrets" / "archive.json"), "test")
    try:
        for task in tasks:
            answer = await jetstream_api(
                connection, "STREAM.PURGE.LOG", {"filter": task_filter("sums", task)}, 10.0
            )
            assert answer["purged"] > 0
    finally:
        await connection.close()


def test_what_has_left_the_stream_is_not_forgotten(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "C")
    with running(tmp_path) as node:
        elf = Elf(capsys, node.data)
        assert elf("submit", "sums", "--payload", '["日本"]', "--id", "dead", "--wait").code == 1
        assert elf("submit", "sums", "--payload", "[1, 2]", "--id", "done", "--wait").out == "3\n"
        until(lambda: len(elf("dlq", "list", "--json").json) == 1, "a dead letter")
        asyncio.run(forget(node.data, "dead", "done"))
        refused = elf.no(1, "submit", "sums", "--payload", "[9]", "--id", "done")
        assert refused.startswith(
            "expected ids that are new, got done (last event: task_finished at position "
        )
        assert "task_died at position" in elf.no(1, "submit", "sums", "--payload", "[9]", "--id", "dead")
        assert "got done: task_finished" in elf.no(1, "task", "cancel", "done")
        assert "task_finished; it is done" in elf.no(1, "task", "retry", "done")
        assert elf.no(1, "task", "retry", "nobody").startswith("expected a task of this forest")
        assert elf("dlq", "requeue", "dead").code == 0
        count = "SELECT count(*) AS n FROM log WHERE type = 'task_died' AND entity = 'dead'"
        until(lambda: elf("sql", count, "--json").json == [{"n": 2}], "its next death")
        again = elf(
            "sql", "SELECT body->>'$.payload' AS p FROM events WHERE type = 'task_submitted'", "--json"
        )
        assert sorted(row["p"] for row in again.json) == ['["日本"]', '["日本"]', "[1,2]"]
        assert elf("submit", "sums", "--payload", "[4]", "--id", "fresh", "--wait").out == "4\n"

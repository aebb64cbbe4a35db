"""People are told through webhooks and commands: again until it is taken, also by the next node, and once each."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from events.decisions import Decided
from events.jobs import Notified
from tests.real_node import real_node

SECRET = "hook-s3cret"
FAILING = """
[[job]]
name = "check"
every = "1s"
command = ["false"]
"""


class Hook(ThreadingHTTPServer):
    """A webhook; `status` is what it answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.heard: list[dict[str, object]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.heard.append({"path": self.path, "status": self.server.status, **body})
        self.send_response(self.server.status)
        self.end_headers()


@contextmanager
def webhook() -> Iterator[Hook]:
    """Run one."""
    hook = Hook()
    thread = threading.Thread(target=hook.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        hook.shutdown()
        hook.server_close()
        thread.join(5)


async def test_a_webhook_that_is_away_is_told_later_by_the_next_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with webhook() as hook:
        monkeypatch.setenv("HOOK", f"http://127.0.0.1:{hook.server_address[1]}/{SECRET}")
        toml = FAILING + '[notify.team]\nwebhook = "${HOOK}"\ntopics = ["critical"]\n'
        hook.status = 503
        async with real_node(tmp_path, toml) as node:
            await node.saw(Decided, rule="job_failure", reason="failed", cost=1)
            await node.wait(lambda _: hook.heard, what="a try")
            await node.kill9()
            assert not node.all(Notified)
            hook.status = 200
            await node.start()
            _, told = await node.saw(Notified, channel="team", ok=True)
            text = next(each for each in hook.heard if each["status"] == 200)
            assert text["path"] == f"/{SECRET}"
            assert "2 times in a row" in str(text["text"])
            assert told.notice in str(text["notices"])
            assert SECRET not in node.words()
            assert not [event for event in node.events if SECRET.encode() in event.data]


async def test_a_command_gets_the_message_and_one_that_fails_is_tried_again(tmp_path: Path) -> None:
    script = "cat >> told; echo >> told; test -e open || { touch open; echo not yet >&2; exit 3; }"
    toml = FAILING + (
        f'[notify.team]\ncommand = ["sh", "-c", "cd {tmp_path}; {script}"]\ntopics = ["warning"]\n'
    )
    async with real_node(tmp_path, toml) as node:
        _, told = await node.saw(Notified, channel="team", ok=True)
        assert told.attempts == 2
        assert (tmp_path / "told").read_text().count("job check failed: it said nothing") == 2
        assert "expected exit code 0, got 3: not yet" in node.words()

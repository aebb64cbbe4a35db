"""The handler host as a process of its own, spoken to through its socket."""

import ast
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real_runner import HANDLERS, ROOT

HEADER = struct.Struct("!IB")
PROGRAM = ROOT / "actors" / "handler_host.py"


class Talk:
    """A host process and the runner's end of its socket."""

    def __init__(self, call: str, mode: str = "one", parent: int = 0) -> None:
        self.ours, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ours.settimeout(10)
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), call, mode, str(parent or os.getpid())],
            cwd=HANDLERS,
            stdin=self.far.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def ask(self, number: int, tasks: list[Any]) -> None:
        """Send one call in pieces of 1,000 bytes."""
        text = json.dumps(tasks).encode()
        for start in range(0, len(text), 1000):
            self.ours.send(HEADER.pack(number, start + 1000 < len(text)) + text[start : start + 1000])

    def hear(self) -> tuple[int, Any]:
        """Return the next answer."""
        text = b""
        while True:
            data = self.ours.recv(1 << 20)
            assert data, "expected an answer, got the end"
            number, more = HEADER.unpack_from(data)
            text += data[HEADER.size :]
            if not more:
                return number, json.loads(text)

    def close(self) -> bytes:
        """Hang up; returns what it wrote to standard error."""
        self.ours.close()
        self.far.close()
        try:
            said: bytes = self.process.communicate(timeout=10)[1]
            return said
        finally:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def talks() -> Iterator[list[Talk]]:
    opened: list[Talk] = []
    yield opened
    for talk in opened:
        if talk.process.stderr and not talk.process.stderr.closed:
            talk.close()


def task(name: str, payload: object, attempt: int = 1) -> dict[str, Any]:
    return {"id": name, "payload": payload, "attempt": attempt}


def test_calls_are_answered_in_order_under_their_numbers(talks: list[Talk]) -> None:
    talk = Talk("plain:double")
    talks.append(talk)
    assert talk.hear() == (0, [0, 0, "", None, None])
    for number in range(1, 50):
        talk.ask(number, [task("t", number)])
    for number in range(1, 50):
        heard, (index, spent, kind, result, submit) = talk.hear()
        assert (heard, index, kind, result, submit) == (number, 0, "", number * 2, None)
        assert spent > 0
    talk.close()
    assert talk.process.returncode == 0


def test_long_calls_and_answers_come_in_pieces(talks: list[Talk]) -> None:
    talk = Talk("plain:double")
    talks.append(talk)
    talk.hear()
    talk.ask(7, [task("t", "é" * 60_000)])
    number, answer = talk.hear()
    assert (number, answer[3]) == (7, "é" * 120_000)


def test_every_task_of_a_batch_has_its_own_answer(talks: list[Talk]) -> None:
    talk = Talk("plain:batch", "batch")
    talks.append(talk)
    talk.hear()
    talk.ask(3, [task("a", None), task("b", None)])
    assert [(number, answer[0], answer[3]) for number, answer in (talk.hear(), talk.hear())] == [
        (3, 0, ["a", 2]),
        (3, 1, ["b", 2]),
    ]


def test_an_error_names_its_place_and_no_values(talks: list[Talk]) -> None:
    talk = Talk("plain:secretive")
    talks.append(talk)
    talk.hear()
    talk.ask(1, [task("a", None)])
    _, (_, _, kind, text, _) = talk.hear()
    assert kind == "error"
    assert text.startswith("RuntimeError: without it (")
    assert text.endswith(" in secretive)")
    assert "do-not-tell" not in text


def test_what_has_not_begun_can_be_taken_back(talks: list[Talk], tmp_path: Path) -> None:
    talk = Talk("plain:mark_and_wait")
    talks.append(talk)
    talk.hear()
    for number in (1, 2, 3):
        talk.ask(number, [task(f"t{number}", str(tmp_path / "marks"))])
    deadline = time.monotonic() + 60
    while not (tmp_path / "marks").exists():
        assert time.monotonic() < deadline
        os.sched_yield()
    talk.far.setblocking(False)
    back = [HEADER.unpack_from(talk.far.recv(1 << 16))[0] for _ in range(2)]
    assert back == [2, 3]
    with pytest.raises(BlockingIOError):
        talk.far.recv(1 << 16)
    talk.far.setblocking(True)
    (tmp_path / "go").touch()
    assert talk.hear()[0] == 1
    talk.close()
    assert len((tmp_path / "marks").read_text().splitlines()) == 1


def test_an_import_that_fails_is_told_and_ends_the_process(talks: list[Talk]) -> None:
    talk = Talk("nowhere:run")
    talks.append(talk)
    number, (_, _, kind, text, _) = talk.hear()
    assert (number, kind) == (0, "error")
    assert text.startswith("ModuleNotFoundError: No module named 'nowhere'")
    assert b"Traceback" in talk.close()
    assert talk.process.returncode == 3


def test_a_host_whose_runner_is_gone_already_does_not_begin(talks: list[Talk]) -> None:
    talk = Talk("plain:echo", parent=1)
    talks.append(talk)
    assert talk.process.wait(60) == 0
    talk.ours.setblocking(False)
    with pytest.raises(BlockingIOError):
        talk.ours.recv(100)


def test_a_stuck_handler_shows_its_stack_on_a_signal(talks: list[Talk], tmp_path: Path) -> None:
    talk = Talk("plain:mark_and_wait")
    talks.append(talk)
    talk.hear()
    talk.ask(1, [task("a", str(tmp_path / "marks"))])
    deadline = time.monotonic() + 60
    while not (tmp_path / "marks").exists():
        assert time.monotonic() < deadline
        os.sched_yield()
    talk.process.send_signal(signal.SIGUSR1)
    (tmp_path / "go").touch()
    assert talk.hear()[1][2] == ""
    assert b"in mark_and_wait" in talk.close()


def test_the_source_is_python_3_8() -> None:
    tree = ast.parse(PROGRAM.read_text(), feature_version=(3, 8))
    imports = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imports <= sys.stdlib_module_names
    futures = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    assert [alias.name for node in futures for alias in node.names] == ["annotations"]


NOTICE = 0xFFFFFFFF


def say(talk: Talk, message: dict[str, Any]) -> dict[str, Any]:
    """Send a message and return its answer."""
    talk.ours.send(HEADER.pack(NOTICE, 0) + json.dumps(message).encode())
    number, answer = talk.hear()
    assert number == NOTICE
    assert isinstance(answer, dict)
    return answer


def test_a_message_reaches_the_handlers_module_and_garbage_is_collected(
    talks: list[Talk], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTED", str(tmp_path / "noted"))
    talk = Talk("messages:work")
    talks.append(talk)
    talk.hear()
    assert say(talk, {"do": "remind", "text": "立って"}) == {"ok": True, "told": True}
    assert json.loads((tmp_path / "noted").read_text())["text"] == "立って"
    answer = say(talk, {"do": "gc"})
    assert answer["ok"]
    assert answer["before"] > 1_000_000
    assert answer["after"] > 1_000_000
    talk.ask(1, [task("t", "x")])
    assert talk.hear()[0] == 1


def test_what_a_module_raises_at_a_message_ends_nothing(talks: list[Talk], tmp_path: Path) -> None:
    talk = Talk("messages:work")
    talks.append(talk)
    talk.hear()
    answer = say(talk, {"do": "remind"})
    assert not answer["ok"]
    assert "KeyError: 'NOTED'" in answer["error"]
    talk.ask(1, [task("t", "x")])
    assert talk.hear()[0] == 1
    assert b"KeyError" in talk.close()


def test_a_module_without_an_ear_is_told_nothing(talks: list[Talk]) -> None:
    talk = Talk("plain:echo")
    talks.append(talk)
    talk.hear()
    assert say(talk, {"do": "prepare"}) == {"ok": True, "told": False}


def test_what_a_library_raised_is_placed_in_the_workers_own_folder(talks: list[Talk]) -> None:
    talk = Talk("plain:parse")
    talks.append(talk)
    talk.hear()
    talk.ask(1, [task("t", "{")])
    assert re.search(r"^json.decoder.JSONDecodeError: .+ \(\S+/plain.py:\d+ in parse\)$", talk.hear()[1][3])
    lost = Talk("nowhere:run")
    talks.append(lost)
    assert lost.hear()[1][3] == "ModuleNotFoundError: No module named 'nowhere'"

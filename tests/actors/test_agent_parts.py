"""The parts of remote agents, each by itself."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from msgspec import Raw

from actors.accounts import authorization, move_store, shared_store
from actors.agent_memory import Kept, Memory
from actors.agent_outcome import outcome_of, stdin_of
from actors.agent_progress import changed_files
from actors.agent_spec import agent_credentials, runnable, split, take_state
from actors.agent_watch import AgentWatch
from actors.agent_words import AgentBeat, Canaried, Progress, Text
from actors.blocks import folder_of
from actors.canary import before, verdict
from actors.config import Canary
from actors.connection import Credentials
from actors.permissions import issue, users_of
from actors.place import ClientError
from actors.sampler import _alike


class Bus:
    """Nothing travels."""

    def later(self, *_: object) -> None:
        """Nothing happens later."""


def watch(now: list[float]) -> AgentWatch:
    """Return an eye whose clock the test turns."""
    return AgentWatch(cast(Any, Bus()), lambda: 5.0, lambda: now[0])


def beat(number: int = 0, **progress: Any) -> bytes:
    """Return a beat of agent A in run r."""
    tasks = (Progress(task="t", process="S", **progress),) if progress else ()
    return msgspec.json.encode(AgentBeat(agent="A", run="r", number=number, holds=len(tasks), tasks=tasks))


def test_a_young_beat_says_nothing_and_an_old_one_its_age() -> None:
    now = [100.0]
    eye = watch(now)
    eye.start()
    eye.expect({"A": "r"})
    assert [(one.beat_age_ms, one.stall_ms, one.connected) for one in eye.samples()] == [(0, -1, True)]
    now[0] = 112.0
    assert eye.samples()[0].beat_age_ms == 12_000, "an agent that joined and never beat is quiet since then"
    eye.heard("beat.agent.A", beat())
    assert eye.samples()[0].beat_age_ms == 0
    now[0] = 140.0
    assert eye.samples()[0].beat_age_ms == 28_000


def test_a_stall_grows_with_the_silence_and_ends_with_progress() -> None:
    now = [100.0]
    eye = watch(now)
    eye.expect({"A": "r"})
    eye.heard("beat.agent.A", beat(still_ms=60_000))
    assert eye.samples()[0].stall_ms == 60_000
    now[0] = 103.0
    assert eye.samples()[0].stall_ms == 63_000
    eye.heard("beat.agent.A", beat(still_ms=10))
    assert eye.samples()[0].stall_ms == 0


def test_the_nodes_own_lateness_is_told_along() -> None:
    now = [100.0]
    eye = watch(now)
    eye.start()
    eye.expect({"A": "r"})
    now[0] = 131.0
    assert eye.samples()[0].lag_ms == 30_000


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff", b"[]", b'{"agent":"B","run":"r"}', b'{"agent":"A"}', b'{"agent":1,"run":"r"}'],
)
def test_garbage_is_no_beat(data: bytes) -> None:
    now = [100.0]
    eye = watch(now)
    eye.expect({"A": "r"})
    now[0] = 120.0
    eye.heard("beat.agent.A", data)
    assert (eye.garbage, eye.samples()[0].beat_age_ms) == (1, 20_000)


def test_the_beat_of_another_run_does_not_count() -> None:
    now = [100.0]
    eye = watch(now)
    eye.expect({"A": "newer"})
    now[0] = 120.0
    eye.heard("beat.agent.A", beat())
    assert eye.samples()[0].beat_age_ms == 20_000


def test_long_silences_are_told_ever_less_often() -> None:
    assert _alike(0, 0)
    assert not _alike(0, 11_000)
    assert not _alike(60_000, 61_000)
    assert _alike(200_000, 215_000)
    assert not _alike(200_000, 221_000)
    assert not _alike(200_000, 0)


def text(payload: object, **more: Any) -> Text:
    """Return the text of a task."""
    return Text(task="t", queue="q", payload=Raw(msgspec.json.encode(payload)), **more)


def test_a_command_reads_the_task_or_the_prompt() -> None:
    told = msgspec.json.decode(stdin_of(text({"n": 1}, attempt=2, hand_over={"error": "x"}), False))
    assert told == {
        "id": "t",
        "queue": "q",
        "type": "",
        "payload": {"n": 1},
        "priority": "middle",
        "attempt": 2,
        "hand_over": {"error": "x"},
    }
    assert stdin_of(text("do it"), True) == b"do it"
    assert stdin_of(text({"prompt": "do that", "n": 1}), True) == b"do that"
    assert stdin_of(text({"n": 1}), True) == b'{"n":1}'
    again = stdin_of(text("do it", hand_over={"error": "no disk"}), True).decode()
    assert again.startswith("do it\n\nAnother agent")
    assert "no disk" in again


def child(answer: bytes, complaint: bytes = b"", output: int = 0) -> Any:
    """Return what is left of a command that has ended."""
    return SimpleNamespace(
        answer=bytearray(answer), complaint=complaint, output=output or len(answer), overflow=Path("/kept")
    )


def test_what_a_command_printed_is_its_result() -> None:
    assert outcome_of(0, child(b'{"a": 1, "artefacts": ["x", 7, "y"]}\n'), 5).artefacts == ("x", "y")
    assert outcome_of(0, child(b'{"a": 1}'), 5).result == {"a": 1}
    assert outcome_of(0, child(b"plain words \n"), 5).result == "plain words"
    assert outcome_of(0, child(b""), 5).result is None
    failed = outcome_of(3, child(b"", b"no such branch\n"), 5)
    assert (failed.kind, failed.error) == ("error", "exit code 3: no such branch")
    assert outcome_of(-9, child(b""), 5).kind == "crash"
    large = outcome_of(0, child(b"x", output=300_000), 5)
    assert (large.kind, large.artefacts) == ("garbage", ("/kept",))
    assert "\n" not in large.error


def test_a_canary_is_judged_by_its_result_and_by_an_artefact_made_anew(tmp_path: Path) -> None:
    made = tmp_path / "made"
    canary = Canary(result="42", artefact=str(made), contains="song")
    assert verdict(canary, Canaried(ok=False, error="exit code 1"), None).endswith("got: exit code 1")
    assert "result '42', got '41'" in verdict(canary, Canaried(ok=True, result=41), None)
    assert "no such file" in verdict(canary, Canaried(ok=True, result=42), None)
    made.write_text("an old song")
    there = before(canary)
    assert "the old one" in verdict(canary, Canaried(ok=True, result="42"), there)
    made.write_text("something longer")
    assert "to hold 'song'" in verdict(canary, Canaried(ok=True, result="42"), there)
    made.write_text("a new song, sung today")
    assert verdict(canary, Canaried(ok=True, result="42"), there) == ""
    made.unlink()
    os.mkfifo(made)
    assert "something else" in verdict(canary, Canaried(ok=True, result="42"), there)


def test_what_is_held_is_remembered_and_a_torn_file_is_passed_over(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    kept = Kept(task="t", queue="q", lease=2, attempt=1, nonce="n", claim=7)
    memory.keep(kept, durable=True)
    (tmp_path / "held" / "q.other.1.json").write_text("{")
    assert [(one.task, one.claim) for one in Memory(tmp_path).read()] == [("t", 7)]
    memory.forget(kept)
    assert list(Memory(tmp_path).read()) == []


def test_changed_files_are_found_and_deep_trees_are_not_searched_for_ever(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "b").write_text("x")
    deep = tmp_path.joinpath(*"123456789")
    deep.mkdir(parents=True)
    (deep / "c").write_text("x")
    assert changed_files(tmp_path, 0) == ["a"]
    assert changed_files(tmp_path, (tmp_path / "a").stat().st_mtime_ns) == []


def test_a_command_is_split_once_and_never_given_to_a_shell() -> None:
    assert split("./do 'two words' $HOME;ls") == ("./do", "two words", "$HOME;ls")
    for wrong in ("", "   ", "'open"):
        with pytest.raises(ClientError, match="expected a command, got"):
            split(wrong)


def test_a_command_that_is_not_there_is_refused_before_the_agent_joins(tmp_path: Path) -> None:
    program = tmp_path / "work"
    program.write_text("#!/bin/sh\n")
    with pytest.raises(ClientError, match="expected a program to run"):
        runnable(("./work", "--fast"), tmp_path)
    program.chmod(0o755)
    assert runnable(("./work", "--fast"), tmp_path) == ("./work", "--fast")
    assert runnable((str(program),), Path("/")) == (str(program),)
    assert runnable(("sh",), tmp_path) == ("sh",)
    with pytest.raises(ClientError, match="try --exec"):
        runnable(("no-such-program-anywhere",), tmp_path)


def test_credentials_of_another_agent_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "agent-A.json"
    with pytest.raises(ClientError, match="try elf agent add A"):
        agent_credentials("A", path)
    path.write_bytes(
        msgspec.json.encode(Credentials(url="nats://x", user="agent-B", password="p", source="agent.B"))
    )
    with pytest.raises(ClientError, match="expected the credentials of agent A, got those of B"):
        agent_credentials("A", path)
    path.write_text("{")
    with pytest.raises(ClientError, match="expected to read"):
        agent_credentials("A", path)


def test_one_program_has_one_folder(tmp_path: Path) -> None:
    take_state(tmp_path / "state")
    with pytest.raises(ClientError, match="got one that runs"):
        take_state(tmp_path / "state")


def test_agents_are_apart_and_permitted_word_by_word(tmp_path: Path) -> None:
    users = users_of("n", {"w": "p"}, ["A"], ["q"])
    issued = issue(tmp_path, "nats://x", users)
    apart = authorization(users, issued, apart=True)
    forest, agents = apart.split("AGENTS {", 1)
    assert '"agent-A"' not in forest
    assert '"agent-A"' in agents
    assert '"operator"' not in agents
    assert (tmp_path / "agent-A.json").stat().st_mode & 0o777 == 0o600
    (user,) = [user for user in users if user.remote]
    assert "log.agent.A.task.q.*.started.*" in user.publish
    assert not [subject for subject in user.publish if subject in ("log.agent.A.>", "$JS.API.>")]
    assert "accounts" not in authorization(users, issued, apart=False)


def test_the_store_of_a_server_without_accounts_moves_once(tmp_path: Path) -> None:
    messages = shared_store(tmp_path) / "streams" / "LOG" / "msgs"
    messages.mkdir(parents=True)
    assert folder_of(tmp_path) == messages
    move_store(tmp_path)
    moved = tmp_path / "jetstream" / "FOREST" / "streams" / "LOG" / "msgs"
    assert folder_of(tmp_path) == moved
    assert moved.is_dir()
    shared_store(tmp_path).mkdir()
    move_store(tmp_path)
    assert folder_of(tmp_path) == moved

"""A shell completes commands, options and values as if somebody had pressed the key."""

import os
import pty
import subprocess
import time
from pathlib import Path

import pytest

from tests.faces.console import PROGRAM, Elf

MARK = "//"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the command under a path of its own, as a checkout's .venv/bin/elf is one."""
    path = tmp_path_factory.mktemp("bin") / "elf"
    path.write_text(f'#!/bin/sh\nexec {PROGRAM[0]} {PROGRAM[1]} "$@"\n')
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def script(program: Path) -> Path:
    """Return the file that bash is to read."""
    path = program.with_name("completion.bash")
    made = subprocess.run([program, "completion", "bash"], capture_output=True, check=True)
    path.write_bytes(made.stdout)
    return path


def pressed(script: Path, words: str) -> str:
    """Type words and the tabulator into a bash of its own, and return the line that it makes of them."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(PS1="", TERM="dumb", INPUTRC="/dev/null", HISTFILE="")
        os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
    try:
        # The line is echoed instead of run: to its beginning, in front of it `echo MARK`, and the end of the line.
        os.write(terminal, f"source {script}\n{words}\t\x01echo {MARK} \n".encode())
        seen, deadline = "", time.monotonic() + 60
        while True:
            lines = [line for line in seen.split("\n") if line.startswith(f"{MARK} ") and line.endswith("\r")]
            if lines:
                return lines[0].removeprefix(f"{MARK} ").strip()
            assert time.monotonic() < deadline, f"expected the line, got {seen!r}"
            seen += os.read(terminal, 65536).decode(errors="replace")
    finally:
        os.close(terminal)
        os.waitpid(child, 0)


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("elf stat", "elf status"),
        ("elf worker resta", "elf worker restart"),
        ("elf knowledge se", "elf knowledge search"),
        ("elf tasks --li", "elf tasks --limit"),
        ("elf tasks --state wai", "elf tasks --state waiting"),
        ("elf why --lang j", "elf why --lang ja"),
        ("elf completion fi", "elf completion fish"),
    ],
)
def test_bash_completes(script: Path, typed: str, completed: str) -> None:
    assert pressed(script, typed) == completed


def test_bash_completes_behind_the_path_of_a_checkout_and_files(script: Path, program: Path) -> None:
    assert pressed(script, f"{program} doct") == f"{program} doctor"
    (program.parent / "forest-of-mine.toml").touch()
    wanted = f"elf node --config {program.parent}/forest-of-mine.toml"
    assert pressed(script, f"elf node --config {program.parent}/forest-o") == wanted


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_theirs(program: Path, shell: str) -> None:
    made = subprocess.run([program, "completion", shell], capture_output=True, text=True, check=True)
    for word in ("worker", "restart", "wait-timeout"):
        assert word in made.stdout


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert 'Choose from: "bash", "zsh", "fish"' in Elf(capsys).no(2, "completion", "tcsh")

"""How one run of an agent's program is asked for: its name, its command, where it logs in and what it keeps."""

import fcntl
import os
import shlex
import shutil
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from actors.connection import Credentials, read_credentials
from actors.place import ClientError
from events.subjects import token

Stdin = Literal["json", "prompt"]


class AgentSpec(Struct, frozen=True, kw_only=True):
    """One agent's program. `state` is a folder of its own that outlives it."""

    name: str
    command: tuple[str, ...]
    credentials: Credentials
    state: Path
    cwd: Path
    wip: int = 1
    stdin: Stdin = "json"

    @property
    def marker(self) -> str:
        """What every process that works for this agent here carries in ELF_UNIT."""
        place = blake2b(str(self.state.resolve()).encode(), digest_size=5).hexdigest()
        return f"agent.{self.name}.{place}"


def split(command: str) -> tuple[str, ...]:
    """Split a command once into its arguments, by the rules of a shell but without one. Raises ClientError."""
    try:
        words = tuple(shlex.split(command))
    except ValueError as problem:
        raise ClientError(
            f"expected a command, got {command!r}: {problem}; try --exec './work --fast'"
        ) from None
    if not words:
        raise ClientError("expected a command, got nothing; try --exec './work --fast'")
    return words


def runnable(command: tuple[str, ...], cwd: Path) -> tuple[str, ...]:
    """Return a command whose program is there: an agent that cannot start it would fail every task. Raises ClientError.

    A program named with a path is looked for as the system will: from the folder in which the command runs.
    """
    program = command[0]
    named = str(cwd.absolute() / program) if "/" in program else program
    if shutil.which(named) is None:
        raise ClientError(f"expected a program to run, got {program!r}; try --exec with the path of one")
    return command


def agent_credentials(name: str, path: Path) -> Credentials:
    """Read an agent's credentials file. Raises ClientError that says how to get one."""
    try:
        token(name, "an agent's name")
    except ValueError as problem:
        raise ClientError(str(problem)) from None
    try:
        found = read_credentials(path)
    except FileNotFoundError:
        raise ClientError(
            f"expected the credentials of agent {name} in {path}, got no such file; try elf agent add {name}"
        ) from None
    except (OSError, msgspec.DecodeError) as problem:
        raise ClientError(f"expected to read {path}, got: {problem}") from None
    if found.source != f"agent.{name}":
        raise ClientError(
            f"expected the credentials of agent {name}, got those of {found.source.partition('.')[2]};"
            f" try elf agent add {name}"
        )
    return found


def take_state(folder: Path) -> int:
    """Make the program's folder and lock it; returns the open lock. Raises ClientError when another has it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise ClientError(
            f"expected no other program with {folder}, got one that runs; try --state DIR for a second agent",
            1,
        ) from None
    return lock

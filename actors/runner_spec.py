"""What a runner is told when it starts: its order on the command line, its credentials through a pipe."""

import os
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from actors.connection import Credentials


class Spec(Struct, frozen=True, kw_only=True):
    """One unit's order: `call` (`module:function`, run by `python`) or `exec` (a program for each task).

    `spool` is the file for results while the log is away, `ack_wait_s` the consumer's time of redelivery;
    beside it lie the marks of what is executed. After so many `deaths` of its processes a task goes on trial;
    after `age_s` of waiting it is served before younger ones of a higher class, in its turn.
    `logs` is the folder of the units' logs, `redact` what of them must not be said; `prefix` stands before every
    command that runs the user's code and confines it.
    Credentials and the server's address are not among it: they come through a pipe.
    """

    unit: str
    generation: int
    pool: str
    queue: str
    call: str = ""
    exec: tuple[str, ...] = ()
    python: str = ""
    cwd: str = "."
    batch: int = 1
    concurrency: int = 1
    timeout_s: float = 300.0
    max_attempts: int = 3
    deaths: int = 3
    age_s: float = 600.0
    stop_wait_s: float = 10.0
    ack_wait_s: float = 10.0
    spool: str = ""
    logs: str = ""
    redact: tuple[str, ...] = ()
    prefix: tuple[str, ...] = ()


def read_spec(arguments: Sequence[str]) -> Spec:
    """Read `--spec <json>`. Raises ValueError that says what is wrong."""
    if len(arguments) != 2 or arguments[0] != "--spec":
        raise ValueError(f"expected --spec <json>, got {len(arguments)} arguments")
    try:
        spec = msgspec.json.decode(arguments[1], type=Spec)
    except msgspec.DecodeError as problem:
        raise ValueError(f"expected --spec to be a runner's order, got: {problem}") from problem
    if bool(spec.call) == bool(spec.exec):
        raise ValueError("expected one of call and exec in --spec, got both or none")
    if spec.call and not all(spec.call.partition(":")):
        raise ValueError(f"expected call as module:function, got {spec.call!r}")
    if min(spec.batch, spec.concurrency, spec.max_attempts) < 1 or min(spec.timeout_s, spec.age_s) <= 0:
        raise ValueError("expected batch, concurrency, max_attempts, timeout_s and age_s above 0 in --spec")
    return spec


def take_credentials() -> Credentials:
    """Read the credentials from the inherited pipe ELF_SECRET_FD and close it. Raises ValueError."""
    number = os.environ.pop("ELF_SECRET_FD", "")
    if not number.isdigit():
        raise ValueError("expected ELF_SECRET_FD to be a descriptor with the credentials, got none")
    pieces = []
    try:
        with os.fdopen(int(number), "rb") as pipe:
            pieces.append(pipe.read())
        return msgspec.json.decode(b"".join(pieces), type=Credentials)
    except (OSError, msgspec.DecodeError) as problem:
        raise ValueError(f"expected credentials on descriptor {number}, got: {problem}") from problem

"""A data folder seen from outside: its whole log, its stream's state, commands as programs."""

import asyncio
import contextlib
import io
import json
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import cli
from actors.connection import connect, read_credentials
from actors.faces.console.source import LogSource
from actors.jetstream import JetStreamLog, jetstream_api
from actors.place import Place
from events.envelope import Recorded
from events.log import entry, envelope
from events.observations import IntentSet
from tests.real_node import ROOT, RealNode

T = TypeVar("T")

SEALING = "[log]\nsegment_events = 500\nkeep_s = 0.05\n"
FOREST = (
    SEALING
    + '[[queue]]\nname = "held"\n[[worker]]\nname = "idle"\ncommand = ["sleep", "600"]\nstop_wait_s = 1\n'
)


async def grow(node: RealNode, count: int) -> None:
    """Append so many events as the operator."""
    connection = await node.connection()
    log = JetStreamLog(connection)
    source = connection.credentials.source
    for start in range(0, count, 500):
        bodies = [IntentSet(target="nobody", intent="run", reason=f"{start + one}") for one in range(500)]
        now = time.time_ns() // 1000
        await log.append([entry(envelope(secrets.token_hex(8), now, source, body)) for body in bodies])


async def whole(data: Path, after: int = 0) -> list[Recorded]:
    """Read the whole log, or what stands behind a position, as every command does."""

    def read() -> list[Recorded]:
        with LogSource(Place(data)) as source:
            return [event for chunk in source.chunks(after) for event in chunk]

    return await asyncio.to_thread(read)


async def stream(data: Path) -> dict[str, Any]:
    """Return the state of the stream."""
    connection = await connect(read_credentials(data / "secrets" / "node.json"), "test")
    try:
        info = await jetstream_api(connection, "STREAM.INFO.LOG", {"subjects_filter": ">"})
        state: dict[str, Any] = info["state"]
        return state
    finally:
        await connection.close()


async def until(look: Callable[[list[Recorded]], T], data: Path, seconds: float = 60.0) -> T:
    """Look at the whole log as it grows until the answer is true."""
    deadline = time.monotonic() + seconds
    log = await whole(data)
    while not (answer := look(log)):
        assert time.monotonic() < deadline, "expected it in the log in time"
        await asyncio.sleep(0.05)
        log += await whole(data, len(log))
    return answer


async def elf(*words: object) -> tuple[int, str, str]:
    """Run a command, `elf node` as a program of its own; returns exit code, output, errors."""
    told = [str(word) for word in words]
    if told[0] != "node":
        return await asyncio.to_thread(_here, told)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "__main__.py"),
        *told,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60.0)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def _here(words: list[str]) -> tuple[int, str, str]:
    """Run a command in this process: a program of its own loads for longer than most commands take."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main(words)
    return code, out.buffer.getvalue().decode(), err.buffer.getvalue().decode()


async def verified(data: Path) -> dict[str, Any]:
    """Return what `elf log verify --json` finds; its exit code says the same."""
    code, out, err = await elf("log", "verify", "--json", "--data", data)
    found: dict[str, Any] = json.loads(out or "{}")
    assert code == (0 if found.get("ok") else 3), err
    return found

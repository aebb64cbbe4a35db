"""A stream made anew in a store of its own, by a server that nobody else can reach."""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from nats.errors import Error as NatsError

from actors.connection import Connection, Credentials, connect
from actors.jetstream import BATCH_LIMIT, jetstream_api
from actors.nats_server import DATA, server_program
from actors.permissions import write_secret
from events.log import LogRefused, LogUnreachable
from events.subjects import LOG
from projections.segments import Row

STREAMS = (DATA / "streams.json").read_text()
_TRIES = 200
_BATCH_BYTES = 4 * 1024 * 1024
_CONFIG = """server_name: "repair"
listen: "127.0.0.1:{port}"
max_payload: 1MB
jetstream {{ store_dir: "{store}", max_memory_store: 64MB }}
authorization {{ users: [{{ user: "repair", password: "{password}" }}] }}
"""


def refill(store: Path, first: int, rows: Iterator[Sequence[Row]]) -> int:
    """Fill a fresh store with a stream that begins at `first`; returns the last position, durable.

    Raises LogRefused when the server numbers or refuses otherwise, LogUnreachable when it does not come up.
    """
    shutil.rmtree(store, ignore_errors=True)
    store.mkdir(mode=0o700, parents=True)
    with _server(store) as credentials:
        last = asyncio.run(_fill(credentials, first, rows))
    for path in store.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    return last


async def _fill(credentials: Credentials, first: int, rows: Iterator[Sequence[Row]]) -> int:
    connection = await _connected(credentials)
    try:
        stream = json.loads(STREAMS)[LOG] | {"first_seq": first}
        made = await jetstream_api(connection, f"STREAM.CREATE.{LOG}", stream, timeout=30.0)
        if "error" in made:
            raise LogRefused(f"expected a new stream, got {made['error']['description']}")
        last = first - 1
        for batch in _cut(rows):
            last = await _publish(connection, batch, last)
        return last
    finally:
        await connection.close()


def _cut(pages: Iterator[Sequence[Row]]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    size = 0
    for page in pages:
        for row in page:
            if batch and (len(batch) >= BATCH_LIMIT or size + len(row[3]) > _BATCH_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(row)
            size += len(row[3])
    if batch:
        yield batch


async def _publish(connection: Connection, batch: Sequence[Row], last: int) -> int:
    """Append one atomic batch; it has to stand where it stood."""
    name = secrets.token_hex(8)
    for number, (_, subject, _, data) in enumerate(batch[:-1], 1):
        headers = {"Nats-Batch-Id": name, "Nats-Batch-Sequence": str(number)}
        await connection.client.publish(subject, data, headers=headers)
    _, subject, _, data = batch[-1]
    headers = {"Nats-Batch-Id": name, "Nats-Batch-Sequence": str(len(batch)), "Nats-Batch-Commit": "1"}
    reply = await connection.client.request(subject, data, timeout=30.0, headers=headers)
    answer = msgspec.json.decode(reply.data)
    if answer.get("seq") != last + len(batch) or batch[-1][0] != answer["seq"]:
        raise LogRefused(f"expected position {batch[-1][0]} for the last event of a batch, got {answer}")
    return int(answer["seq"])


@contextlib.contextmanager
def _server(store: Path) -> Iterator[Credentials]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    password = secrets.token_urlsafe(24)
    config = store / "repair.conf"
    write_secret(config, _CONFIG.format(port=port, store=store, password=password).encode())
    with (store / "repair.log").open("wb") as log:
        process = subprocess.Popen([server_program(), "-c", str(config)], stdout=log, stderr=log)
    try:
        yield Credentials(
            url=f"nats://127.0.0.1:{port}", user="repair", password=password, source="node.repair"
        )
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        config.unlink()


async def _connected(credentials: Credentials) -> Connection:
    for _ in range(_TRIES):
        with contextlib.suppress(NatsError, OSError):
            connection = await connect(credentials, "elf-repair", attempts=0)
            if "error" not in await jetstream_api(connection, "INFO", None):
                return connection
            await connection.close()
        await asyncio.sleep(0.05)
    raise LogUnreachable("expected a server for the new stream, got none; try elf doctor")

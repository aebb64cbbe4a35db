"""A real nats-server with the product's own configuration, users and stream, without a node."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from actors.bus import Bus
from actors.connection import Credentials
from actors.nats_server import ServerFiles, ensure_stream, prepare, server_program
from actors.permissions import users_of
from bench.programs import started, wait_for


@contextmanager
def server(folder: Path, node: str = "bench", sync: str = "always") -> Iterator[ServerFiles]:
    """Run one in a folder."""
    files = prepare(folder, node, sync, users_of(node, {}))
    log = folder / "nats.log"
    with started([server_program(), "-c", files.config], log):
        wait_for(lambda: log.exists() and "Server is ready" in log.read_text(), 20.0, "nats-server", 0.01)
        yield files


@contextmanager
def bus_of(credentials: Credentials) -> Iterator[Bus]:
    """Run the node's bus on a server and make its stream."""
    bus = Bus(credentials, "bench")
    bus.start()
    bus.wait(lambda: ensure_stream(bus.connection), 20.0)
    try:
        yield bus
    finally:
        bus.stop()

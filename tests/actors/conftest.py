"""A real server and real runners on it; what a test closes itself is closed once more without harm."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real_runner import RealRunner
from tests.real_server import Client, RealServer, real_server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RealServer]:
    """Return a server with two pools on one queue."""
    async with real_server(tmp_path, {"p1": "q1", "p2": "q1"}) as running:
        yield running


@pytest.fixture
async def client(server: RealServer) -> Client:
    return Client(await server.log("client"))


@pytest.fixture
def usual() -> dict[str, Any]:
    """Return what every runner of a module is told unless a test says otherwise."""
    return {}


@pytest.fixture
def start(server: RealServer, tmp_path: Path, usual: dict[str, Any]) -> Iterator[Callable[..., RealRunner]]:
    started: list[RealRunner] = []

    def begin(call: str = "", **more: Any) -> RealRunner:
        runner = RealRunner(server, tmp_path, call, **(usual | more)).start()
        started.append(runner)
        return runner

    yield begin
    for runner in started:
        runner.close()

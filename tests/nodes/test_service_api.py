"""The control plane as a NATS service: discovered, described and counted, by the operator alone."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.errors import NoRespondersError
from nats.micro.service import ServiceInfo, ServicePing, ServiceStats

from actors.connection import Connection, connect, read_credentials
from actors.version import version
from tests.real_node import RealNode, real_node

FOREST = '[[worker]]\nname = "a"\ncommand = ["sleep", "1000"]\nstop_wait_s = 2\n'


async def ask(connection: Connection, subject: str, seconds: float = 30.0) -> dict[str, Any]:
    """Ask as a tool for services does."""
    reply = await connection.client.request(subject, b"", timeout=seconds)
    body: dict[str, Any] = msgspec.json.decode(reply.data)
    return body


async def test_the_control_plane_is_a_service_for_the_operator(tmp_path: Path) -> None:
    async with real_node(tmp_path, FOREST) as node:
        operator = await node.connection()
        ping = await ask(operator, "$SRV.PING")
        known = ServicePing.from_dict(ping)
        assert ping["type"] == "io.nats.micro.v1.ping_response"
        assert (known.name, known.version, known.metadata) == (
            *("elf-forest", version()),
            {"node": node.name},
        )
        for more in (".elf-forest", f".elf-forest.{known.id}"):
            assert ServicePing.from_dict(await ask(operator, f"$SRV.PING{more}")).id == known.id
        for nobody in ("$SRV.PING.other", "$SRV.PING.elf-forest.other"):
            with pytest.raises((NoRespondersError, TimeoutError)):
                await ask(operator, nobody, 0.5)
        info = ServiceInfo.from_dict(await ask(operator, "$SRV.INFO"))
        subjects = {one.name: one.subject for one in info.endpoints}
        assert subjects["status"] == "ctl.status"
        assert subjects["sql"] == "ctl.sql"
        assert subjects["agent-questions"] == "ctl.agent.*"
        before = await figures(operator)
        await node.ask("status")
        refused = await operator.client.request(
            "ctl.signal", b'{"unit":"nobody","signal":"USR1"}', timeout=30
        )
        assert refused.headers
        assert refused.headers["Nats-Service-Error-Code"] == "1"
        assert refused.headers["Nats-Service-Error"] == msgspec.json.decode(refused.data)["error"]
        after = await figures(operator)
        assert after["status"][0] == before["status"][0] + 1
        assert after["signal"] == (before["signal"][0] + 1, before["signal"][1] + 1)
        await _nobody_else(node)


async def figures(connection: Connection) -> dict[str, tuple[int, int]]:
    """Return requests and errors by endpoint."""
    stats = ServiceStats.from_dict(await ask(connection, "$SRV.STATS.elf-forest"))
    assert all(one.average_processing_time <= one.processing_time for one in stats.endpoints)
    return {one.name: (one.num_requests, one.num_errors) for one in stats.endpoints}


async def _nobody_else(node: RealNode) -> None:
    """Neither may others ask, nor does the operator choose a subject of the log for the answer."""
    client = await connect(read_credentials(node.data / "secrets" / "client.json"), "test-client")
    try:
        with pytest.raises((NoRespondersError, TimeoutError)):
            await ask(client, "$SRV.PING", 1.0)
        assert any("$srv.ping" in words for words in client.refusals)
    finally:
        await client.close()
    operator = (await node.connection()).client
    before = len(await node.read())
    await operator.publish("$SRV.PING", b"", reply=f"log.node.{node.name}.node_stopped.{node.name}")
    # Answers come in order: with this one there, the one before would have been stored.
    await ask(await node.connection(), "$SRV.PING")
    await asyncio.sleep(0)
    found = [event for event in (await node.read())[before:] if event.type == "malformed"]
    assert found == []

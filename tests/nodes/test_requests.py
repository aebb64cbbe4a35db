"""What one can ask of a running node, and what it refuses."""

from pathlib import Path
from typing import Any

from actors.connection import connect, read_credentials
from actors.jetstream import Reader
from events.envelope import Recorded
from events.subjects import LOG
from tests.real_node import RealNode, real_node

SLEEPER = '[[worker]]\nname = "a"\ncommand = ["sleep", "1000"]\nstop_wait_s = 2\n'


async def refused(node: RealNode, verb: str, **body: Any) -> tuple[int, str]:
    """Ask for something that must be refused; returns exit code and reason."""
    answer = await node.ask(verb, **body)
    assert answer["ok"] is False
    assert "\n" not in answer["error"]
    return answer["code"], answer["error"]


async def test_requests_are_answered_or_refused_with_a_reason(tmp_path: Path) -> None:
    async with real_node(tmp_path, SLEEPER) as node:
        await node.runs("a")
        await reads_the_log(node)
        await reads_the_warehouse(node)
        code, why = await refused(node, "fly")
        assert (code, why.split(", got ")[1]) == (2, "'fly'")
        code, why = await refused(node, "signal", unit="nobody", signal="USR1")
        assert (code, why) == (1, "expected a unit, got 'nobody'; try elf status")
        code, why = await refused(node, "signal", unit="a", signal="NONE")
        assert (code, why) == (2, "expected the name of a signal, got 'NONE'; try USR1")
        client = (await node.connection()).client
        reply = await client.request("ctl.status", b"no json", timeout=5)
        assert b"expected a JSON object" in reply.data
        check = await node.ask("check")
        assert set(check["actors"].values()) == {True}
        assert check["position"] > 0


async def reads_the_log(node: RealNode) -> None:
    """The node makes a reader, the operator pulls from it."""
    answer = await node.ask("reader", after=1)
    assert answer["ok"]
    reader = Reader(await node.connection(), LOG, 1, consumer=answer["consumer"])
    events: list[Recorded] = []
    async for chunk in reader.read():
        events += chunk
        if events[-1].position >= answer["end"]:
            break
    await reader.close()
    assert [event.position for event in events] == list(range(2, events[-1].position + 1))


async def reads_the_warehouse(node: RealNode) -> None:
    """Statements that read are answered as of everything taken, others are refused."""
    answer = await node.ask("sql", sql="SELECT count(*) FROM events WHERE type = $1", params=["lease_taken"])
    assert answer["rows"] == [[1]]
    code, why = await refused(node, "sql", sql="DROP TABLE events")
    assert code == 2
    assert "SELECT" in why
    await refused(node, "sql", sql=7)


async def test_a_client_may_look_and_not_touch(tmp_path: Path) -> None:
    async with real_node(tmp_path, SLEEPER) as node:
        await node.runs("a")
        connection = await connect(read_credentials(node.data / "secrets" / "client.json"), "test-client")
        try:
            reply = await connection.client.request("ctl.status", b"{}", timeout=5)
            assert b'"ok":true' in reply.data
            await connection.client.publish("ctl.signal", b'{"unit":"a","signal":"KILL"}')
            await connection.client.publish("log.operator.cli.intent_set.a", b"{}")
            await connection.client.flush()
            await node.wait(lambda _: len(connection.refusals) == 2, what="two refusals")
        finally:
            await connection.close()
        assert (await node.worker("a"))["state"] == "running"

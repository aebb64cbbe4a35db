"""The node's ear: how much one agent may ask at a time."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import msgspec
from nats.aio.msg import Msg

from actors.bus import Bus
from actors.control import Control


class Said:
    """A client that keeps what is published."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, dict[str, Any]]] = []
        self.hear: Any = None

    async def publish(self, subject: str, data: bytes) -> None:
        """Keep an answer."""
        self.answers.append((subject, msgspec.json.decode(data)))

    async def subscribe(self, subject: str, cb: Any) -> None:
        """Keep who hears."""
        assert subject == "ctl.>"
        self.hear = cb


async def _ask(client: Said, agent: str, times: int) -> None:
    for number in range(times):
        message = SimpleNamespace(subject=f"ctl.agent.{agent}", reply=f"_R_.{agent}.{number}", data=b"{}")
        await client.hear(cast(Msg, message))
    await asyncio.sleep(0)


async def _flood() -> Said:
    client, gate = Said(), asyncio.Event()

    async def answer(agent: str, _: bytes) -> object:
        await gate.wait()
        return {"ok": True, "agent": agent}

    control = Control(cast(Bus, SimpleNamespace(connection=SimpleNamespace(client=client))))
    control.agents(answer)
    await control.start()
    await _ask(client, "loud", 1000)
    await _ask(client, "calm", 1)
    refused = [said for _, said in client.answers]
    assert len(refused) == 800
    assert all(said["code"] == 4 and "at most 200 questions of loud" in said["error"] for said in refused)
    gate.set()
    while len(client.answers) < 1001:
        await asyncio.sleep(0)
    await _ask(client, "loud", 1)
    while len(client.answers) < 1002:
        await asyncio.sleep(0)
    return client


def test_an_agent_that_floods_the_node_with_questions_waits_and_others_do_not() -> None:
    client = asyncio.run(asyncio.wait_for(_flood(), 20))
    answered = [said["agent"] for _, said in client.answers if said["ok"]]
    assert (answered.count("loud"), answered.count("calm")) == (201, 1)
    assert client.answers[-1][1] == {"ok": True, "agent": "loud"}

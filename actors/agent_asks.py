"""An agent's questions to the node: it may not read the log, so the node says what concerns it."""

import asyncio
from typing import TypeVar

import msgspec
from nats.errors import Error as NatsError

from actors.agent_words import Question, Reply, Text, Verdict, Welcome
from actors.connection import Connection
from actors.place import ClientError
from actors.runner_post import tell

T = TypeVar("T")

_PATIENCE_S = 3.0
_ANSWER_S = 10.0


class NodeSaysNo(ClientError):
    """The node's answer is a refusal."""


class Asks:
    """Asks the node until it answers. One asyncio loop."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._subject = f"ctl.agent.{name}"
        self._told = False

    async def hello(self, question: Question) -> Welcome:
        """Say that this program is there. Raises NodeSaysNo."""
        return await self._until(question, Welcome)

    async def fetch(self, question: Question) -> Text | None:
        """Return the text of an assignment, None when it is not ours any more."""
        try:
            return await self._until(question, Text)
        except NodeSaysNo as problem:
            tell(str(problem), "agent")
            return None

    async def settle(self, question: Question) -> Verdict:
        """Ask whether a claim still counts. Raises NodeSaysNo."""
        return await self._until(question, Verdict)

    async def _until(self, question: Question, kind: type[T]) -> T:
        loop = asyncio.get_running_loop()
        began, pause = loop.time(), 0.05
        while True:
            try:
                data = msgspec.json.encode(question)
                reply = await self._connection.client.request(self._subject, data, timeout=_ANSWER_S)
                said = msgspec.json.decode(reply.data, type=Reply)
                if said.ok:
                    self._told = False
                    return msgspec.json.decode(reply.data, type=kind)
                if said.code != 4:
                    raise NodeSaysNo(said.error, said.code)
            except (TimeoutError, NatsError, OSError, msgspec.DecodeError):
                pass
            if loop.time() - began > _PATIENCE_S and not self._told:
                self._told = True
                tell("the node does not answer; this agent goes on asking", "agent")
            await asyncio.sleep(pause)
            pause = min(1.0, pause * 1.5)

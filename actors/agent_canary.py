"""The canary: a task of known answer, done beside the log when the node asks for it."""

import asyncio
from typing import Any

import msgspec
from msgspec import Raw

from actors.agent_child import AgentChild
from actors.agent_outcome import outcome_of, stdin_of
from actors.agent_spec import AgentSpec
from actors.agent_words import Canaried, Order, Text


class Canaries:
    """Has the agent's own command do them, one at a time."""

    def __init__(self, spec: AgentSpec) -> None:
        self._spec = spec
        self._one = asyncio.Lock()

    async def sing(self, order: Order) -> Canaried:
        """Return what the command makes of the payload."""
        async with self._one:
            return await self._sing(order)

    async def _sing(self, order: Order) -> Canaried:
        spec = self._spec
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[int] = loop.create_future()
        payload = Raw(msgspec.json.encode(order.payload))
        text = Text(
            task=f"canary-{order.number}",
            queue="",
            kind="canary",
            payload=payload,
            timeout_s=order.timeout_s,
        )
        begun = loop.time()
        try:
            child = AgentChild(
                spec.command,
                spec.cwd,
                f"{spec.marker}:canary:{order.number}:0",
                stdin_of(text, spec.stdin == "prompt"),
                spec.state / "results" / "canary",
                "",
                lambda code: None if ended.done() else ended.set_result(code),
            )
        except OSError as problem:
            return Canaried(error=f"expected to start {spec.command[0]}, got {problem}")
        try:
            code = await asyncio.wait_for(ended, order.timeout_s)
        except TimeoutError:
            child.kill()
            return Canaried(error=f"expected an answer within {order.timeout_s:g} s, got none")
        outcome = outcome_of(code, child, round((loop.time() - begun) * 1000))
        result: Any = outcome.result
        return Canaried(ok=not outcome.kind, result=result, error=outcome.error)

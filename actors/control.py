"""The node's ear: answers requests on `ctl.<verb>`, one JSON object for one JSON object."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from nats.aio.msg import Msg

from actors.bus import Bus
from actors.jetstream import consumer_config, jetstream_api
from actors.service_api import AGENTS, ServiceApi, error_headers
from events.subjects import EVERYTHING, LOG

_log = logging.getLogger("elf.control")

# Agents are not trusted: one that asks faster than it can be answered waits; an agent's program asks again on 4.
_QUESTIONS = 200

Answer = dict[str, Any]
Verb = Callable[[dict[str, Any]], Awaitable[Answer]]
AgentVerb = Callable[[str, bytes], Awaitable[object]]
"""Answers an agent by name, in the words of `actors.agent_words`."""


class Refused(Exception):
    """A request cannot be met; `code` is the exit code that the command line shall end with."""

    def __init__(self, text: str, code: int = 2) -> None:
        super().__init__(text)
        self.code = code


class Control:
    """Lives on the bus. Verbs are coroutines; an exception in one is an answer like any other."""

    def __init__(self, bus: Bus, service: ServiceApi | None = None) -> None:
        self._bus = bus
        self._service = service
        self._verbs: dict[str, Verb] = {"reader": self._reader}
        self._of_agents: AgentVerb | None = None
        self._asking: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def verb(self, name: str, answer: Verb) -> None:
        """Add a verb; before `start`."""
        self._verbs[name] = answer

    def agents(self, answer: AgentVerb) -> None:
        """Answer `ctl.agent.<name>`; before `start`."""
        self._of_agents = answer

    async def start(self) -> None:
        """Begin to listen."""
        await self._bus.connection.client.subscribe("ctl.>", cb=self._heard)
        if self._service:
            await self._service.start(sorted(self._verbs))

    async def _heard(self, message: Msg) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, message: Msg) -> None:
        name = message.subject.partition(".")[2]
        verb, _, agent = name.partition(".")
        if verb == "agent" and agent:
            # Who asks chooses where the answer goes, and we may write where an agent may not. From the account of
            # agents the server puts an address of its own in its place.
            ways = ("_R_.", f"_INBOX.agent-{agent}.")
            if message.reply.startswith(ways) and self._of_agents:
                await self._answer_agent(message, agent, self._of_agents)
            return
        begun = time.perf_counter_ns()
        try:
            body = msgspec.json.decode(message.data or b"{}", type=dict[str, Any])
            known = self._verbs.get(name)
            if known is None:
                raise Refused(f"expected one of {', '.join(sorted(self._verbs))}, got {name!r}")
            answer = await known(body)
        except Refused as problem:
            answer = {"ok": False, "error": str(problem), "code": problem.code}
        except msgspec.DecodeError as problem:
            answer = {"ok": False, "error": f"expected a JSON object, got {problem}", "code": 2}
        except Exception as problem:
            _log.exception("%s failed", name)
            answer = {"ok": False, "error": f"{name} failed in the node: {problem}", "code": 1}
        self._count(name, begun, answer)
        if not message.reply:
            return
        data, publish = _within_limit(answer), self._bus.connection.client.publish
        if answer.get("ok"):
            await publish(message.reply, data)
        else:
            headers = error_headers(int(answer.get("code", 1)), str(answer.get("error", "")))
            await publish(message.reply, data, headers=headers)

    def _count(self, name: str, begun: int, answer: object) -> None:
        if self._service:
            error = str(answer.get("error") or "") if isinstance(answer, dict) else ""
            self._service.counted(name, time.perf_counter_ns() - begun, error)

    async def _answer_agent(self, message: Msg, agent: str, verb: AgentVerb) -> None:
        answer: object
        begun = time.perf_counter_ns()
        asking = self._asking.get(agent, 0)
        self._asking[agent] = asking + 1
        try:
            if asking >= _QUESTIONS:
                raise Refused(f"expected at most {_QUESTIONS} questions of {agent} at a time, got more", 4)
            answer = await verb(agent, bytes(message.data))
        except Refused as problem:
            answer = {"ok": False, "error": str(problem), "code": problem.code}
        except Exception as problem:
            _log.exception("the question of agent %s failed", agent)
            answer = {"ok": False, "error": f"the question failed in the node: {problem}", "code": 4}
        finally:
            self._asking[agent] -= 1
            if not self._asking[agent]:
                del self._asking[agent]
        self._count(AGENTS, begun, answer)
        await self._bus.connection.client.publish(message.reply, msgspec.json.encode(answer))

    async def _reader(self, body: dict[str, Any]) -> Answer:
        """Create a consumer on the log that the asker may pull from: only the node creates consumers."""
        after = int(body.get("after", 0))
        name = f"r_{os.urandom(8).hex()}"
        config = consumer_config(name, after + 1, str(body.get("filter") or EVERYTHING))
        made = await jetstream_api(
            self._bus.connection, f"CONSUMER.CREATE.{LOG}.{name}", {"stream_name": LOG, "config": config}
        )
        if "error" in made:
            raise Refused(f"expected a reader on the log, got {made['error']['description']}")
        return {"ok": True, "consumer": name, "end": await self._bus.log.end()}


def _within_limit(answer: Answer) -> bytes:
    data = msgspec.json.encode(answer, enc_hook=str)
    if len(data) <= 900_000:
        return data
    return msgspec.json.encode(
        {
            "ok": False,
            "error": f"expected an answer of at most 900 kB, got {len(data) // 1000} kB; try LIMIT or fewer columns",
            "code": 2,
        }
    )


async def asked(
    loop: asyncio.AbstractEventLoop, ask: Callable[[Callable[[Answer], None]], bool], seconds: float
) -> Answer:
    """Ask an actor by message and wait for its reply on the loop. Raises Refused when it is silent."""
    future: asyncio.Future[Answer] = loop.create_future()

    def reply(answer: Answer) -> None:
        loop.call_soon_threadsafe(lambda: None if future.done() else future.set_result(answer))

    if not ask(reply):
        raise Refused("expected an answer from the node's actor, got none; it is being started again", 4)
    try:
        return await asyncio.wait_for(future, seconds)
    except TimeoutError:
        raise Refused(
            f"expected an answer within {seconds:g} s, got none; try a smaller question", 4
        ) from None

"""The line to agents: orders and requests over the server, and the command that restarts one."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
from msgspec import Struct
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError

from actors.agent_words import Order
from actors.bus import Bus

_TAIL = 2000


class Reached(Struct, frozen=True):
    """An answer, or why there is none."""

    data: bytes = b""
    error: str = ""
    took_ms: int = 0


class Ran(Struct, frozen=True):
    """A restart command ended; `error` says how if not well."""

    decision: str
    error: str = ""


class Line:
    """Any thread may speak; answers come on the bus."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def tell(self, agent: str, order: Order) -> None:
        """Say something that nobody answers."""
        data = msgspec.json.encode(order)
        self._bus.spawn(lambda: self._bus.connection.client.publish(f"agent.{agent}.cmd", data))

    def request(self, agent: str, order: Order, seconds: float, answered: Callable[[Reached], None]) -> None:
        """Ask and wait for one answer."""
        self._bus.spawn(lambda: self._request(agent, order, seconds, answered))

    async def _request(
        self, agent: str, order: Order, seconds: float, answered: Callable[[Reached], None]
    ) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        client = self._bus.connection.client
        try:
            reply = await client.request(f"agent.{agent}.cmd", msgspec.json.encode(order), timeout=seconds)
        except NoRespondersError:
            answered(Reached(error=f"expected an answer of agent {agent}, got: it is not connected"))
        except (TimeoutError, NatsError, OSError):
            answered(Reached(error=f"expected an answer of agent {agent} within {seconds:g} s, got none"))
        else:
            answered(Reached(bytes(reply.data), took_ms=round((loop.time() - began) * 1000)))

    def run(
        self,
        command: Sequence[str],
        agent: str,
        seconds: float,
        ended: Callable[[Ran], None],
        decision: str,
    ) -> None:
        """Run a command in a session of its own; what it leaves running on purpose lives on."""
        self._bus.spawn(lambda: self._run(command, agent, seconds, ended, decision))

    async def _run(
        self,
        command: Sequence[str],
        agent: str,
        seconds: float,
        ended: Callable[[Ran], None],
        decision: str,
    ) -> None:
        # A file instead of a pipe: a program that goes on in the background must not be waited for.
        with tempfile.TemporaryFile() as words:
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=words,
                    stderr=words,
                    start_new_session=True,
                    env=os.environ | {"ELF_AGENT": agent},
                )
            except OSError as problem:
                ended(Ran(decision, f"expected to start {command[0]}, got: {problem}"))
                return
            try:
                code = await asyncio.wait_for(process.wait(), seconds)
            except (TimeoutError, asyncio.CancelledError):
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
                ended(Ran(decision, f"expected {command[0]} to end within {seconds:g} s, got no end"))
                return
            words.seek(max(0, words.tell() - _TAIL))
            said = words.read().decode("utf-8", "replace").strip()
        ended(Ran(decision, f"{command[0]} ended with code {code}: {said}" if code else ""))

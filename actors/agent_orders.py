"""What the node tells an agent's program: pings and canaries to answer, tasks to let go, what people want."""

from collections.abc import Awaitable, Callable

import msgspec
from nats.aio.msg import Msg

from actors.agent_beats import AgentBeats
from actors.agent_canary import Canaries
from actors.agent_words import Order
from actors.connection import Connection
from actors.runner_post import tell


class Orders:
    """Hears `agent.<name>.>`. `cancel(queue, task, why)`, `wanted(intent)` and `leave(why)` are the program's."""

    def __init__(
        self,
        name: str,
        run: str,
        connection: Connection,
        beats: AgentBeats,
        canaries: Canaries,
        cancel: Callable[[str, str, str], None],
        wanted: Callable[[str], Awaitable[None]],
        leave: Callable[[str], None],
        spawn: Callable[[Awaitable[None]], None],
    ) -> None:
        self._name = name
        self._run = run
        self._connection = connection
        self._beats = beats
        self._canaries = canaries
        self._cancel = cancel
        self._wanted = wanted
        self._leave = leave
        self._spawn = spawn

    async def listen(self) -> None:
        """Begin to hear."""
        await self._connection.client.subscribe(f"agent.{self._name}.>", cb=self._heard)

    async def _heard(self, message: Msg) -> None:
        try:
            order = msgspec.json.decode(message.data, type=Order)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            tell(f"expected an order of the node, got: {problem}", "agent")
            return
        match order.do:
            case "ping":
                await self._reply(message, self._beats.pong(order.number))
            case "here":
                await self._reply(message, {"ok": True})
            case "canary":
                self._spawn(self._sing(message, order))
            case "cancel":
                self._cancel(order.queue, order.task, order.why)
            case "lost" | "gained":
                way = "goes to" if order.do == "lost" else "comes from"
                tell(f"task {order.task} {way} {order.other}: {order.why}", "agent")
            case "drain" | "run" | "retire":
                await self._wanted(order.do)
            case "superseded":
                if order.run != self._run:
                    self._leave(f"another program of {self._name} has joined")

    async def _sing(self, message: Msg, order: Order) -> None:
        await self._reply(message, await self._canaries.sing(order))

    async def _reply(self, message: Msg, answer: object) -> None:
        if message.reply:
            await self._connection.client.publish(message.reply, msgspec.json.encode(answer))

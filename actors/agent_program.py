"""The program `elf agent run`: joins the forest, takes what it is assigned, has a command do it, says how it ended."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Coroutine
from typing import Any

import msgspec
from nats.aio.msg import Msg

from actors.agent_asks import Asks, NodeSaysNo
from actors.agent_canary import Canaries
from actors.agent_memory import Memory
from actors.agent_progress import look_at
from actors.agent_spec import AgentSpec, take_state
from actors.agent_task import Tasks, Work, progress_of, work_of
from actors.agent_voice import Voice
from actors.agent_words import AgentBeat, Order, Ponged, ProgramState, Question, Welcome
from actors.connection import Connection, connect
from actors.jetstream import JetStreamLog
from actors.place import ClientError, knock
from actors.process import sweep
from actors.pull import Puller
from actors.runner_post import ACK, WORKING, Post, tell
from actors.version import version
from events.agents import AgentJoined, AgentLeft
from events.codec import decode
from events.decisions import AssignTask, Decided
from events.log import LogError, LogRefused
from events.subjects import LOG

# A policy that pushes may hand out more than is done at once; what waits here is prolonged until its turn.
_QUEUE = 512
_PROLONG_S = 4.0
_SOON_S = 0.2
_REFUSALS = 3
_SHOWN = 20


class AgentProgram:
    """One run of one agent. Everything happens on one asyncio loop."""

    def __init__(self, spec: AgentSpec) -> None:
        self.spec = spec
        self._loop = asyncio.get_running_loop()
        self._works: dict[str, Work] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._state: ProgramState = "working"
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._why = ""
        self._code = 0
        self._welcome = Welcome(beat_s=5.0)
        self._puller: Puller | None = None
        self._number = 0
        self._soon: asyncio.TimerHandle | None = None
        self._connection: Connection

    # --- life ----------------------------------------------------------------------------------------------

    async def run(self) -> int:
        """Work until told to stop; returns the exit code. Raises ClientError when it cannot begin."""
        lock = take_state(self.spec.state)
        try:
            await knock(self.spec.credentials)
            for number in (signal.SIGTERM, signal.SIGINT):
                self._loop.add_signal_handler(number, self._told_to_stop, signal.Signals(number).name)
            self._connection = await connect(self.spec.credentials, f"agent-{self.spec.name}")
            try:
                return await self._live()
            finally:
                await self._connection.close()
        except OSError as problem:
            raise ClientError(
                f"expected a server at {self.spec.credentials.url}, got: {problem}; is the node running?", 4
            ) from problem
        finally:
            sweep(self.spec.marker, signal.SIGKILL)
            os.close(lock)

    async def _live(self) -> int:
        log = JetStreamLog(self._connection)
        self.asks = Asks(self._connection, self.spec.name)
        self.voice = Voice(log, self.spec.credentials.source, self.asks)
        self.memory = Memory(self.spec.state)
        self.post = Post(self._connection)
        self.tasks = Tasks(self.spec, self.voice, self.asks, self.memory, os.getpid(), self._acknowledge)
        self.canaries = Canaries(self.spec)
        self.post.start()
        beating = self._loop.create_task(self._keep_beating())
        living = self._loop.create_task(self._begin())
        stopped = self._loop.create_task(self._stop.wait())
        try:
            await asyncio.wait([living, stopped], return_when=asyncio.FIRST_COMPLETED)
            if living.done() and (problem := living.exception()):
                raise problem
            await stopped
            await self._end()
        finally:
            for task in (beating, living, stopped):
                task.cancel()
            await asyncio.gather(beating, living, stopped, return_exceptions=True)
        return self._code

    async def _begin(self) -> None:
        """Settle what a run before this one left, say hello, begin to take."""
        sweep(self.spec.marker, signal.SIGKILL)
        await self._connection.client.subscribe(f"agent.{self.spec.name}.>", cb=self._ordered)
        self._welcome = await self.asks.hello(Question(do="hello", run=self.voice.run))
        for kept in list(self.memory.read()):
            tell(f"task {kept.task} of an earlier run: {await self.tasks.left(kept)}", "agent")
        joined = AgentJoined(
            agent=self.spec.name,
            run=self.voice.run,
            pid=os.getpid(),
            host=socket.gethostname(),
            release=version(),
            wip=self.spec.wip,
        )
        await self.voice.say(self.voice.envelope(joined))
        tell(f"agent {self.spec.name} is there: {self.spec.wip} task(s) at once", "agent")
        self._beat()
        if self._welcome.intent != "run":
            await self._wanted(self._welcome.intent)
        if self._state == "working":
            await self._pull()

    async def _pull(self) -> None:
        if self._puller is None:
            consumer = f"a_{self.spec.name}"
            self._puller = Puller(
                self._connection, consumer, self._given, self._credit, self._no_consumer, LOG
            )
            await self._puller.start()

    def _credit(self) -> int:
        return max(0, _QUEUE - len(self._works)) if self._state == "working" else 0

    def _no_consumer(self, _: str) -> None:
        self._loop.call_later(0.5, lambda: self._puller.order() if self._puller else None)

    def _told_to_stop(self, why: str) -> None:
        """First call: finish what runs. Second call: give it up."""
        if self._stop.is_set():
            self._hurry.set()
        self._leave(why)

    def _leave(self, why: str, code: int = 0) -> None:
        if not self._stop.is_set():
            self._why, self._code = why, code
            self._state = "leaving"
            self._stop.set()

    async def _end(self) -> None:
        """Take no more, finish what runs, leave nothing unsaid."""
        if self._puller:
            await self._puller.stop()
        self._changed()
        for work in list(self._works.values()):
            if work.state == "waiting":
                self._works.pop(work.key)
        busy = self._loop.create_task(self._idle())
        hurry = self._loop.create_task(self._hurry.wait())
        if self._code:
            self._hurry.set()
        await asyncio.wait([busy, hurry], return_when=asyncio.FIRST_COMPLETED)
        if not busy.done():
            for work in list(self._works.values()):
                self.tasks.stop(work, "exit", f"the agent's program ended: {self._why}")
            await asyncio.wait([busy], timeout=3.0)
        for task in (busy, hurry):
            task.cancel()
        if not self._code and self._connection.client.is_connected:
            left = AgentLeft(agent=self.spec.name, run=self.voice.run, reason=self._why)
            with contextlib.suppress(LogError, TimeoutError):
                await asyncio.wait_for(self.voice.say(self.voice.envelope(left)), 5.0)
        await self.post.stop()

    async def _idle(self) -> None:
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    # --- tasks -----------------------------------------------------------------------------------------------

    def _given(self, message: Msg) -> None:
        """Take one assignment; what is no assignment of ours is left out for ever."""
        at = int(message.reply.split(".")[5])
        event = decode(at, message.subject, bytes(message.data))
        body = event.body
        if not (isinstance(body, Decided) and isinstance(body.action, AssignTask)):
            tell(f"expected an assignment on {message.subject}, got {event.type}; it is left out", "agent")
            self.post.say(message.reply, ACK)
            return
        given = body.action
        if given.agent != self.spec.name or body.mode != "act":
            self.post.say(message.reply, ACK)
            return
        work = work_of(given, at, message.reply)
        known = self._works.get(work.key)
        if known is not None and known.state == "waiting":
            self.post.say(known.reply, ACK)
        elif known is not None and known.kept.lease == given.lease:
            known.reply = message.reply
            return
        elif known is not None:
            # It comes back while we are still at an older lease of it: its turn is when that has ended.
            self._works[f"{work.key}/{given.lease}"] = work
            self._pump()
            return
        self._works[work.key] = work
        self._pump()

    def _acknowledge(self, work: Work) -> None:
        if work.reply:
            self.post.say(work.reply, ACK)
            work.reply = ""

    def _pump(self) -> None:
        """Begin what waits, as many at once as this agent may."""
        if self._state == "leaving":
            return
        busy = {work.key for work in self._works.values() if work.state in ("claiming", "running")}
        for work in list(self._works.values()):
            if len(busy) >= self.spec.wip:
                break
            if work.state == "waiting" and work.key not in busy:
                busy.add(work.key)
                work.state = "claiming"
                self._spawn(self._do(work))
        self._changed()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, work: Work) -> None:
        try:
            outcome = await self.tasks.do(work)
            if outcome is not None:
                work.state = "ending"
                self._pump()
                await self.tasks.end(work, outcome)
            elif work.kept.claim:
                self.memory.forget(work.kept)
        except LogRefused as problem:
            tell(f"task {work.given.task} is refused by the log: {problem}", "agent")
        finally:
            self._works = {key: one for key, one in self._works.items() if one is not work}
            self._pump()
            if self._puller:
                self._puller.order()

    # --- what the node says ------------------------------------------------------------------------------------

    async def _ordered(self, message: Msg) -> None:
        try:
            order = msgspec.json.decode(message.data, type=Order)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            tell(f"expected an order of the node, got: {problem}", "agent")
            return
        if order.run and order.run != self.voice.run and order.do != "superseded":
            return
        match order.do:
            case "ping":
                await self._reply(message, self._pong(order.number))
            case "canary":
                self._spawn(self._canary(message, order))
            case "cancel":
                for work in list(self._works.values()):
                    if work.given.task == order.task and work.given.queue == order.queue:
                        tell(f"task {order.task} is not wanted any more: {order.why}", "agent")
                        self.tasks.stop(work, "", order.why)
            case "lost" | "gained":
                way = "goes to" if order.do == "lost" else "comes from"
                tell(f"task {order.task} {way} {order.other or 'nobody'}: {order.why}", "agent")
            case "drain" | "run" | "retire":
                await self._wanted(order.do)
            case "superseded":
                if order.run != self.voice.run:
                    self._leave(f"another program of {self.spec.name} has joined", 1)
            case "here":
                await self._reply(message, {"ok": True})

    async def _canary(self, message: Msg, order: Order) -> None:
        await self._reply(message, await self.canaries.sing(order))

    async def _reply(self, message: Msg, answer: object) -> None:
        if message.reply:
            await self._connection.client.publish(message.reply, msgspec.json.encode(answer))

    async def _wanted(self, intent: str) -> None:
        """Do what a person wants: drain takes no more, run goes on, retire ends when all is finished."""
        if intent == "retire":
            self._leave("retired")
        elif intent == "drain" and self._state == "working":
            self._state = "draining"
            if self._puller:
                await self._puller.stop()
                self._puller = None
        elif intent == "run" and self._state == "draining":
            self._state = "working"
            await self._pull()
        self._changed()

    # --- beats ---------------------------------------------------------------------------------------------------

    def _pong(self, number: int) -> Ponged:
        beat = self._make_beat()
        return Ponged(
            agent=beat.agent,
            run=beat.run,
            answers=number,
            state=beat.state,
            holds=beat.holds,
            tasks=beat.tasks,
        )

    def _make_beat(self) -> AgentBeat:
        now = self._loop.time()
        running = [work for work in self._works.values() if work.track is not None]
        return AgentBeat(
            agent=self.spec.name,
            run=self.voice.run,
            number=self._number,
            state=self._state,
            wip=self.spec.wip,
            holds=len(self._works),
            tasks=tuple(progress_of(work, now) for work in running[:_SHOWN]),
        )

    def _changed(self) -> None:
        if self._soon is None:
            self._soon = self._loop.call_later(_SOON_S, self._beat)

    def _beat(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        self._number += 1
        # Beats are worth nothing later, so none is kept for a server that is away.
        if self._connection.client.is_connected:
            self.post.say(f"beat.agent.{self.spec.name}", msgspec.json.encode(self._make_beat()))

    async def _keep_beating(self) -> None:
        """Beat, look at progress, prolong what waits, notice that the server refuses us."""
        prolonged = self._loop.time()
        while True:
            await asyncio.sleep(min(self._welcome.beat_s, _PROLONG_S))
            now = self._loop.time()
            look_at(
                {
                    work.key: work.track
                    for work in self._works.values()
                    if work.track and work.track.child.lives
                },
                now,
            )
            self._beat()
            if now - prolonged >= _PROLONG_S / 2:
                prolonged = now
                for work in self._works.values():
                    if work.reply:
                        self.post.say(work.reply, WORKING)
            self._watch_refusals()

    def _watch_refusals(self) -> None:
        """A server that knows us no more is not worth asking for ever."""
        refused = [text for text in self._connection.refusals if "uthoriz" in text]
        if len(refused) >= _REFUSALS and not self._connection.client.is_connected:
            tell(
                f"the server refuses agent {self.spec.name}: its credentials were withdrawn;"
                f" try elf agent add {self.spec.name}",
                "agent",
            )
            self._leave("refused", 1)


async def run_agent(spec: AgentSpec) -> int:
    """Be this agent until told to stop. Raises ClientError."""
    try:
        return await AgentProgram(spec).run()
    except NodeSaysNo as problem:
        raise ClientError(str(problem), problem.code) from None

"""The program `elf agent run`: joins the forest, takes what it is assigned, has a command do it, says how it ended."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Iterable

from nats.aio.msg import Msg

from actors.agent_asks import Asks, NodeSaysNo
from actors.agent_beats import AgentBeats
from actors.agent_canary import Canaries
from actors.agent_ends import Ends
from actors.agent_memory import Memory
from actors.agent_orders import Orders
from actors.agent_spec import AgentSpec, take_state
from actors.agent_task import Tasks
from actors.agent_voice import Voice
from actors.agent_words import ProgramState, Question
from actors.agent_work import Work, work_of
from actors.connection import Connection, connect
from actors.jetstream import JetStreamLog
from actors.place import ClientError, NodeUnreachable, knock
from actors.process import sweep
from actors.pull import Puller
from actors.runner_post import ACK, Post, tell
from actors.version import version
from events.agents import AgentJoined, AgentLeft
from events.codec import decode
from events.decisions import AssignTask, Decided
from events.log import LogError, LogRefused
from events.subjects import LOG

# A policy that pushes may hand out more than is done at once.
_QUEUE = 512


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
        self._puller: Puller | None = None
        self._connection: Connection

    # --- life ----------------------------------------------------------------------------------------------

    async def run(self) -> int:
        """Work until told to stop; returns the exit code. Raises ClientError when it cannot begin."""
        lock = take_state(self.spec.state)
        try:
            await self._knock()
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

    async def _knock(self) -> None:
        try:
            await knock(self.spec.credentials)
        except NodeUnreachable:
            name, url = self.spec.name, self.spec.credentials.url
            raise ClientError(
                f"expected {url} to know agent {name}, got a refusal; was it revoked? try elf agent add {name}",
                1,
            ) from None

    async def _live(self) -> int:
        log = JetStreamLog(self._connection)
        self.asks = Asks(self._connection, self.spec.name)
        self.voice = Voice(log, self.spec.credentials.source, self.asks)
        self.memory = Memory(self.spec.state)
        self.post = Post(self._connection)
        self.tasks = Tasks(self.spec, self.voice, self.asks, self.memory, os.getpid(), self._acknowledge)
        self.post.start()
        self.ends = Ends(self.spec, self.voice, self.memory, self._acknowledge)
        run = self.voice.run
        self.beats = AgentBeats(
            self.spec, run, self._connection, self.post, self._look, lambda: self._leave("refused", 1)
        )
        self.orders = Orders(
            self.spec.name,
            run,
            self._connection,
            self.beats,
            Canaries(self.spec),
            self._cancel,
            self._wanted,
            lambda why: self._leave(why, 1),
            self._spawn,
        )
        beating = self._loop.create_task(self.beats.keep_on())
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
        await self.orders.listen()
        welcome = await self.asks.hello(Question(do="hello", run=self.voice.run))
        self.beats.every_s = welcome.beat_s
        for kept in list(self.memory.read()):
            tell(f"task {kept.task} of an earlier run: {await self.ends.left(kept)}", "agent")
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
        self.beats.beat()
        if welcome.intent != "run":
            await self._wanted(welcome.intent)
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
        self.beats.changed()
        self._give_back()
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
        self.beats.changed()

    def _look(self) -> tuple[ProgramState, Iterable[Work]]:
        return self._state, self._works.values()

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, work: Work) -> None:
        try:
            outcome = await self.tasks.do(work)
            if outcome is not None:
                work.state = "ending"
                self._pump()
                await self.ends.end(work, outcome)
            elif work.kept.claim:
                self.memory.forget(work.kept)
        except LogRefused as problem:
            tell(f"task {work.given.task} is refused by the log: {problem}", "agent")
        finally:
            self._works = {key: one for key, one in self._works.items() if one is not work}
            self._pump()
            if self._puller:
                self._puller.order()

    # --- what people and the node want ---------------------------------------------------------------------------

    def _cancel(self, queue: str, task: str, why: str) -> None:
        for work in list(self._works.values()):
            if (work.given.queue, work.given.task) == (queue, task):
                tell(f"task {task} is not wanted any more: {why}", "agent")
                self.tasks.stop(work, "", why)

    async def _wanted(self, intent: str) -> None:
        """Do what a person wants: drain takes no more, run goes on, retire ends when all is finished."""
        if intent == "retire":
            self._leave("retired")
        elif intent == "drain" and self._state == "working":
            self._state = "draining"
            if self._puller:
                await self._puller.stop()
                self._puller = None
            self._give_back()
        elif intent == "run" and self._state == "draining":
            self._state = "working"
            await self._pull()
        self.beats.changed()

    def _give_back(self) -> None:
        """What waits for its turn here goes to somebody else."""
        for key, work in list(self._works.items()):
            if work.state == "waiting":
                del self._works[key]
                self._spawn(self.ends.give_back(work))


async def run_agent(spec: AgentSpec) -> int:
    """Be this agent until told to stop. Raises ClientError."""
    # What the server refuses is told in our own words.
    logging.getLogger("elf.nats").setLevel(logging.ERROR)
    logging.getLogger("nats").setLevel(logging.CRITICAL)
    try:
        return await AgentProgram(spec).run()
    except NodeSaysNo as problem:
        raise ClientError(str(problem), problem.code) from None

"""An agent's beat: what it holds and how far that is, every few seconds and soon after a change."""

import asyncio
from collections.abc import Callable, Iterable

import msgspec

from actors.agent_progress import look_at
from actors.agent_spec import AgentSpec
from actors.agent_words import AgentBeat, Ponged, ProgramState
from actors.agent_work import Work, progress_of
from actors.connection import Connection
from actors.runner_post import WORKING, Post, tell

_PROLONG_S = 2.0
_SOON_S = 0.2
_REFUSALS = 3
_SHOWN = 20


class AgentBeats:
    """Speaks for one run of a program. `look` returns its state and what it holds. One asyncio loop."""

    def __init__(
        self,
        spec: AgentSpec,
        run: str,
        connection: Connection,
        post: Post,
        look: Callable[[], tuple[ProgramState, Iterable[Work]]],
        refused: Callable[[], None],
    ) -> None:
        self._spec = spec
        self._run = run
        self._connection = connection
        self._post = post
        self._look = look
        self._refused = refused
        self._loop = asyncio.get_running_loop()
        self._number = 0
        self._soon: asyncio.TimerHandle | None = None
        self.every_s = 5.0

    async def keep_on(self) -> None:
        """Beat, look at progress, prolong what waits for its turn, notice that the server refuses us."""
        looked = prolonged = self._loop.time()
        while True:
            await asyncio.sleep(
                max(0.01, min(looked + self.every_s, prolonged + _PROLONG_S) - self._loop.time())
            )
            now = self._loop.time()
            works = list(self._look()[1])
            if now >= looked + self.every_s:
                looked = now
                look_at(
                    {work.key: work.track for work in works if work.track and work.track.child.lives}, now
                )
                self.beat()
            if now >= prolonged + _PROLONG_S:
                prolonged = now
                for work in works:
                    if work.reply:
                        self._post.say(work.reply, WORKING)
            self._watch_refusals()

    def changed(self) -> None:
        """Beat soon."""
        if self._soon is None:
            self._soon = self._loop.call_later(_SOON_S, self.beat)

    def beat(self) -> None:
        """Beat now."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        self._number += 1
        # Beats are worth nothing later, so none is kept for a server that is away.
        if self._connection.client.is_connected:
            self._post.say(f"beat.agent.{self._spec.name}", msgspec.json.encode(self._make()))

    def pong(self, number: int) -> Ponged:
        """Return the answer to a ping: what a beat would say now."""
        beat = self._make()
        return Ponged(
            agent=beat.agent,
            run=beat.run,
            answers=number,
            state=beat.state,
            holds=beat.holds,
            tasks=beat.tasks,
        )

    def _make(self) -> AgentBeat:
        now = self._loop.time()
        state, works = self._look()
        held = list(works)
        running = [work for work in held if work.track is not None]
        return AgentBeat(
            agent=self._spec.name,
            run=self._run,
            number=self._number,
            state=state,
            wip=self._spec.wip,
            holds=len(held),
            tasks=tuple(progress_of(work, now) for work in running[:_SHOWN]),
        )

    def _watch_refusals(self) -> None:
        """A server that knows us no more is not worth asking for ever."""
        refused = [text for text in self._connection.refusals if "uthoriz" in text]
        if len(refused) >= _REFUSALS and not self._connection.client.is_connected:
            name = self._spec.name
            tell(
                f"the server refuses agent {name}: its credentials were withdrawn; try elf agent add {name}",
                "agent",
            )
            self._refused()

"""All that a node needs for its agents, wired: the eye on their beats, the line to them, their desk, their actor."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pykka

from actors.agent_desk import AgentDesk
from actors.agent_line import Line
from actors.agent_watch import AgentWatch
from actors.bus import Bus
from actors.clock import Clock
from actors.config import Agent, Forest
from actors.control import Control
from actors.feed import Feed
from actors.ground import Ground
from actors.journal import Journal
from actors.liaison import Lead, Liaison
from actors.permissions import AGENT_FILE, agent_file
from actors.runtime import Down, Watcher, tell
from actors.snapshots import Snapshots
from events.agents import AgentSample
from events.log import LogUnreachable
from projections.segments import Segments

_AGAIN_S = 1.0


class AgentService:
    """Made once for a node; `tell` reaches its actors by name."""

    def __init__(
        self,
        forest: Callable[[], Forest],
        ground: Ground,
        bus: Bus,
        clock: Clock,
        journal: Journal,
        feed: Feed,
        snapshots: Snapshots,
        segments: Segments | None,
        epoch: int,
        tell: Callable[[str, object], bool],
    ) -> None:
        self._forest = forest
        self._ground = ground
        self._bus = bus
        self._clock = clock
        self._journal = journal
        self._feed = feed
        self._snapshots = snapshots
        self._segments = segments
        self._epoch = epoch
        self._tell = tell
        self._watch = AgentWatch(bus, lambda: self._forest().limits.agent_suspect_s / 3, clock.monotonic)

    def start(self, watcher: Watcher, down: Down | None) -> pykka.ActorRef[Any]:
        """Start the actor that follows the log for them; after a failure it goes on where that one stood."""
        ref = Liaison.start(
            watcher,
            self._journal,
            self._clock,
            Line(self._bus),
            self._plan,
            lambda: self._forest().limits,
            self._watch.beat,
            self._watch.expect,
            self._serve,
            self._last,
            self._feed.subscribe,
            self._snapshots,
        )
        if down:
            tell(ref, Lead(self._epoch, down.position))
        return ref

    def samples(self) -> tuple[AgentSample, ...]:
        """Return how each agent looks now."""
        return self._watch.samples()

    def heard(self, subject: str, data: bytes) -> None:
        """Take a beat."""
        self._watch.heard(subject, data)

    def listen(self, control: Control) -> None:
        """Answer what agents ask and what the operator wants of them; on the bus."""
        desk = AgentDesk(
            self._bus,
            self._journal,
            self._tell,
            lambda: self._forest().limits,
            self._issue,
            self._segments,
        )
        control.agents(desk.answer)
        control.verb("agent", desk.manage)
        self._watch.start()

    def lead(self) -> None:
        """Let the actor act on what is decided from here on."""
        self._tell("agents", Lead(self._epoch))

    def _plan(self, name: str) -> Agent | None:
        return next((agent for agent in self._forest().agents if agent.name == name), None)

    def _serve(self, names: list[str]) -> None:
        self._ground.serve_agents(names)

    def _last(self, about: str, call: Callable[[int], None]) -> None:
        async def look() -> None:
            while True:
                try:
                    last = await self._bus.log.last(about)
                except LogUnreachable:
                    await asyncio.sleep(_AGAIN_S)
                    continue
                call(last.position if last else 0)
                return

        self._bus.spawn(look)

    def _issue(self, names: Sequence[str], name: str) -> dict[str, str]:
        """Let exactly these agents log in; return where one's credentials are, and what is in them."""
        self._ground.serve_agents(names)
        path = agent_file(self._ground.data / "secrets", name)
        if f"{AGENT_FILE}{name}" not in self._ground.server.credentials:
            return {}
        return {"path": str(path), "credentials": path.read_text()}

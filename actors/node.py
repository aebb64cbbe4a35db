"""The node: wires ground, bus, log and actors together, leads, and ends in order."""

import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pykka

from actors.bell import Bell
from actors.bus import Bus
from actors.clock import SystemClock
from actors.config import Forest
from actors.config_reader import read_forest
from actors.control import Control
from actors.crew import Crew
from actors.desk import Desk
from actors.elves.deliberation import digest_of
from actors.executor_orders import TakeOver
from actors.faces.web.server import WebServer
from actors.feed import Feed
from actors.ground import Ground
from actors.inspection import prove_state, prove_store, prove_stream
from actors.journal import Journal
from actors.lead import take_lead
from actors.log_lines import log_as
from actors.log_parts import Rotated
from actors.nats_server import ensure_stream, limit_stream
from actors.pulse import EVERY_S, Pulse
from actors.queue_keeper import ensure_queues
from actors.room import Room, spare_of
from actors.rotation import Rotation
from actors.runtime import Down
from actors.sampler import Heard, read_beat
from actors.service_api import ServiceApi
from actors.service_manager import ServiceManager
from actors.snapshots import Snapshots
from actors.standby import Standby
from actors.struct_types import settle_types
from actors.supervisor import Supervisor
from actors.upkeep import Upkeep
from actors.version import version
from actors.vitals import Vitals
from events.log import LogDamaged, Receipt
from events.observations import LogRotated, NodeStopped, NodeStopping
from events.settings import Settings, SettingsAdopted
from projections.segments import Segments

_log = logging.getLogger("elf.node")

# Proving and folding a long log may take this long before the node is there.
_START_S = 900.0


class Node:
    """One running node. `run` returns the exit code."""

    def __init__(self, config: Path, forest: Forest, data: Path, nats_url: str = "") -> None:
        self._config = config
        self._forest = forest
        self._data = data
        self._given_url = nats_url
        self._ground = Ground(forest, data, nats_url)
        self._name = forest.node.name
        self._bell = Bell()
        self._reload = False
        self._ending = ""
        self._fatal = ""
        self._started = time.time()
        self._manager = ServiceManager()
        self.epoch = 0

    # --- life ----------------------------------------------------------------------------------------------

    def run(self, ready: Callable[[str, str], None] = lambda *_: None) -> int:
        """Start, lead until SIGTERM or SIGINT, end in order. 0 in order, 1 after a failure."""
        settle_types()
        self._segments = Segments(self._data)
        self._proven = 0
        self._manager.patience(_START_S)
        self._manager.status("starting: proving the log")
        self._ground.take(self._prove)
        self._bus = Bus(self._ground.server.credentials["node"], f"elf-node-{self._name}")
        try:
            self._begin()
        except BaseException as problem:
            # Threads that went on would keep a node alive that never leads.
            pykka.ActorRegistry.stop_all(timeout=20.0)
            self._bus.stop()
            if isinstance(problem, LogDamaged):
                self._ground.leave()
            raise
        if not self._fatal:
            ready(self._ground.server.url, self._web.address())
            self._manager.ready()
        self._serve()
        return self._end()

    def _begin(self) -> None:
        self._clock = SystemClock(self._bus)
        self._journal = Journal(self._bus, self._clock, f"node.{self._name}")
        self._bus.start()
        self._snapshots = Snapshots(self._data / "snapshots")
        self._bus.wait(self._prepare_log, 600.0 if self._given_url else 60.0)
        self._feed = Feed(self._bus, self._die, self._segments)
        self.epoch = self._bus.wait(self._lead, 60.0)
        self._crew = Crew(
            lambda: self._forest,
            self._ground,
            self._data,
            self._bus,
            self._clock,
            self._journal,
            self._feed,
            self._snapshots,
            self.epoch,
            self._die,
            self._segments,
        )
        self._room = Room(
            self._data,
            self._name,
            Standby(self._ground, self._bus, self._journal, self._crew.begin_sampling),
        )
        self._crew.standing_by = lambda: self._room.standing_by
        self._web = WebServer(self._forest, self._data, self._feed, self._about, self._vitals)
        self._upkeep = Upkeep(
            self._name,
            self._ground,
            self._bus,
            self._journal,
            self._crew.tell,
            lambda: bool(self._ending),
            lambda: bool(self._fatal),
        )
        self._ground.post_watchman(self._upkeep.exited)
        self._supervisor = Supervisor.start(
            "supervisor", self._down, self._crew.specs(), self._clock, self._die
        )
        self._pulse = self._take_pulse()
        self._bus.wait(self._listen, 60.0)
        self._upkeep.watch()
        self._install_signals()
        self._room.start()
        self._rotation = Rotation(self._data / "logs", lambda: self._forest, self._cut)
        self._rotation.start()
        self._web.start()
        self._pulse.start()
        # Whoever asks a node that says it is there finds its queues and workers on the page.
        known = self._feed.told("roster", self._settled, lambda: bool(self._ending or self._fatal))
        with suppress(TimeoutError):
            self._bus.wait(lambda: known, _START_S)

    def _serve(self) -> None:
        while not self._ending and not self._fatal:
            self._bell.wait()
            if self._reload:
                self._reload = False
                self._manager.reloading()
                self._reread()
                self._manager.ready()

    def _install_signals(self) -> None:
        def end(number: int, _: object) -> None:
            self._ending = signal.Signals(number).name
            self._bell.ring()

        def again(_: int, __: object) -> None:
            self._reload = True
            self._bell.ring()

        self._bell.hear_signals()
        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        signal.signal(signal.SIGHUP, again)

    def _end(self) -> int:
        """Stop units by their sequence, write the last word, stop actors, server and keeper."""
        if self._fatal:
            self._manager.stopping(60.0)
            _log.error("the node ends: %s; its workers live on, the next start takes them over", self._fatal)
            self._stop_actors()
            return 1
        _log.info("ending on %s", self._ending)
        longest = max((worker.stop_wait_s for worker in self._forest.workers), default=0.0)
        patience = longest * max(1, len(self._forest.workers)) + 30.0
        self._manager.stopping(patience + 60.0)
        stopped = threading.Event()
        self._journal.write(NodeStopping(node=self._name, reason=self._ending))
        self._crew.stop_all(stopped.set)
        if not stopped.wait(patience):
            _log.error("not all workers ended in time")
        self._crew.end_sampling()
        self._last_word()
        self._stop_actors()
        self._ground.leave()
        return 0

    def _last_word(self) -> None:
        written = threading.Event()
        position = [0]

        def done(result: Receipt | Exception) -> None:
            if isinstance(result, Receipt):
                position[0] = result.positions[-1]
            written.set()

        self._journal.last_word(NodeStopped(node=self._name, reason=self._ending), done)
        if written.wait(8.0) and position[0]:
            with suppress(TimeoutError):  # a bus that hangs must not keep server and keeper from being ended
                self._bus.wait(lambda: self._feed.beyond(position[0] - 1, 5.0), 8.0)

    def _cut(self, unit: str, part: Rotated) -> None:
        self._journal.write(
            LogRotated(unit=unit, segment=part.segment, start=part.start, stop=part.stop, size=part.size)
        )

    def _stop_actors(self) -> None:
        self._pulse.stop()
        self._web.stop()
        self._rotation.stop()
        self._room.stop()
        try:
            self._supervisor.stop(block=True, timeout=20.0)
        except (pykka.Timeout, pykka.ActorDeadError):
            _log.error("the actors did not stop in time")
        self._bus.stop()

    def _take_pulse(self) -> Pulse:
        watchdog_s = self._manager.watchdog_s
        return Pulse(
            self._supervisor,
            self._bus.call,
            lambda: self._forest.node.hung_s,
            self._manager.alive,
            lambda: self._manager.status(self._vitals().readiness()[1]),
            min(EVERY_S, watchdog_s / 4) if watchdog_s else EVERY_S,
        )

    def _die(self, why: str) -> None:
        self._fatal = self._fatal or why
        self._bell.ring()

    def _down(self, down: Down) -> None:
        self._die(f"{down.name}: {down.error}")

    # --- the log and the lead ------------------------------------------------------------------------------

    def _prove(self, store: Path, alive: bool) -> None:
        self._proven = prove_store(self._data, self._segments, store, alive)

    async def _prepare_log(self) -> None:
        state = (await ensure_stream(self._bus.connection))["state"]
        if self._ground.owns_server:
            await limit_stream(self._bus.connection, spare_of(self._data), exact=True)
        if self._given_url:
            await prove_stream(self._data, self._segments, self._bus.connection, state)
        else:
            prove_state(self._segments, self._proven, state)
        self._snapshots.forget_beyond(state["last_seq"])
        await self._ensure_queues()

    async def _ensure_queues(self) -> None:
        await ensure_queues(self._bus.connection, self._forest)

    async def _lead(self) -> int:
        said = await take_lead(self._bus, self._journal, self._name, self._snapshots.zone, self._settings())
        self._settled = said[-1]
        return said[0]

    def _settings(self) -> Settings:
        return self._forest.settings(self._ground.env_key())

    def _reread(self) -> None:
        """Adopt a changed file: only what changed restarts, and not before the settings come back from the log."""
        try:
            forest = read_forest(self._config)
        except Exception as problem:
            _log.error("the configuration stays as it was: %s", problem)
            return
        log_as(forest.node.log_format)
        before, self._forest = self._settings(), forest
        self._ground.forest = forest
        after = self._settings()
        changed = tuple(
            name for name in Settings.__struct_fields__ if getattr(before, name) != getattr(after, name)
        )
        self._ground.issue()
        self._ground.signal_server(signal.SIGHUP)
        self._bus.spawn(self._ensure_queues)
        _log.info("configuration read again: %s", ", ".join(changed) or "nothing changed")
        if changed:
            self._journal.write(
                SettingsAdopted(origin="file", digest=digest_of(after), settings=after, changed=changed)
            )

    # --- what comes from outside ---------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Begin to hear: beats, requests, the log itself once every actor has asked for it."""

        async def beat(message: Any) -> None:
            if message.subject.startswith("beat.agent.") and not self._has_pool("agent"):
                self._crew.agents.heard(message.subject, bytes(message.data))
                return
            heard = read_beat(message.data)
            if heard:
                self._crew.tell("sampler", Heard(heard))

        await self._bus.connection.client.subscribe("beat.>", cb=beat)
        desk = Desk(self._about, self._crew.tell, self._crew.knows, self._feed, self._crew.refs)
        control = Control(self._bus, ServiceApi(self._bus, self._name, version()))
        for name, verb in desk.verbs().items():
            control.verb(name, verb)
        self._crew.agents.listen(control)
        await control.start()
        # Told before it reads, the executor takes over at the lease and carries out what is decided behind it.
        order = TakeOver(self.epoch, self._crew.begin_sampling)

        def lead() -> None:
            self._crew.tell("executor", order)
            self._crew.agents.lead()

        await self._feed.start_with(self._crew.readers, lead)

    def _vitals(self) -> Vitals:
        connection = self._bus.connection.client
        return Vitals(
            answers=self._pulse.answers(),
            role=self._role(),
            position=self._feed.position,
            epoch=self.epoch,
            written=self._bus.recorder.written,
            connected=connection.is_connected,
            ending=self._fatal or self._ending,
            lags=self._feed.lags(),
            disk_free=shutil.disk_usage(self._data).free,
            disk_reserve=self._room.reserve,
        )

    def _role(self) -> str:
        return "standing by: disk full" if self._room.standing_by else "leader"

    def _has_pool(self, name: str) -> bool:
        return any(worker.name == name for worker in self._forest.workers)

    def _about(self) -> dict[str, Any]:
        """What the node says of itself."""
        return {
            "id": self._name,
            "version": version(),
            "pid": os.getpid(),
            "role": self._role(),
            "epoch": self.epoch,
            "nats_url": self._ground.server.url,
            "web_url": self._web.url,
            "started": self._started,
            "data": str(self._data),
        }


def run_node(
    config: Path,
    data: Path | None = None,
    nats_url: str = "",
    ready: Callable[[str, str], None] = lambda *_: None,
) -> int:
    """Read the configuration and run a node in the foreground. Raises ConfigErrors, GroundError."""
    forest = read_forest(config)
    log_as(forest.node.log_format)
    folder = (data or Path(forest.node.data)).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return Node(config, forest, folder, nats_url).run(ready)

"""The node: wires ground, bus, log and actors together, leads, and ends in order."""

import asyncio
import logging
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pykka

from actors.bus import Bus
from actors.clock import SystemClock
from actors.config import Forest
from actors.config_reader import read_forest
from actors.control import Answer, Control, Refused, asked
from actors.elf import Due, ElfActor
from actors.elves import Policy
from actors.elves.deliberation import digest_of
from actors.executor import Executor, StopAll, TakeOver
from actors.feed import Feed, Subscription
from actors.ground import NATS_UNIT, Ground
from actors.jetstream import jetstream_api
from actors.journal import Journal
from actors.keeper_client import Exit
from actors.nats_server import ensure_queue, ensure_stream
from actors.policies import POLICIES
from actors.process import boot_id
from actors.projector import Ask, Projector
from actors.roster import Roster, Show
from actors.runtime import Down, Watcher, tell
from actors.sampler import Begin, Heard, Living, Sampler, read_beat
from actors.snapshots import Snapshots
from actors.supervisor import ChildSpec, Supervisor
from actors.units import launch_of
from actors.version import version
from actors.worker_orders import UnitPlan
from events.log import Expect, Receipt, entry
from events.observations import LeaseTaken, NodeStarted, NodeStopped, NodeStopping, QueueSample
from events.settings import Settings, SettingsAdopted
from events.subjects import LEASE, LOG

_log = logging.getLogger("elf.node")


class Node:
    """One running node. `run` returns the exit code."""

    def __init__(self, config: Path, forest: Forest, data: Path, nats_url: str = "") -> None:
        self._config = config
        self._forest = forest
        self._data = data
        self._ground = Ground(forest, data, nats_url)
        self._name = forest.node.name
        self._refs: dict[str, pykka.ActorRef[Any]] = {}
        self._wake = threading.Event()
        self._reload = False
        self._ending = ""
        self._fatal = ""
        self._started = time.time()
        self.epoch = 0

    # --- life ----------------------------------------------------------------------------------------------

    def run(self, ready: Callable[[str], None] = lambda _: None) -> int:
        """Start, lead until SIGTERM or SIGINT, end in order. 0 in order, 1 after a failure."""
        self._ground.take()
        self._bus = Bus(self._ground.server.credentials["node"], f"elf-node-{self._name}")
        self._clock = SystemClock(self._bus)
        self._journal = Journal(self._bus, self._clock, f"node.{self._name}")
        self._bus.start()
        self._bus.wait(self._prepare_log, 40.0)
        self._feed = Feed(self._bus, self._die)
        self._snapshots = Snapshots(self._data / "snapshots")
        self.epoch = self._bus.wait(self._lead, 20.0)
        self._supervisor = Supervisor.start(
            "supervisor", self._down, self._children(), self._clock, self._die
        )
        self._bus.wait(self._listen, 10.0)
        self._ground.watch(self._exited, self._keeper_lost)
        self._install_signals()
        self._tell("executor", TakeOver(self.epoch, lambda: self._tell("sampler", Begin())))
        ready(self._ground.server.url)
        self._serve()
        return self._end()

    def _serve(self) -> None:
        while not self._ending and not self._fatal:
            self._wake.wait()
            self._wake.clear()
            if self._reload:
                self._reload = False
                self._reread()

    def _install_signals(self) -> None:
        def end(number: int, _: object) -> None:
            self._ending = signal.Signals(number).name
            self._wake.set()

        def again(_: int, __: object) -> None:
            self._reload = True
            self._wake.set()

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        signal.signal(signal.SIGHUP, again)

    def _end(self) -> int:
        """Stop units by their sequence, write the last word, stop actors, server and keeper."""
        if self._fatal:
            _log.error(
                "the node ends: %s; its workers live on, start it again to take them over", self._fatal
            )
            self._stop_actors()
            return 1
        _log.info("ending on %s", self._ending)
        stopped = threading.Event()
        self._journal.write(NodeStopping(node=self._name, reason=self._ending))
        self._tell("executor", StopAll(stopped.set))
        patience = max((worker.stop_wait_s for worker in self._forest.workers), default=0.0)
        if not stopped.wait(patience * max(1, len(self._forest.workers)) + 30.0):
            _log.error("not all workers ended in time")
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

        self._journal.write(NodeStopped(node=self._name, reason=self._ending), done=done)
        written.wait(5.0)
        deadline = time.monotonic() + 5.0
        while self._feed.position < position[0] and time.monotonic() < deadline:
            time.sleep(0.002)

    def _stop_actors(self) -> None:
        try:
            self._supervisor.stop(block=True, timeout=20.0)
        except (pykka.Timeout, pykka.ActorDeadError):
            _log.error("the actors did not stop in time")
        self._bus.stop()

    def _die(self, why: str) -> None:
        self._fatal = self._fatal or why
        self._wake.set()

    def _down(self, down: Down) -> None:
        self._die(f"{down.name}: {down.error}")

    # --- the log and the lead ------------------------------------------------------------------------------

    async def _prepare_log(self) -> None:
        await ensure_stream(self._bus.connection)
        await self._ensure_queues()

    async def _ensure_queues(self) -> None:
        for queue in self._forest.queues:
            if queue.serve == "pull":
                slots = sum(
                    worker.max * worker.concurrency * worker.batch
                    for worker in self._forest.workers
                    if worker.queue == queue.name
                )
                await ensure_queue(self._bus.connection, queue.name, 2 * max(slots, 512))

    async def _lead(self) -> int:
        """Take the lease by compare-and-set; in the same batch say who leads and with which settings."""
        last = await self._bus.log.last(LEASE)
        previous = last.position if last else 0
        settings = self._settings()
        lease = self._journal.envelope(LeaseTaken(holder=self._name, previous=previous))
        started = self._journal.envelope(
            NodeStarted(
                node=self._name,
                release=version(),
                pure_zone=self._snapshots.zone,
                pid=os.getpid(),
                boot=boot_id(),
                python=platform.python_version(),
            )
        )
        adopted = self._journal.envelope(
            SettingsAdopted(origin="file", digest=digest_of(settings), settings=settings)
        )
        receipt = await self._bus.recorder.append(
            [entry(lease, Expect(LEASE, previous)), entry(started), entry(adopted)]
        )
        return receipt.positions[0]

    def _settings(self) -> Settings:
        return self._forest.settings(self._ground.env_key())

    def _reread(self) -> None:
        """Adopt a changed file: only what changed restarts, and not before the settings come back from the log."""
        try:
            forest = read_forest(self._config)
        except Exception as problem:
            _log.error("the configuration stays as it was: %s", problem)
            return
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

    # --- actors --------------------------------------------------------------------------------------------

    def _children(self) -> Sequence[ChildSpec]:
        elves = [ChildSpec(policy.name, self._starter(policy.name, self._elf(policy))) for policy in POLICIES]
        return [
            ChildSpec("projector", self._starter("projector", self._projector)),
            ChildSpec("roster", self._starter("roster", self._roster)),
            ChildSpec("sampler", self._starter("sampler", self._sampler)),
            ChildSpec("executor", self._starter("executor", self._executor)),
            *elves,
        ]

    def _starter(
        self, name: str, make: Callable[[Watcher, Down | None], pykka.ActorRef[Any]]
    ) -> Callable[[Watcher, Down | None], pykka.ActorRef[Any]]:
        """Start an actor and remember where its mail goes now."""

        def start(watcher: Watcher, down: Down | None) -> pykka.ActorRef[Any]:
            ref = make(watcher, down)
            self._refs[name] = ref
            return ref

        return start

    def _elf(self, policy: Policy[Any]) -> Callable[[Watcher, Down | None], pykka.ActorRef[Any]]:
        def start(watcher: Watcher, down: Down | None) -> pykka.ActorRef[Any]:
            return ElfActor.start(
                watcher,
                policy,
                self._journal,
                self._clock,
                self._snapshots,
                self._subscribe,
                lambda due: self._due(due),
                lambda why: self._die(f"another node leads: {why}"),
                self.epoch,
                (down.position, down.error) if down else None,
            )

        return start

    def _projector(self, watcher: Watcher, _: Down | None) -> pykka.ActorRef[Any]:
        return Projector.start(watcher, self._data, self._clock, self._subscribe, self._journal.write)

    def _roster(self, watcher: Watcher, _: Down | None) -> pykka.ActorRef[Any]:
        return Roster.start(watcher, self._clock, self._subscribe)

    def _sampler(self, watcher: Watcher, down: Down | None) -> pykka.ActorRef[Any]:
        ref = Sampler.start(
            watcher,
            self._journal,
            self._clock,
            lambda: self._forest.node.sample_s,
            lambda unit: bool((plan := self._plan(unit)) and plan.queue),
            self._ask_queues,
        )
        if down:
            tell(ref, Begin())
        return ref

    def _executor(self, watcher: Watcher, down: Down | None) -> pykka.ActorRef[Any]:
        ref = Executor.start(
            watcher,
            self._name,
            self._journal,
            self._clock,
            lambda: self._ground.keeper,
            self._plan,
            self._subscribe,
            self._publish,
            lambda living: self._tell("sampler", Living(living)),
        )
        if down:
            tell(ref, TakeOver(max(self.epoch, down.position), lambda: None))
        return ref

    def _subscribe(self, subscription: Subscription) -> None:
        self._feed.subscribe(subscription)

    def _due(self, due: Due) -> None:
        self._tell("sampler", due)

    def _tell(self, name: str, message: object) -> bool:
        ref = self._refs.get(name)
        return ref is not None and tell(ref, message)

    def _plan(self, unit: str) -> UnitPlan | None:
        forest = self._forest
        try:
            worker = forest.worker_of(unit)
        except LookupError:
            return None
        secret = None
        if worker.queue:
            credentials = self._ground.server.credentials[f"worker-{worker.name}"]
            secret = msgspec.json.encode(credentials).decode()
        return UnitPlan(
            unit=unit,
            pool=worker.name,
            queue=worker.queue,
            stop_signal=signal.Signals[f"SIG{worker.stop_signal}"],
            stop_wait_s=worker.stop_wait_s,
            launch=lambda generation, marker: launch_of(
                forest,
                unit,
                generation=generation,
                marker=marker,
                nats_url=self._ground.server.url,
                writer=worker.name,
                data=self._data,
            ),
            secret=secret,
        )

    # --- what comes from outside ---------------------------------------------------------------------------

    def _exited(self, ended: Exit) -> None:
        if ended.unit == NATS_UNIT:
            if not self._ending:
                self._bus.later(0.0, self._server_again)
            return
        self._tell("executor", ended)

    def _server_again(self) -> None:
        """nats-server is ground, not a unit: without it nothing could be decided about it."""

        def start() -> None:
            try:
                self._ground.start_server()
            except Exception as problem:
                _log.error("nats-server does not start: %s", problem)
                self._bus.later(1.0, self._server_again)

        threading.Thread(target=start, name="elf-nats-start").start()

    def _keeper_lost(self) -> None:
        if not self._ending:
            self._die("the keeper is gone")

    async def _listen(self) -> None:
        """Begin to hear: beats, requests, the log itself once every actor has asked for it."""

        async def beat(message: Any) -> None:
            heard = read_beat(message.data)
            if heard:
                self._tell("sampler", Heard(heard))

        await self._bus.connection.client.subscribe("beat.>", cb=beat)
        control = Control(self._bus)
        control.verb("status", self._status)
        control.verb("sql", self._sql)
        control.verb("check", self._check)
        control.verb("signal", self._signal)
        await control.start()
        await self._feed.start_with(
            {"projector", "roster", "executor", *(policy.name for policy in POLICIES)}
        )

    def _ask_queues(self, reply: Callable[[tuple[QueueSample, ...]], None]) -> None:
        self._bus.spawn(lambda: self._queue_states(reply))

    async def _queue_states(self, reply: Callable[[tuple[QueueSample, ...]], None]) -> None:
        """Ask the server for every queue; one that it does not answer for is left out, never read as 0."""
        names = [queue.name for queue in self._forest.queues if queue.serve == "pull"]
        answers = await asyncio.gather(
            *(
                jetstream_api(self._bus.connection, f"CONSUMER.INFO.{LOG}.q_{name}", None, 2.0)
                for name in names
            )
        )
        samples = [
            QueueSample(
                queue=name,
                pending=answer["num_pending"],
                in_flight=answer["num_ack_pending"],
                pulls=answer["num_waiting"],
                redelivered=answer["num_redelivered"],
            )
            for name, answer in zip(names, answers, strict=True)
            if "error" not in answer
        ]
        reply(tuple(samples))

    def _publish(self, subject: str, data: bytes) -> None:
        self._bus.spawn(lambda: self._bus.connection.client.publish(subject, data))

    # --- requests ------------------------------------------------------------------------------------------

    async def _status(self, _: dict[str, Any]) -> Answer:
        page = await asked(asyncio.get_running_loop(), lambda reply: self._tell("roster", Show(reply)), 5.0)
        node = {
            "id": self._name,
            "version": version(),
            "pid": os.getpid(),
            "role": "leader",
            "epoch": self.epoch,
            "position": page.pop("position"),
            "nats_url": self._ground.server.url,
            "web_url": "",
            "started": self._started,
            "data": str(self._data),
        }
        return {"ok": True, "node": node, **page}

    async def _sql(self, body: dict[str, Any]) -> Answer:
        sql, params = body.get("sql"), body.get("params", [])
        if not isinstance(sql, str) or not isinstance(params, list):
            raise Refused("expected {sql: text, params: list}")
        limit = int(body.get("limit") or 10_000)
        return await asked(
            asyncio.get_running_loop(),
            lambda reply: self._tell("projector", Ask(sql, params, limit, reply)),
            20.0,
        )

    async def _check(self, _: dict[str, Any]) -> Answer:
        alive = {name: ref.is_alive() for name, ref in self._refs.items()}
        return {"ok": True, "position": self._feed.position, "lags": self._feed.lags(), "actors": alive}

    async def _signal(self, body: dict[str, Any]) -> Answer:
        unit, name = str(body.get("unit", "")), str(body.get("signal", ""))
        number = getattr(signal, f"SIG{name.removeprefix('SIG')}", None)
        if number is None:
            raise Refused(f"expected the name of a signal, got {name!r}; try USR1")
        if self._plan(unit) is None:
            raise Refused(f"expected a unit, got {unit!r}; try elf status", 1)
        self._tell("executor", (unit, int(number)))
        return {"ok": True}


def run_node(
    config: Path, data: Path | None = None, nats_url: str = "", ready: Callable[[str], None] = lambda _: None
) -> int:
    """Read the configuration and run a node in the foreground. Raises ConfigErrors, GroundError."""
    forest = read_forest(config)
    folder = (data or Path(forest.node.data)).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return Node(config, forest, folder, nats_url).run(ready)


def log_to_stderr(debug: bool = False) -> None:
    """Set up diagnostics; facts go to the event log."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if debug else logging.INFO,
        format="%(asctime)s %(levelname).1s %(name)s: %(message)s",
    )
    logging.getLogger("pykka").setLevel(logging.CRITICAL)
    logging.getLogger("nats").setLevel(logging.ERROR)

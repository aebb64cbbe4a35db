"""Everybody who does what the Time elf decides and tells people: how these actors are made for a node."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pykka

from actors.bus import Bus
from actors.channels import Sender
from actors.clock import Clock
from actors.config import Forest
from actors.doer import Lead
from actors.feed import Feed
from actors.foreman import Foreman, StopJobs
from actors.github import GitHub
from actors.ground import Ground
from actors.herald import Herald, Places
from actors.job_reports import JobPlan, plan_of
from actors.journal import Journal
from actors.notifier import Notifier
from actors.processes import Processes
from actors.publisher import Publisher
from actors.runtime import Down, Watcher
from actors.snapshots import Snapshots
from actors.units import clean_environment

Ref = pykka.ActorRef[Any]
Maker = Callable[[Watcher, Down | None], Ref]

NAMES = ("herald", "foreman", "notifier", "publisher")


class ErrandService:
    """Makes herald, foreman, notifier and publisher; what they need of the configuration they ask for each time."""

    def __init__(
        self,
        forest: Callable[[], Forest],
        ground: Ground,
        data: Path,
        bus: Bus,
        clock: Clock,
        journal: Journal,
        feed: Feed,
        snapshots: Snapshots,
        processes: Processes,
        epoch: int,
        tell: Callable[[str, object], bool],
    ) -> None:
        self._forest = forest
        self._ground = ground
        self._data = data
        self._bus = bus
        self._clock = clock
        self._journal = journal
        self._feed = feed
        self._snapshots = snapshots
        self._processes = processes
        self._epoch = epoch
        self._tell = tell
        self._stopping: StopJobs | None = None

    def makers(self) -> dict[str, Maker]:
        """Return how each of them is started."""
        makers = (self._herald, self._foreman, self._notifier, self._publisher)
        return dict(zip(NAMES, makers, strict=True))

    def stop_jobs(self, done: Callable[[], object]) -> None:
        """End every run, through a failure of the foreman too; `done` is called when none is left."""
        self._stopping = StopJobs(done)
        self._tell("foreman", self._stopping)

    def _lead(self, down: Down | None) -> Lead:
        return Lead(self._journal, self._clock, self._epoch, down)

    def _herald(self, watcher: Watcher, down: Down | None) -> Ref:
        places = Places(self._data / "logs", self._notice_file, self._publish)
        return Herald.start(watcher, self._feed.subscribe, self._snapshots, self._lead(down), places)

    def _foreman(self, watcher: Watcher, down: Down | None) -> Ref:
        ref = Foreman.start(
            watcher,
            self._feed.subscribe,
            self._snapshots,
            self._lead(down),
            self._ground.marker,
            self._processes,
            self._plan,
        )
        if self._stopping:
            ref.tell(self._stopping)
        return ref

    def _notifier(self, watcher: Watcher, down: Down | None) -> Ref:
        return Notifier.start(watcher, self._feed.subscribe, self._snapshots, self._lead(down), self._sender)

    def _publisher(self, watcher: Watcher, down: Down | None) -> Ref:
        return Publisher.start(watcher, self._feed.subscribe, self._snapshots, self._lead(down), self._github)

    def _notice_file(self, worker: str) -> str:
        found = next((each for each in self._forest().workers if each.name == worker), None)
        return found.notice_file if found else ""

    def _publish(self, subject: str, data: bytes) -> None:
        self._bus.spawn(lambda: self._bus.connection.client.publish(subject, data))

    def _plan(self, job: str, marker: str) -> JobPlan | None:
        return plan_of(self._forest(), job, marker, self._data, os.environ)

    def _sender(self, channel: str) -> Sender | None:
        forest = self._forest()
        given = forest.notify.get(channel)
        if given is None:
            return None
        marker = f"{self._ground.marker}:notify-{re.sub('[^A-Za-z0-9_-]', '_', channel)}"
        clean = clean_environment(forest.node.timezone, os.environ)
        return Sender(channel, given, os.environ, clean, self._sweep, marker)

    def _sweep(self, marker: str) -> None:
        self._processes.sweep(marker, signal.SIGKILL)

    def _github(self) -> GitHub | str:
        given = self._forest().github
        if not given.repo:
            return "expected [github] with a repo in forest.toml, got none"
        token = os.environ.get(given.token_env, "")
        if not token:
            name = given.token_env
            return f"expected {name} in the node's environment, got nothing; try export {name}=..."
        return GitHub(given.api, given.repo, token, given.token_env, given.branch)

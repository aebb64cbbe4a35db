"""Has issues and pull requests opened, one after the other; what is wanted and what stands is in the log."""

import logging
import threading
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from actors.doer import Doer, Lead
from actors.feed import Subscription
from actors.github import GitHub, GitHubAway, GitHubRefused, Opened
from actors.runtime import Watcher
from actors.snapshots import Snapshots
from events.envelope import Recorded
from events.jobs import PublicationOpened, PublicationRefused, PublicationRequested
from events.log import entry
from events.observations import NodeStopping
from projections.publications import Publications

_log = logging.getLogger("elf.publisher")

_LONGEST_WAIT_S = 600.0
# A right that is missing is not given within minutes.
_REFUSED_WAIT_S = 3600.0


class _Tried(Struct, frozen=True):
    key: str
    result: Opened | GitHubAway | GitHubRefused


class Publisher(Doer[Publications]):
    """At most one request under way. A crash in between is settled by looking for the mark of the key."""

    def __init__(
        self,
        watcher: Watcher,
        subscribe: Callable[[Subscription], None],
        snapshots: Snapshots,
        lead: Lead,
        github: Callable[[], GitHub | str],
    ) -> None:
        """`github()` is the repository of the configuration in force, or why there is none."""
        super().__init__("publisher", watcher, subscribe, snapshots, Publications(), lead)
        self._github = github
        self._busy = False
        self._settled: set[str] = set()
        self._later: set[str] = set()
        self._tries = 0
        self._ending = False

    def handle(self, message: Any) -> Any:
        """Take events and what became of a try."""
        match message:
            case _Tried(key=key, result=result):
                self._busy = False
                self._tried(key, result)
                self._next()
            case ("again", str() as key):
                self._later.discard(key)
                self._next()
            case _:
                return super().handle(message)
        return None

    def take_over(self) -> None:
        """Open what nobody saw opened."""
        self._next()

    def carry_out(self, event: Recorded) -> None:
        """Open what is wanted."""
        if isinstance(event.body, NodeStopping):
            self._ending = True
        if isinstance(event.body, PublicationRequested | PublicationOpened | PublicationRefused):
            self._next()

    def _next(self) -> None:
        if self._busy or self._ending:
            return
        left = self._settled | self._later
        wanted = next((each for key, each in self.fold.open.items() if key not in left), None)
        if wanted is None:
            return
        github = self._github()
        if isinstance(github, str):
            self._tried(wanted.key, GitHubRefused(github, final=False))
            self._next()
            return
        self._busy = True
        self._start(github, wanted)

    def _start(self, github: GitHub, wanted: PublicationRequested) -> None:
        threading.Thread(
            target=lambda: self.tell_me(_Tried(wanted.key, _try(github, wanted))),
            name="elf-publish",
            daemon=True,
        ).start()

    def _tried(self, key: str, result: Opened | GitHubAway | GitHubRefused) -> None:
        said: PublicationOpened | PublicationRefused
        match result:
            case Opened(number=number, url=url, found=found):
                self._tries = 0
                said = PublicationOpened(key=key, number=number, url=url, found=found)
                self._settled.add(key)
                self._write(said, f"opened-{key}")
            case GitHubRefused(final=final):
                said = PublicationRefused(key=key, error=str(result), final=final)
                if final:
                    self._settled.add(key)
                else:
                    self._wait(key, _REFUSED_WAIT_S)
                self._write(said, "")
            case GitHubAway(wait_s=wait_s):
                self._tries += 1
                wait = min(_LONGEST_WAIT_S, max(wait_s, 2.0 ** min(self._tries, 10)))
                _log.warning("%s is not opened yet: %s; tried again in %g s", key, result, wait)
                self._wait(key, wait)

    def _write(self, said: PublicationOpened | PublicationRefused, name: str) -> None:
        self.journal.append([entry(self.journal.envelope(said, id=name))])

    def _wait(self, key: str, seconds: float) -> None:
        self._later.add(key)
        self.clock.later(seconds, lambda: self.tell_me(("again", key)))


def _try(github: GitHub, wanted: PublicationRequested) -> Opened | GitHubAway | GitHubRefused:
    try:
        return github.open(wanted)
    except (GitHubAway, GitHubRefused) as problem:
        return problem
    except Exception as problem:
        return GitHubAway(f"expected an answer of the API, got {type(problem).__name__}: {problem}")

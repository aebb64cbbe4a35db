"""Looks after workers' own configuration files: has them checked when they change, and repairs them when decided."""

import logging
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from actors.clock import Clock
from actors.config import Forest, expand
from actors.feed import Subscription
from actors.follower import Follower
from actors.journal import Journal
from actors.managed_files import digest_of, kept, merged, replaced
from actors.runtime import Watcher, tell
from actors.snapshots import Snapshots
from actors.units import clean_environment
from events.decisions import RepairFile
from events.envelope import Recorded
from events.observations import ManagedFileRepaired, ManagedFileSeen
from events.outcomes import EffectFailed, EffectStarted, EffectVerified, StepDone
from projections.managed import Managed

_log = logging.getLogger("elf.custodian")

CHECK_S = 5.0


class Watched(Struct, frozen=True):
    """One file of a worker, what says whether it is good (`{path}` stands for the file), and in which environment."""

    worker: str
    path: str
    check: tuple[str, ...]
    cwd: str
    env: dict[str, str]


def watched_files(forest: Forest) -> list[Watched]:
    """Return the files of a configuration; their checks get what the worker's own processes get."""
    return [
        Watched(
            worker.name,
            managed.path,
            managed.check,
            worker.cwd or os.getcwd(),
            {
                **clean_environment(forest.node.timezone, os.environ),
                **{name: expand(value, os.environ) for name, value in worker.env.items()},
            },
        )
        for worker in forest.workers
        for managed in worker.managed_config
    ]


class LookNow(Struct, frozen=True):
    """Begin to look, and go on."""


class Custodian(Follower[Managed]):
    """Waits for checks in its own thread; a check that lasts longer than five seconds refuses."""

    def __init__(
        self,
        watcher: Watcher,
        subscribe: Callable[[Subscription], None],
        snapshots: Snapshots,
        journal: Journal,
        clock: Clock,
        files: Callable[[], Sequence[Watched]],
        folder: Path,
        every_s: Callable[[], float],
        epoch: int,
    ) -> None:
        super().__init__("custodian", watcher, subscribe, snapshots, Managed())
        self._journal = journal
        self._clock = clock
        self._files = files
        self._folder = folder
        self._every_s = every_s
        self._epoch = epoch
        self._looked: dict[str, str] = {}
        self._begun: set[str] = set()

    def handle(self, message: Any) -> Any:
        """Take events and the timer."""
        if not isinstance(message, LookNow):
            return super().handle(message)
        for watched in self._files():
            try:
                self._look(watched)
            except OSError as problem:
                _log.warning("%s is not looked at: %s", watched.path, problem)
        ref = self.actor_ref
        self._clock.later(max(0.2, self._every_s()), lambda: _pass(ref))
        return None

    def seen(self, event: Recorded) -> None:
        """Carry out what is open once this node leads; a repair that was cut short is begun again or refused."""
        if not self._epoch or self.position < self._epoch:
            return
        for decision, repair in list(self.fold.open.items()):
            if decision not in self._begun:
                self._begun.add(decision)
                self._repair(decision, repair)
        self._begun &= self.fold.open.keys()

    def _look(self, watched: Watched) -> None:
        path = Path(watched.path)
        data, changed_at = _read(path)
        digest = digest_of(data)
        key = f"{watched.worker} {watched.path}"
        if self._looked.get(key) == digest:
            return
        known = self.fold.files.get(key)
        error = self._refusal(watched, path)
        if not error:
            kept(self._folder / watched.worker, f"{digest_of(watched.path.encode())}.good", data)
        good = digest_of(self._good(watched)) if self._good(watched) else ""
        self._looked[key] = digest
        if known and (known.digest, known.ok, known.good) == (digest, not error, good):
            return
        seen = ManagedFileSeen(
            worker=watched.worker,
            path=watched.path,
            digest=digest,
            ok=not error,
            good=good,
            changed_at=changed_at,
            error=error,
        )
        self._journal.write(seen)

    def _good(self, watched: Watched) -> bytes:
        path = self._folder / watched.worker / f"{digest_of(watched.path.encode())}.good"
        return path.read_bytes() if path.exists() else b""

    def _refusal(self, watched: Watched, path: Path) -> str:
        """Return why the check refuses a file, empty when it accepts; its output may hold secrets and is not kept."""
        words = [word.replace("{path}", str(path)) for word in watched.check]
        try:
            ended = subprocess.run(
                words,
                cwd=watched.cwd,
                env=watched.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=CHECK_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"its check did not end within {CHECK_S:g} s"
        except OSError as problem:
            return f"its check does not start: {problem.strerror}"
        return f"its check ended with {ended.returncode}" if ended.returncode else ""

    def _repair(self, decision: str, repair: RepairFile) -> None:
        file = next((one for one in self.fold.files.values() if one.path == repair.path), None)
        watched = next((one for one in self._files() if one.path == repair.path), None)
        target = watched.worker if watched else file.worker if file else "node"
        self._journal.write(EffectStarted(decision=decision, target=target), cause=decision)
        try:
            error = self._repaired(decision, repair, watched) if watched else "it is not configured any more"
        except OSError as problem:
            error = f"{problem.strerror}: {repair.path}"
        if error:
            told = EffectFailed(decision=decision, target=target, error=error)
            self._journal.write(told, cause=decision)
        self._looked.pop(f"{target} {repair.path}", None)

    def _repaired(self, decision: str, repair: RepairFile, watched: Watched) -> str:
        path = Path(repair.path)
        broken, _ = _read(path)
        before = digest_of(broken)
        if before != repair.digest:
            return "it was changed meanwhile"
        folder = self._folder / watched.worker
        copy = kept(folder, f"{path.name}.{before}.broken", broken)
        self._step(decision, watched.worker, "keep_broken_copy", copy.name)
        trial = folder / f"trial{path.suffix}"

        def accepted(data: bytes) -> bool:
            return not self._refusal(watched, kept(folder, trial.name, data))

        data, restored = merged(path, self._good(watched), broken, accepted)
        trial.unlink(missing_ok=True)
        if data is None:
            return "its last good copy is refused as well"
        self._step(decision, watched.worker, "merge_with_last_good", ", ".join(restored))
        if not replaced(path, data, lambda fresh: not self._refusal(watched, fresh)):
            return "what was to take its place is refused"
        done = ManagedFileRepaired(
            worker=watched.worker,
            path=repair.path,
            before=before,
            after=digest_of(data),
            kept=copy.name,
            restored=tuple(restored),
        )
        self._journal.write(done, cause=decision)
        verified = EffectVerified(decision=decision, target=watched.worker, detail="its check accepts it")
        self._journal.write(verified, cause=decision)
        return ""

    def _step(self, decision: str, worker: str, step: str, detail: str) -> None:
        told = StepDone(decision=decision, target=worker, step=step, ok=True, detail=detail)
        self._journal.write(told, cause=decision)


def _read(path: Path) -> tuple[bytes, int]:
    """Return a file's bytes and when it was changed, in microseconds since 1970; one that is gone is empty now."""
    try:
        with path.open("rb") as file:
            return file.read(), os.fstat(file.fileno()).st_mtime_ns // 1000
    except FileNotFoundError:
        return b"", time.time_ns() // 1000


def _pass(ref: Any) -> None:
    tell(ref, LookNow())

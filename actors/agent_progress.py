"""Whether a task moves: its output, the CPU time of its tree, the files that change in its folder."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from actors.agent_child import AgentChild
from actors.process import Sample, sample_tree

# A look at a folder is bounded: agents work in great trees, and a beat must not wait for them.
_ENTRIES = 4000
_DEEP = 6
_PASSED_OVER = {".git", "node_modules", "__pycache__", ".venv"}


class Track:
    """The signs of life of one running task; `moved` is when the last one was seen, in monotonic seconds."""

    def __init__(self, child: AgentChild, cwd: Path, now: float) -> None:
        self.child = child
        self._cwd = cwd
        self.begun = self.moved = now
        self._since = self.wall_ns = time.time_ns()
        self.cpu_s = 0.0
        self.process = ""
        self.files = 0
        self._seen = (0, 0.0)

    def look(self, sample: Sample | None, now: float) -> None:
        """Take one look."""
        if sample is not None:
            self.cpu_s, self.process = max(self.cpu_s, sample.cpu_s), sample.status
        seen = (self.output, self.cpu_s)
        since, self._since = self._since, time.time_ns()
        self.files = len(changed_files(self._cwd, since))
        if seen != self._seen or self.files:
            self._seen, self.moved = seen, now

    @property
    def output(self) -> int:
        """How many bytes it has said so far."""
        return self.child.output + self.child.said


def look_at(tracks: Mapping[str, Track], now: float) -> None:
    """Look at all running tasks in one walk over the processes."""
    if not tracks:
        return
    samples = sample_tree({key: track.child.identity for key, track in tracks.items()})
    for key, track in tracks.items():
        track.look(samples.get(key), now)


def changed_files(folder: Path, since_ns: int, limit: int = 20) -> list[str]:
    """Return files below a folder that changed after a time, as far as a short look finds them."""
    found: list[str] = []
    for path, changed in _walk(str(folder), _DEEP, _budget(_ENTRIES)):
        if changed > since_ns:
            found.append(os.path.relpath(path, folder))
            if len(found) >= limit:
                break
    return found


def _budget(count: int) -> Callable[[], bool]:
    left = [count]

    def spend() -> bool:
        left[0] -= 1
        return left[0] >= 0

    return spend


def _walk(folder: str, deep: int, more: Callable[[], bool]) -> Iterator[tuple[str, int]]:
    below: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not more():
                    return
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in _PASSED_OVER:
                        below.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    yield entry.path, entry.stat(follow_symlinks=False).st_mtime_ns
    except OSError:
        return
    for path in below if deep else ():
        yield from _walk(path, deep - 1, more)

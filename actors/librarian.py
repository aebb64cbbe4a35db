"""Keeps the knowledge base: folds the log into records, writes a document for each, lets people's words stand."""

import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

from actors.feed import Subscription
from actors.follower import Follower
from actors.runtime import Watcher
from actors.snapshots import Snapshots
from events.envelope import Recorded
from projections.knowledge import Knowledge
from projections.knowledge_pages import page

_log = logging.getLogger("elf.librarian")

FOLDER = "knowledge"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Librarian(Follower[Knowledge]):
    """Writes `<data>/knowledge/<id>.md`; each document in one step, so that a reader finds the old or the new one."""

    def __init__(
        self,
        watcher: Watcher,
        data: Path,
        subscribe: Callable[[Subscription], None],
        snapshots: Snapshots,
    ) -> None:
        super().__init__("librarian", watcher, subscribe, snapshots, Knowledge())
        self._folder = data / FOLDER

    def begin(self) -> None:
        """Write what is missing, then follow the log."""
        super().begin()
        self._folder.mkdir(parents=True, exist_ok=True)
        for name in self.fold.notes:
            if not self._path(name).exists():
                self._write(name)

    def seen(self, event: Recorded) -> None:
        """Write what the event changed."""
        for name in list(self.fold.changed):
            self._write(name)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.md"

    def _write(self, name: str) -> None:
        if not _NAME.fullmatch(name) or name not in self.fold.notes:
            return
        path = self._path(name)
        try:
            standing = path.read_text(encoding="utf-8") if path.exists() else ""
            text = page(self.fold.notes[name], standing)
            if text == standing:
                return
            fresh = path.with_suffix(".new")
            fresh.write_text(text, encoding="utf-8")
            os.replace(fresh, path)
        except (OSError, UnicodeDecodeError) as problem:
            # A document is made of the log and can be made again; the node goes on.
            _log.warning("expected to write %s, got %s; it is written at its next change", path, problem)


def documents(data: Path) -> dict[str, str]:
    """Return every document by id, people's own among them; what is no text is left out."""
    found = {}
    for path in sorted((data / FOLDER).glob("*.md")):
        try:
            found[path.stem] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            _log.warning("expected a text in UTF-8, got %s: %s", path, problem)
    return found

"""What every test shares: long files are begun first, so that no processor waits for the last of them."""

import os
import sys
from importlib.util import find_spec

import pytest

# Hundreds of processes import the same modules: where an environment forbids Python to keep what it has compiled, each
# of them would compile all of it again, which is a third of the time that the tests take.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Folders whose files take long, the longest first.
LONG = (
    *("simulation", "docs", "archive", "backup", "browser", "chaos"),
    *("nodes", "actors", "faces", "projections", "simulator", "terminal", "examples"),
)
# A bare install has no dashboard, and its smoke tests no visitors.
collect_ignore_glob = [] if find_spec("starlette") else ["web/*", "browser/*", "nodes/test_watched_over.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files; within a file nothing changes."""
    folders = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: folders.get(item.path.parent.name, len(LONG)))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Note how it ended for `.ci/run`: of a run that was cut short nobody knows what else would have failed."""
    cache = getattr(session.config, "cache", None)
    if cache and not hasattr(session.config, "workerinput"):
        cache.set("forest/ended", int(exitstatus))

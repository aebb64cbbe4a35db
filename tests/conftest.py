"""What every test shares: long files are begun first, so that no processor waits for the last of them."""

import pytest

# Folders whose files take long, the longest first.
LONG = ("simulation", "nodes", "simulator", "chaos", "archive", "faces", "examples", "actors")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files; within a file nothing changes."""
    folders = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: folders.get(item.path.parent.name, len(LONG)))

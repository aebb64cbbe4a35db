"""What the tests of the views share."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from projections.warehouse import Warehouse
from tests.projections.scenes import Scene, asked, stored

Ask = Callable[..., list[dict[str, Any]]]
Tell = Callable[[Scene], Ask]


@pytest.fixture
def tell(tmp_path: Path) -> Iterator[Tell]:
    """Return a function that stores a scene and gives what asks it."""
    opened: list[Warehouse] = []

    def tell(scene: Scene) -> Ask:
        opened.append(stored(tmp_path / f"{len(opened)}.duckdb", scene.events))
        return asked(opened[-1])

    yield tell
    for warehouse in opened:
        warehouse.close()

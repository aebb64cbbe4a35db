"""A simulated log as a data folder that `elf replay`, `elf sql`, `elf why` and `elf kpi` read without a server."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from actors.simulator.scenario import ScenarioError
from events.envelope import Recorded
from projections import anchor
from projections.segments import sync_folder
from projections.warehouse import Warehouse

_PAGE = 4_000


def write_log(events: Sequence[Recorded], folder: Path) -> None:
    """Make a new folder of a log; it is built beside its place and moved there whole. Raises ScenarioError, OSError."""
    refuse_used(folder)
    place = folder.absolute()
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{place.name}.", suffix=".new", dir=place.parent))
    try:
        with Warehouse.open(fresh / "warehouse.duckdb") as warehouse:
            for start in range(0, len(events), _PAGE):
                warehouse.add(events[start : start + _PAGE])
            anchor.write(anchor.path_in(fresh), warehouse.anchor)
        if place.exists():
            place.rmdir()
        fresh.rename(place)
        sync_folder(place.parent)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def refuse_used(folder: Path) -> None:
    """Raise ScenarioError unless the folder is new or empty."""
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise ScenarioError(f"expected a new or an empty folder, got {folder}, which is not; try another")

"""Folds of the executor, the page and the archivist come back from their snapshots as they were."""

from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from actors.snapshots import Snapshots
from projections.archive import Archive
from projections.hands import Hands
from projections.status import Status
from tests.projections.scenes import everything


@pytest.mark.parametrize("kind", [Hands, Status, Archive])
def test_snapshot_and_tail_give_what_folding_everything_gives(tmp_path: Path, kind: type[Any]) -> None:
    events = everything().events
    snapshots = Snapshots(tmp_path)
    for cut in range(0, len(events), 7):
        early, whole = kind(), kind()
        for event in events[:cut]:
            early.apply(event)
        snapshots.keep("fold", cut, early)
        restored = snapshots.restore("fold", kind)
        assert restored is not None
        state, position = restored
        assert position == cut
        for event in events[cut:]:
            state.apply(event)
        for event in events:
            whole.apply(event)
        assert state == whole


class Other(Struct):
    """A fold of another shape."""

    position: list[str]


def test_what_cannot_be_read_or_is_of_other_code_is_folded_anew(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    assert snapshots.restore("fold", Archive) is None
    snapshots.keep("fold", 5, Archive(position=5))
    assert snapshots.restore("fold", Other) is None
    path = tmp_path / "fold.json"
    path.write_bytes(path.read_bytes().replace(b'"position":5', b'"position":6'))
    assert snapshots.restore("fold", Archive) is None
    path.write_bytes(b"{")
    assert snapshots.restore("fold", Archive) is None


def test_a_snapshot_behind_the_logs_end_is_removed(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    snapshots.keep("near", 5, Archive(position=5))
    snapshots.keep("far", 9, Archive(position=9))
    snapshots.forget_beyond(5)
    assert snapshots.restore("near", Archive) == (Archive(position=5), 5)
    assert snapshots.restore("far", Archive) is None

"""A short round of the kill loop; `make chaos` is the long one."""

from pathlib import Path

import pytest

from tests.chaos.kill_loop import chaos, show


@pytest.mark.slow
async def test_a_round_of_kills_breaks_no_promise(tmp_path: Path) -> None:
    figures = await chaos(tmp_path, minutes=4.0, kills=12, seed=20, say=False)
    assert figures.sound, show(figures)
    assert figures.kills == 12
    assert figures.acknowledged > 300

"""What the dashboard makes of pages that were recorded: both languages and sizes, many rows, hostile texts."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from actors.faces.terminal import app as dashboard
from actors.place import Place
from tests.terminal.pages import recorded
from tests.terminal.viewer import SMALL, WIDE, Viewer, view

NASTY = "\x1b[2J\x1b]0;gone\x07[red]x[/red][@click=app.quit]y[/]\u202etxt.exe\nnext " + "long " * 500


class Node:
    """Says pages to the dashboard, as many as a test has."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._said: asyncio.Queue[dict[str, Any] | str] = asyncio.Queue()
        monkeypatch.setattr(dashboard, "pages", self._pages)

    async def _pages(self, link: object) -> AsyncIterator[dict[str, Any] | str]:
        while True:
            yield await self._said.get()

    async def says(self, viewer: Viewer, news: dict[str, Any] | str) -> None:
        """Say a page, or why there is none, and wait until it is shown."""
        self._said.put_nowait(news)
        while viewer.app.page is not news and viewer.app.gone != news:
            await viewer.pilot.pause(0.01)
        await viewer.pilot.pause()


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(monkeypatch)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_a_small_terminal_shows_the_whole_forest_in_japanese(node: Node, place: Place) -> None:
    async with view(place, "ja") as viewer:
        await node.says(viewer, recorded())
        screen = viewer.screen()
        for text in ("エルフの森", "ワーカー状態", "✔ 稼働中", "エルフ活動", "フロー", "最近のアクション"):
            assert text in screen, f"{text} in\n{screen}"
        assert "████████░░  79% キュー監視中(q: 150)" in screen, screen
        assert "worker-000" in screen
        assert "終了" in viewer.lines()[-1]
        await viewer.presses("6")
        await viewer.sees("backlog q: タスク 150 件が滞留(上限 100 件)")
        await viewer.presses("l")
        await viewer.sees("Worker state", "Alerts", "✔ running", "queues q: 150")


async def test_a_wide_terminal_shows_every_panel(node: Node, place: Place) -> None:
    async with view(place, "en", WIDE) as viewer:
        await node.says(viewer, recorded())
        await viewer.sees("Worker state", "Queues", "Elf activity", "Recent actions", "Alerts", "Proposals")
        assert "uptime" in viewer.screen()
        await viewer.pilot.resize_terminal(*SMALL)
        await viewer.pilot.pause(0.2)
        assert "uptime" not in viewer.screen()
        await viewer.presses("3")
        await viewer.sees("in flight")
        assert "worker-000" not in viewer.screen()


@pytest.mark.parametrize("size", [SMALL, WIDE], ids=["small", "wide"])
async def test_hostile_texts_are_shown_and_nothing_else_happens(
    node: Node, place: Place, size: tuple[int, int]
) -> None:
    page = recorded(2)
    page["workers"][0]["name"] = NASTY
    page["node"]["id"] = "[b]n\x1b[31m"
    page["actions"][0]["text"] = page["alerts"][0]["text"] = page["alerts"][0]["target"] = NASTY
    page["elves"][0]["doing"] = NASTY
    page["queues"][0]["name"] = "[reverse]" + "キュー" * 100
    async with view(place, "en", size) as viewer:
        await node.says(viewer, page)
        for key in "1234567":
            await viewer.presses(key)
            screen = viewer.screen()
            assert "\x1b" not in screen
            assert "\u202e" not in screen
            assert {cell_len(line) for line in viewer.lines()} == {size[0]}
        await viewer.presses("1")
        await viewer.sees("[b]n", "[2J ]0;gone [r")
        await viewer.presses("r")
        await viewer.sees("restart:  [2J ]0;gone [red]x[/red][@click")
        await viewer.presses("escape", "slash", *"[red]")
        await viewer.sees("[2J ]0;gone")
        assert "worker-001" not in viewer.screen()


async def test_hundreds_of_workers_keep_the_cursor_where_it_is(node: Node, place: Place) -> None:
    async with view(place, "en") as viewer:
        await node.says(viewer, recorded(300))
        await viewer.sees("Worker state 300")
        panel = viewer.app.panel
        assert panel
        await viewer.presses("down", "down", "j", "k")
        assert panel.current
        assert panel.current.key == "worker-002"
        fewer = recorded(300)
        del fewer["workers"][0]
        fewer["workers"][200] |= {"mark": "bad", "state": "backoff"}
        await node.says(viewer, fewer)
        assert panel.current
        assert panel.current.key == "worker-002"
        await viewer.sees("Worker state 299 ⚠ 1")
        await viewer.presses("slash", "!", "enter")
        await viewer.sees("worker-201", "✖ backoff")
        assert len(panel.found) == 1
        await viewer.presses("escape")
        await viewer.sees("worker-199")


async def test_what_is_known_stays_while_the_node_is_away(node: Node, place: Place) -> None:
    async with view(place, "en") as viewer:
        await node.says(viewer, "expected a running node, got none")
        await viewer.sees("node not reachable, trying again")
        await node.says(viewer, recorded(paused=True))
        await viewer.sees("all elves only observe", "worker-000", "p resume")
        await node.says(viewer, "expected a secret, got \x1b[31m")
        await viewer.sees("node not reachable, trying again", "worker-000")
        await viewer.presses("question_mark")
        await viewer.sees("pause or resume all elves")

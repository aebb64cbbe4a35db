"""Somebody before a terminal: reads the screen, presses keys, waits for what is to appear."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from textual.pilot import Pilot

from actors.faces.console.options import Language
from actors.faces.terminal.app import Top
from actors.place import Place

SMALL, WIDE = (80, 24), (140, 40)


class Viewer:
    """One dashboard and the person before it."""

    def __init__(self, app: Top, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    def screen(self) -> str:
        """Return what stands on the screen."""
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """Return the screen's lines."""
        return [strip.text for strip in self.app.screen._compositor.render_strips()]

    async def sees(self, *texts: str, seconds: float = 60.0) -> None:
        """Wait until all of it stands on the screen."""
        deadline = time.monotonic() + seconds
        while not all(text in self.screen() for text in texts):
            assert time.monotonic() < deadline, f"expected {texts}, got\n{self.screen()}"
            await self.pilot.pause(0.05)

    async def presses(self, *keys: str) -> None:
        """Press keys one after the other."""
        await self.pilot.press(*keys)
        await self.pilot.pause()


@asynccontextmanager
async def view(place: Place, lang: Language, size: tuple[int, int] = SMALL) -> AsyncIterator[Viewer]:
    """Open the dashboard."""
    app = Top(place, lang)
    async with app.run_test(size=size, notifications=True) as pilot:
        yield Viewer(app, pilot)

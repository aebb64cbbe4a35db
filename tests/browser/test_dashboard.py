"""A person with a browser: switches the language, restarts, approves, goes back in time, comes back after a restart."""

import os
from pathlib import Path

import pytest

from events.observations import IntentSet
from events.tasks import TaskSubmitted
from tests.browser.devtools import browser, chromium
from tests.real_node import real_node
from tests.web.visitor import SLEEPER, WEB, address

pytestmark = [
    pytest.mark.skipif(
        chromium() is None, reason="no Chromium on this machine; try apt-get install chromium fonts-noto-cjk"
    ),
    pytest.mark.skipif(not os.environ.get("BROWSER_TESTS"), reason="a real browser; try BROWSER_TESTS=1"),
]
NASTY = "<img src=x onerror=alert(1)>"
PAGES = "overview workers agents tasks alerts decisions mana indicators proposals logs events".split()


async def test_every_page_in_both_languages_and_widths(tmp_path: Path) -> None:
    toml = '[[queue]]\nname = "q"\n' + SLEEPER + WEB
    async with real_node(tmp_path, toml) as node, browser(tmp_path) as new_page:
        await node.runs("a")
        await node.append(TaskSubmitted(task="t1", queue="q", kind=NASTY, payload={"x": NASTY}))
        url = await address(node)
        page = await new_page()
        await page.go(url)
        await page.sees("Worker state")
        await page.click("日本語")
        await page.sees("ワーカー状態")
        await page.go(url)
        await page.sees("ワーカー状態")
        for name in PAGES:
            await page.run(f"location.hash = '#/{name}'")
            shown = f"document.querySelector('#body').dataset.key === '{name}'"
            await page.until(f"{shown} && document.querySelector('#body').children.length")
            for width in (1280, 390):
                await page.look(tmp_path / "look.png", width, 800)
                assert await page.run("document.documentElement.scrollWidth") <= width, name
            unnamed = (
                "[...document.querySelectorAll('button, a, input, select')]"
                ".filter(e => !(e.textContent.trim() || e.ariaLabel || e.labels?.length)).length"
            )
            assert await page.run(unnamed) == 0, name
        assert await page.run("document.querySelectorAll('#body img').length") == 0
        assert page.errors == []
        assert {request.split("/")[2] for request in page.requests if "//" in request} == {url.split("/")[2]}


async def test_restart_and_the_way_back_in_time(tmp_path: Path) -> None:
    async with real_node(tmp_path, SLEEPER + WEB) as node, browser(tmp_path) as new_page:
        first = await node.runs("a")
        page = await new_page()
        await page.go(await address(node) + "#/workers")
        await page.sees(str(first.pid))
        await page.click("Restart: a")
        await page.sees("Are you sure?")
        assert node.all(IntentSet) == []
        await page.click("Restart: a")
        await node.saw(IntentSet, target="a", restart=True)
        second = await node.runs("a", 2)
        await page.sees(str(second.pid))
        await page.click("Time slider")
        await page.sees("As of")
        started = next(e.time for e in node.events if e.type == "worker_started")
        await page.run(
            "const s = document.querySelector('#slider'); s.step = 1;"
            f" s.value = {started + 1000}; s.dispatchEvent(new Event('input', {{bubbles: true}}))"
        )
        await page.until(f"document.querySelector('table').innerText.includes('{first.pid}')")
        assert await page.run("[...document.querySelectorAll('td button')].every(e => e.disabled)")
        await page.click("Back to now")
        await page.sees(str(second.pid))
        assert page.errors == []


async def test_a_page_left_open_comes_back_after_a_restart_of_the_node(tmp_path: Path) -> None:
    async with real_node(tmp_path, SLEEPER + WEB) as node, browser(tmp_path) as new_page:
        await node.runs("a")
        page = await new_page()
        await page.go(await address(node))
        await page.sees("connected")
        await node.stop()
        await page.sees("connecting")
        await node.start()
        await page.sees("connected", 20)
        started = await node.runs("a", 2)
        await page.run("location.hash = '#/workers'")
        await page.sees(str(started.pid))


async def test_advice_is_approved_by_a_click(tmp_path: Path) -> None:
    toml = SLEEPER + '\n[[elf]]\nname = "healing"\nmode = "advise"\n' + WEB
    async with real_node(tmp_path, toml) as node, browser(tmp_path) as new_page:
        page = await new_page()
        await page.go(await address(node) + "#/proposals")
        await page.click("Approve: a")
        await page.sees("Written to the log")
        await node.runs("a")
        await page.sees("approved", 20)
        assert page.errors == []

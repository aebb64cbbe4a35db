"""A person with a browser: switches the language, restarts, approves, goes back in time, comes back after a restart."""

from pathlib import Path

import pytest

from events.observations import IntentSet
from events.proposals import ProposalRejected
from events.tasks import TaskSubmitted
from tests.browser.devtools import Page, chromium
from tests.real_node import real_node
from tests.web.visitor import SLEEPER, WEB, address

pytestmark = pytest.mark.skipif(
    chromium() is None, reason="no Chromium on this machine; try apt-get install chromium fonts-noto-cjk"
)
QUEUE = '[[queue]]\nname = "q"\n'
NASTY = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
PAGES = "overview workers agents tasks alerts decisions mana indicators proposals logs events".split()
UNNAMED = (
    "[...document.querySelectorAll('button, a, input, select')]"
    ".filter(e => !(e.textContent.trim() || e.ariaLabel || e.labels?.length)).length"
)
# Rows are blocks on a phone: nothing of them lies beyond its edge.
FITS = "[...document.querySelectorAll('.cards')].every(e => e.scrollWidth <= e.clientWidth + 1)"
# As if the page had been loaded from an earlier release: once, before its scripts run.
STALE = """
new MutationObserver((_, watch) => {
  const page = document.documentElement;
  if (!page?.dataset.build || sessionStorage.stale) return;
  sessionStorage.stale = 1; page.dataset.build = "an earlier one"; watch.disconnect();
}).observe(document, { childList: true, subtree: true });
"""


async def test_every_page_in_both_languages_and_widths(tmp_path: Path, page: Page) -> None:
    async with real_node(tmp_path, QUEUE + SLEEPER + WEB) as node:
        await node.runs("a")
        await node.append(TaskSubmitted(task="t1", queue="q", kind=NASTY, payload={"x": NASTY}))
        url = await address(node)
        await page.go(url)
        await page.sees("Worker state")
        await page.click("日本語")
        await page.sees("ワーカー状態")
        await page.go(url)
        await page.sees("ワーカー状態")
        await page.sees("a: 稼働すべきだが停止中")
        assert await page.run("document.documentElement.lang") == "ja"
        for name in [*PAGES, "task?id=t1", "why?id=a"]:
            await page.run(f"location.hash = '#/{name}'")
            shown = f"document.querySelector('#body').dataset.key === '{name.split('?')[0]}'"
            await page.until(f"{shown} && document.querySelector('#body').children.length")
            for width in (1280, 390):
                await page.look(tmp_path / "look.png", width, 800)
                assert await page.run("document.documentElement.scrollWidth") <= width, name
                assert width > 390 or await page.run(FITS), name
            assert await page.run(UNNAMED) == 0, name
        await page.run("location.hash = '#/task?id=t1'")
        await page.sees("<script>document.title=")
        assert await page.run("document.querySelectorAll('#body img, #body script').length") == 0
        assert await page.run("document.title") != "taken"
        assert page.errors == []


async def test_restart_and_the_way_back_in_time(tmp_path: Path, page: Page) -> None:
    async with real_node(tmp_path, SLEEPER + WEB) as node:
        first = await node.runs("a")
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
        await page.run("location.hash = '#/overview'")
        for language, reason in (
            ("日本語", "a: 稼働すべきだが停止中"),
            ("English", "a is wanted and does not run"),
        ):
            await page.click(language)
            await page.sees(reason)
        await page.run("location.hash = '#/workers'")
        await page.click("Back to now")
        await page.sees(str(second.pid))
        assert page.errors == []


async def test_a_page_left_open_comes_back_after_a_restart_of_the_node(tmp_path: Path, page: Page) -> None:
    async with real_node(tmp_path, SLEEPER + WEB) as node:
        await node.runs("a")
        await page.call("Page.addScriptToEvaluateOnNewDocument", source=STALE)
        url = await address(node)
        await page.go(url)
        # The node has another build than the page: the page loads itself again, once.
        await page.until("document.documentElement.dataset.build !== 'an earlier one'")
        await page.sees("connected")
        assert page.requests.count(url) == 2
        await node.stop()
        await page.sees("connecting")
        await node.start()
        await page.sees("connected")
        started = await node.runs("a", 2)
        await page.run("location.hash = '#/workers'")
        await page.sees(str(started.pid))
        assert page.requests.count(url) == 2


async def test_advice_is_approved_and_rejected_by_clicks(tmp_path: Path, page: Page) -> None:
    advice = '\n[[elf]]\nname = "healing"\nmode = "advise"\n'
    toml = SLEEPER + SLEEPER.replace('"a"', '"b"') + advice + WEB
    async with real_node(tmp_path, toml) as node:
        await page.go(await address(node) + "#/proposals")
        await page.click("Approve: a")
        await page.sees("Written to the log")
        await node.runs("a")
        await page.click("Reject: b")
        await node.saw(ProposalRejected, about="b")
        await page.sees("rejected")
        await page.sees("approved")
        assert page.errors == []


async def test_token_huge_log_and_ten_thousand_tasks(tmp_path: Path, page: Page) -> None:
    secret = tmp_path / "token"
    async with real_node(tmp_path, QUEUE + SLEEPER + f'\n[web]\nport = 0\nauth = "{secret}"\n') as node:
        await node.runs("a")
        await node.submit("q", [(f"t{number:05}", NASTY) for number in range(10_000)])
        with (node.data / "logs" / "a.log").open("ab") as file:
            file.truncate(45_000_000)
        with (node.data / "logs" / "a.log").open("ab") as file:
            file.write(b"y" * 100_000 + b"\n" + NASTY.encode() + b"\xff\x1b[31m\nthe last line\n")
        url = await address(node)
        await page.go(url)
        await page.type("nonsense", "#token")
        await page.click("Log in / ログイン")
        await page.sees("That was another token")
        await page.type(secret.read_text().strip(), "#token")
        await page.click("Log in / ログイン")
        await page.sees("Worker state")
        assert page.errors  # the refusal alone
        assert all("401" in error for error in page.errors)

        await page.go(url + "#/logs?name=a")
        await page.sees("the last line")
        assert await page.run("document.querySelector('pre').textContent.length") < 300_000

        await page.go(url + "#/tasks")
        await page.sees("10,000")
        rows = "document.querySelectorAll('#body .card:last-child tbody tr').length"
        assert await page.run(rows) == 100
        await page.click("Older")
        await page.sees("2 of 100")
        await page.type("t00042", "input[type=search]")
        await page.until(f"{rows} === 1")
        await page.click("t00042")
        await page.sees("<img src=x")
        assert await page.run("document.querySelectorAll('#body img').length") == 0
        assert all("401" in error for error in page.errors)

"""Takes pictures of every page of a forest that has lived a little: `python -m tests.browser.pictures FOLDER`."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import msgspec

from actors.faces.console.demo import COPIED
from events.tasks import TaskSubmitted
from tests.browser.devtools import Page, browser
from tests.real_node import ROOT, RealNode
from tests.web.visitor import address

PAGES = "overview workers agents tasks alerts decisions mana indicators proposals logs events".split()
LOOKS = [
    ("1280", 1280, "light"),
    ("390", 390, "light"),
    ("1280-dark", 1280, "dark"),
    ("390-dark", 390, "dark"),
]
THEMES = {"en": {"light": "Light", "dark": "Dark"}, "ja": {"light": "明", "dark": "暗"}}
HANDLERS = {
    "enhanced_task": ("ai_tasks", "enhanced_task:compile_and_test", "500MB"),
    "intelligent_pm": ("ai_pm", "intelligent_pm:split", "300MB"),
    "async_result": ("ai_results", "async_result:collect", "500MB"),
    "simple_task": ("dialog_task_queue", "simple_task:hash_files", "300MB"),
}
REST = """
[[queue]]
name = "work"
serve = "dispatch"
[[agent]]
name = "CC01"
skills = ["design"]
fallback = 1
[[agent]]
name = "CC02"
[[worker]]
name = "unlucky"
command = ["false"]
[[worker]]
name = "scaled"
command = ["sleep", "1000"]
min = 1
max = 3
[[elf]]
name = "healing"
rules = { crash = "advise" }
[web]
port = 0
"""


def forest() -> str:
    """Return the example's workers, two agents, one worker that cannot live and one whose healing asks first."""
    text = ""
    for name, (queue, call, limit) in HANDLERS.items():
        text += f'[[queue]]\nname = "{queue}"\n[[worker]]\nname = "{name}"\nqueue = "{queue}"\n'
        text += f'call = "examples.handlers.{call}"\ncwd = "project"\nmemory_limit = "{limit}"\n'
    return text + REST


def copy(folder: Path) -> None:
    """Let the tasks work on a copy of the project."""
    for name in COPIED:
        source, target = ROOT / name, folder / "project" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "data", ".*"))
        elif source.exists():
            shutil.copy(source, target)


async def live(node: RealNode, folder: Path) -> list[asyncio.subprocess.Process]:
    """Let agents join, work be done and one worker die."""
    elf = [sys.executable, str(ROOT / "__main__.py")]
    agents = [
        await asyncio.create_subprocess_exec(
            *elf,
            "agent",
            "run",
            name,
            "--data",
            str(node.data),
            "--exec",
            "sh -c 'sleep 4; echo 1'",
            cwd=folder,
        )
        for name in ("CC01", "CC02")
    ]
    lines = (ROOT / "examples" / "tasks.jsonl").read_text().splitlines()
    for number, line in enumerate(lines * 3, 1):
        task = msgspec.json.decode(line)
        await node.append(TaskSubmitted(task=f"t{number:03}", queue=task["queue"], payload=task["payload"]))
    for number in range(8):
        await node.append(
            TaskSubmitted(task=f"w{number}", queue="work", kind="design", payload={"n": number})
        )
    started = await node.runs("simple_task")
    await asyncio.sleep(12)
    os.kill(started.pid, signal.SIGKILL)
    await asyncio.sleep(6)
    return agents


async def look(page: Page, url: str, folder: Path, names: list[str]) -> None:
    """Take every page in both languages, at both widths, light and dark."""
    await page.go(url)
    for language in ("en", "ja"):
        await page.click("English" if language == "en" else "日本語")
        for name in names:
            await page.run(f"location.hash = '#/{name}'")
            await page.until(f"document.querySelector('#body').dataset.key === '{name.split('?')[0]}'")
            await page.until("document.querySelector('#body').children.length")
            await asyncio.sleep(0.6)
            for label, width, theme in LOOKS:
                await page.click(THEMES[language][theme])
                path = folder / f"{name.split('?')[0]}-{language}-{label}.png"
                await page.look(path, width, 900, mobile=width < 500)
    assert page.errors == []


async def main(folder: Path) -> None:
    """Run a forest and take the pictures."""
    with tempfile.TemporaryDirectory() as name:
        own = Path(name)
        copy(own)
        node = RealNode(own, "")
        node.name = "forest"
        node.configure(forest())
        async with browser(own) as new_page:
            await node.start()
            agents = await live(node, own)
            page = await new_page()
            made = next(it for it in (await node.status())["actions"] if it["elf"] == "balance")["decision"]
            more = ["task?id=t001", "why?id=simple_task", f"decision?id={made}"]
            await look(page, await address(node), folder, [*PAGES, *more])
            await page.run("location.hash = '#/overview'")
            await page.click("時間をさかのぼる")
            await page.sees("現在に戻る")
            await page.look(folder / "past-ja-1280.png", 1280, 900)
            for agent in agents:
                agent.terminate()
                await agent.wait()
            await node.stop()


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(target))

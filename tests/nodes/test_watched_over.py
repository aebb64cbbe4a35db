"""A node as those see it who watch over it: probes, figures, a service manager's watchdog, a part that hangs."""

import asyncio
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.notify_socket import NotifySocket, notify_socket
from tests.real_node import RealNode
from tests.web.visitor import SLEEPER, WEB, visit

FOREST = f'log_format = "json"\nhung_s = 4\n{SLEEPER}[[queue]]\nname = "q"\n{WEB}'
HEADERS = {"accept": "text/plain"}


def watched(folder: Path, ear: NotifySocket) -> RealNode:
    """Return a node that a service manager starts, with a watchdog of eight seconds."""
    node = RealNode(folder, FOREST)
    node.prefix = ["env", f"NOTIFY_SOCKET={ear.address}", "WATCHDOG_USEC=8000000"]
    return node


async def until(ask: Callable[[], Awaitable[Any]], good: Callable[[Any], bool], seconds: float = 60.0) -> Any:
    """Ask again until the answer is good."""
    deadline = time.monotonic() + seconds
    while not good(answer := await ask()):
        assert time.monotonic() < deadline, answer
        await asyncio.sleep(0.05)
    return answer


async def probe(web: httpx.AsyncClient, path: str) -> tuple[int, dict[str, Any]]:
    """Ask for health."""
    answer = await web.get(path)
    return answer.status_code, answer.json()


def values(text: str) -> dict[str, float]:
    """Return samples by name and labels, as the official library reads them."""
    return {
        f"{sample.name}{dict(sorted(sample.labels.items())) or ''}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_a_node_tells_who_watches_over_it_and_a_part_that_hangs_ends_the_feeding(
    tmp_path: Path,
) -> None:
    with notify_socket(f"@elf-{secrets.token_hex(6)}") as ear:
        node = watched(tmp_path, ear)
        try:
            await node.start()
            await ear.hears(lambda said: "READY=1" in said, "READY=1")
            async with visit(node) as web:
                await until(lambda: probe(web, "/readyz"), lambda got: got[0] == 200)
                assert await _figures(node, web)
                await _reads_again(node, ear)
                await _hangs_and_goes_on(node, ear, web)
            await _is_not_heard_by_its_children(node)
            assert await node.stop() == 0
            said = ear.take()
            (stopping,) = [words for words in said if words.startswith("STOPPING=1")]
            assert "EXTEND_TIMEOUT_USEC=" in stopping
            assert all(json.loads(line)["level"] for line in node.words().splitlines()), node.words()
        finally:
            await node.clear()


async def _figures(node: RealNode, web: httpx.AsyncClient) -> bool:
    answer = await web.get("/metrics", headers=HEADERS)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = values(answer.text)
    row = (await node.status())["workers"][0]
    assert found["elf_worker_up{'pool': 'a', 'worker': 'a'}"] == 1
    assert found["elf_worker_restarts_total{'pool': 'a', 'worker': 'a'}"] == row["restarts"]
    assert found["elf_node_alive"] == found["elf_node_ready"] == found["elf_node_answered"] == 1
    assert found["elf_workers{'state': 'running'}"] == 1
    assert found["elf_queue_submitted_total{'queue': 'q'}"] == 0
    assert found["process_resident_memory_bytes"] > 1e7
    return await asyncio.to_thread(_passes_the_linter, answer.text)


def _passes_the_linter(text: str) -> bool:
    """The official one, where it is installed."""
    promtool = shutil.which("promtool")
    return (
        not promtool or not subprocess.run([promtool, "check", "metrics"], input=text, text=True).returncode
    )


async def _reads_again(node: RealNode, ear: NotifySocket) -> None:
    before = len(ear.take())
    node.hup()
    await ear.hears(lambda said: "READY=1" in said[before:], "READY=1 after a reload")
    words = [word for word in ear.said[before:] if word.startswith(("RELOADING", "READY"))]
    assert words[0].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert words[1] == "READY=1"


async def _hangs_and_goes_on(node: RealNode, ear: NotifySocket, web: httpx.AsyncClient) -> None:
    """The projector writes the anchor: a pipe in its way that nobody reads holds it up for ever."""
    await ear.hears(lambda said: said.count("WATCHDOG=1") >= 2, "the watchdog to be fed twice")
    pipe = node.data / "anchor.json.new"
    while True:
        try:
            os.mkfifo(pipe)
            break
        except FileExistsError:
            await asyncio.sleep(0.001)
    code, body = await until(lambda: probe(web, "/healthz"), lambda got: got[0] == 503)
    assert "projector" in {one["name"] for one in body["hung"]}, body
    assert body["alive"] is False
    code, body = await probe(web, "/readyz")
    assert code == 503
    assert "projector for " in body["reason"]
    fed = ear.take().count("WATCHDOG=1")
    await ear.hears(lambda said: any(word.startswith("STATUS=hanging: ") for word in said), "a status")
    figures = values((await web.get("/metrics", headers=HEADERS)).text)
    assert figures["elf_node_alive"] == 0
    assert figures["elf_node_hung_actors"] >= 1
    # Longer than two feedings take with everybody there.
    await asyncio.sleep(5)
    assert ear.take().count("WATCHDOG=1") == fed
    # With the pipe gone its write fails, the projector is started again and answers.
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    pipe.unlink(missing_ok=True)
    await until(lambda: probe(web, "/healthz"), lambda got: got[0] == 200)
    os.close(reader)
    await ear.hears(lambda said: said.count("WATCHDOG=1") > fed, "the watchdog to be fed again")
    assert any("it hangs" in json.loads(line)["message"] for line in node.words().splitlines())


async def _is_not_heard_by_its_children(node: RealNode) -> None:
    for row in (await node.status())["workers"]:
        environment = _environment(row["pid"])
        assert b"NOTIFY_SOCKET" not in environment
        assert b"WATCHDOG_USEC" not in environment


def _environment(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


async def test_probes_and_figures_ask_for_the_token_like_everything_else(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("a-token-of-its-own-kind\n")
    token.chmod(0o600)
    node = RealNode(tmp_path, f'{SLEEPER}{WEB}auth = "{token}"\n')
    try:
        await node.start()
        async with visit(node) as web:
            for path in ("/healthz", "/readyz", "/metrics"):
                refused = await web.get(path)
                assert refused.status_code == 401
                assert refused.json()["error"].startswith("expected the dashboard's token")
                good = await web.get(path, headers={"authorization": "Bearer a-token-of-its-own-kind"})
                assert good.status_code in (200, 503)
        assert await node.stop() == 0
    finally:
        await node.clear()


@pytest.mark.parametrize("address", ["@elf-test-{}", "{}"])
def test_every_word_reaches_a_path_and_an_abstract_address(tmp_path: Path, address: str) -> None:
    from actors.service_manager import ServiceManager

    name = secrets.token_hex(5) if address.startswith("@") else str(tmp_path / "notify")
    with notify_socket(address.format(name)) as ear:
        around = {"NOTIFY_SOCKET": ear.address, "WATCHDOG_USEC": "1500000", "WATCHDOG_PID": str(os.getpid())}
        manager = ServiceManager(around)
        assert (around, manager.watchdog_s) == ({}, 1.5)
        manager.status("leads")
        manager.status("leads")
        manager.status("two\nlines")
        manager.alive()
        manager.ready()
        assert ear.take() == ["STATUS=leads", "STATUS=two lines", "WATCHDOG=1", "READY=1"]
        other = ServiceManager({"NOTIFY_SOCKET": ear.address, "WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"})
        other.alive()
        ServiceManager({}).ready()
        assert len(ear.take()) == 4

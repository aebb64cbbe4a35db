"""Somebody who visits a node's dashboard without a browser."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec

from tests.real_node import RealNode

WEB = "\n[web]\nport = 0\n"
SLEEPER = '[[worker]]\nname = "a"\ncommand = ["sleep", "1000"]\nstop_wait_s = 2\n'
ACT = {"x-elf": "1"}


async def address(node: RealNode, seconds: float = 60.0) -> str:
    """Wait until the node says where its dashboard is."""
    deadline = time.monotonic() + seconds
    while not (url := (await node.ask("status"))["node"]["web_url"]):
        assert time.monotonic() < deadline, node.words()
        await asyncio.sleep(0.02)
    return str(url)


@asynccontextmanager
async def visit(node: RealNode) -> AsyncIterator[httpx.AsyncClient]:
    """Come to the dashboard."""
    async with httpx.AsyncClient(base_url=await address(node), timeout=20, trust_env=False) as client:
        yield client


async def news(
    client: httpx.AsyncClient, wanted: str, after: int | None = None
) -> tuple[int, dict[str, Any]]:
    """Follow the log until a batch holds an event of a type; returns its position and body."""
    headers = {} if after is None else {"last-event-id": str(after)}
    async with asyncio.timeout(60), client.stream("GET", "/api/news", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        kind, place = "", 0
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "id":
                place = int(value)
            elif name == "data":
                body: dict[str, Any] = msgspec.json.decode(value)
                if kind == wanted or wanted in body.get("types", {}):
                    return place, body
    raise AssertionError("the stream ended")

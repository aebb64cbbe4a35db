"""A Chromium without a window, driven through the DevTools protocol: what a person clicks, sees and asks for."""

import asyncio
import base64
import os
import shutil
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_BIG = 64 << 20
# A machine that does much else at the same time is slow, not wrong.
_PATIENCE_S = 60.0


def chromium() -> str | None:
    """Return the browser of this machine, None where it has none."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


class Socket:
    """The client's side of one WebSocket: text there and back."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, url: str) -> "Socket":
        """Shake hands."""
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=_BIG)
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head, head
        return cls(reader, writer)

    async def send(self, text: bytes) -> None:
        """Send one masked text frame."""
        mask, size = os.urandom(4), len(text)
        head = bytes([0x81]) + (
            bytes([0x80 | size]) if size < 126 else bytes([0xFE]) + struct.pack(">H", size)
            if size < 65536 else bytes([0xFF]) + struct.pack(">Q", size)
        )  # fmt: skip
        body = bytes(byte ^ mask[place % 4] for place, byte in enumerate(text))
        self._writer.write(head + mask + body)
        await self._writer.drain()

    async def receive(self) -> bytes:
        """Return one message, however many frames it came in."""
        whole = b""
        while True:
            first, second = await self._reader.readexactly(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack(">H", await self._reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack(">Q", await self._reader.readexactly(8))
            part = await self._reader.readexactly(size)
            if first & 0x0F in (0, 1, 2):
                whole += part
                if first & 0x80:
                    return whole

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


class Page:
    """One page. `requests` are all addresses it ever asked for, `errors` what went wrong in its scripts."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._number = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._hearing = asyncio.get_running_loop().create_task(self._hear())

    async def _hear(self) -> None:
        while True:
            message = msgspec.json.decode(await self._socket.receive())
            if "id" in message:
                self._waiting.pop(message["id"]).set_result(message)
            elif message["method"] == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            elif message["method"] == "Runtime.exceptionThrown":
                self.errors.append(str(message["params"]["exceptionDetails"])[:600])
            elif message["method"] == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.errors.append(message["params"]["entry"]["text"])

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._number += 1
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[self._number] = answer
        await self._socket.send(msgspec.json.encode({"id": self._number, "method": method, "params": params}))
        message = await asyncio.wait_for(answer, _PATIENCE_S)
        assert "error" not in message, f"{method}: {message['error']}"
        result: dict[str, Any] = message["result"]
        return result

    async def run(self, script: str) -> Any:
        """Run a script in the page and return what it says."""
        said = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in said, said["exceptionDetails"]
        return said["result"].get("value")

    async def until(self, script: str, seconds: float = _PATIENCE_S) -> Any:
        """Wait until a script says something true; while a page loads there may be nothing that it could ask."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            said: object = ""
            try:
                if answer := await self.run(script):
                    return answer
                said = await self.run("document.body?.innerText")
            except AssertionError as problem:
                said = problem
            assert loop.time() < deadline, f"expected {script} within {seconds} s, got: {str(said)[:1500]}"
            await asyncio.sleep(0.05)

    async def sees(self, text: str, seconds: float = _PATIENCE_S) -> None:
        """Wait until a text stands on the page."""
        await self.until(f"document.body?.innerText.includes({msgspec.json.encode(text).decode()})", seconds)

    async def click(self, text: str, within: str = "body") -> None:
        """Click the first button or link with exactly this text or name."""
        wanted = msgspec.json.encode(text).decode()
        place = msgspec.json.encode(within).decode()
        find = (
            f"[...document.querySelectorAll({place} + ' button, ' + {place} + ' a')].find(e => !e.disabled &&"
            f" (e.textContent.trim() === {wanted} || e.getAttribute('aria-label') === {wanted}))"
        )
        await self.until(f"Boolean({find})")
        await self.run(f"{find}.click()")

    async def type(self, text: str, into: str) -> None:
        """Write into a field and leave it."""
        place, words = (msgspec.json.encode(it).decode() for it in (into, text))
        await self.until(f"Boolean(document.querySelector({place}))")
        await self.run(
            f"{{ const e = document.querySelector({place}); e.focus(); e.value = {words};"
            " e.dispatchEvent(new Event('input', {bubbles: true}));"
            " e.dispatchEvent(new Event('change', {bubbles: true})); }"
        )

    def foreign(self) -> list[str]:
        """Return what the page asked of anybody but this machine."""
        parts = [urlsplit(url) for url in self.requests]
        return [
            it.geturl() for it in parts if it.scheme not in ("data", "about") and it.hostname != "127.0.0.1"
        ]

    async def go(self, url: str) -> None:
        """Load an address."""
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def look(self, path: Path, width: int, height: int, mobile: bool = False) -> None:
        """Take a picture of the whole page at a width."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=mobile,
        )
        tall = int(await self.run("document.documentElement.scrollHeight"))
        clip = {"x": 0, "y": 0, "width": width, "height": min(tall, 4000), "scale": 1}
        shot = await self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))  # noqa: ASYNC240

    def close(self) -> None:
        """Stop listening."""
        self._hearing.cancel()
        self._socket.close()


@asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Callable[[], Awaitable[Page]]]:
    """Run a Chromium; yields how to open a page in it."""
    program = chromium()
    assert program
    quiet = "--no-first-run --disable-background-networking --disable-component-update --disable-sync --disable-gpu"
    # Whatever the browser itself would like to tell its maker finds no address.
    alone = "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    process = await asyncio.create_subprocess_exec(
        program,
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        *quiet.split(),
        "--window-size=1280,900",
        f"--host-resolver-rules={alone}",
        "--remote-debugging-port=0",
        f"--user-data-dir={folder / 'profile'}",
        "about:blank",
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    pages: list[Page] = []
    try:
        assert process.stderr
        async with asyncio.timeout(_PATIENCE_S):
            while b"DevTools listening on " not in (line := await process.stderr.readline()):
                assert line, "the browser ended"
        control = Page(await Socket.open(line.split(b" on ")[1].decode().strip()))
        pages.append(control)
        address = urlsplit(line.split(b" on ")[1].decode().strip()).netloc
        drain = asyncio.get_running_loop().create_task(process.stderr.read())

        async def open_page() -> Page:
            # A context of its own: no page finds what another one has stored.
            own = (await control.call("Target.createBrowserContext"))["browserContextId"]
            made = await control.call("Target.createTarget", url="about:blank", browserContextId=own)
            page = Page(await Socket.open(f"ws://{address}/devtools/page/{made['targetId']}"))
            pages.append(page)
            for domain in ("Page", "Runtime", "Network", "Log"):
                await page.call(f"{domain}.enable")
            return page

        yield open_page
        drain.cancel()
    finally:
        for page in pages:
            page.close()
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()

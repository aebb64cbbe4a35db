"""Serves the dashboard from a thread and a loop of its own: what a page asks never holds up the bus.

The port is open from the start; what serving takes is loaded when the first visitor comes, so that a node nobody looks
at does not carry it.
"""

import asyncio
import logging
import os
import select
import socket
import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from actors.config import Forest
from actors.feed import Chunk, Feed, Subscription
from actors.vitals import Look

if TYPE_CHECKING:
    from actors.faces.web.news import News

_log = logging.getLogger("elf.web")

_STOP_S = 5.0
_NEEDED = ("starlette", "uvicorn", "prometheus_client")
FILE = "web.json"


class WebServer:
    """Any thread may call. What keeps the dashboard from being there is said in the log; the node goes on."""

    def __init__(
        self, forest: Forest, data: Path, feed: Feed, about: Callable[[], dict[str, Any]], look: Look
    ) -> None:
        self._web = forest.web
        self._data = data
        self._feed = feed
        self._about = about
        self._look = look
        self._language = forest.node.language
        self._thread: threading.Thread | None = None
        self._stop: Callable[[], None] = lambda: None
        self._ending = False
        self._bell, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.url = ""
        self._open = threading.Event()

    def start(self) -> None:
        """Begin in a thread: loading what it takes must not make the node's start longer."""
        if not self._web.enabled:
            return
        self._thread = threading.Thread(target=self._run, name="elf-web", daemon=True)
        self._thread.start()

    def address(self) -> str:
        """Return where the dashboard is once that is known, empty where there will be none."""
        if self._thread:
            self._open.wait(_STOP_S)
        return self.url

    def stop(self) -> None:
        """Let every page go and end the thread."""
        self._ending = True
        os.write(self._wake, b"x")
        self._stop()
        if self._thread:
            self._thread.join(_STOP_S)
            (self._data / "run" / FILE).unlink(missing_ok=True)

    def _run(self) -> None:
        try:
            self._be_there()
        finally:
            self._open.set()

    def _be_there(self) -> None:
        if not all(find_spec(name) for name in _NEEDED):
            _log.info(
                "no dashboard: expected %s, got not all of them; try pip install 'elf-forest[web]'",
                ", ".join(_NEEDED),
            )
            return
        try:
            token = self._token()
            listener = self._listen()
        except OSError as problem:
            _log.error("no dashboard: %s", problem)
            return
        try:
            with listener:
                self._say_where(listener)
                self._open.set()
                select.select([listener.fileno(), self._bell], [], [])
                if not self._ending:
                    asyncio.run(self._serve(listener, token))
        except Exception as problem:
            if self._ending:
                return
            _log.exception("the dashboard ended: %s", problem)
        finally:
            self.url = ""

    def _token(self) -> str:
        """Return the token that a visitor must know, empty for none. Raises OSError for a file that others can read."""
        if not self._web.auth:
            return ""
        from actors.faces.web.guard import Unsafe, read_token

        try:
            return read_token(Path(self._web.auth))
        except Unsafe as problem:
            raise OSError(str(problem)) from None

    async def _serve(self, listener: socket.socket, token: str) -> None:
        import uvicorn

        from actors.faces.link import Link
        from actors.faces.web.app import Api, make_app
        from actors.faces.web.news import News
        from actors.faces.web.probes import Probes
        from actors.faces.web.site import Site
        from actors.place import Place

        name = str(self._about()["id"])
        site = Site(name, self._language)
        news = News(lambda: {**self._about(), "build": site.build, "language": self._language})
        news.open(asyncio.get_running_loop())
        link = Link(Place(self._data))
        api = Api(link, news, self._data)
        config = uvicorn.Config(
            make_app(site, api, Probes(link, self._look, str(self._about()["version"])), token),
            lifespan="off",
            ws="none",
            http="h11",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=200,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        loop = asyncio.get_running_loop()

        def stop() -> None:
            def end() -> None:
                news.end()
                server.should_exit = True

            if not loop.is_closed():
                loop.call_soon_threadsafe(end)

        self._stop = stop
        server.should_exit = self._ending
        self._follow(news)
        try:
            await server.serve(sockets=[listener])
        finally:
            news.end()
            api.close()
            await link.close()

    def _follow(self, news: "News") -> None:
        """Hear of every event from here on; what lies before is asked for."""
        place = Subscription("web", self._feed.position, lambda _: True)

        def deliver(chunk: Chunk) -> bool:
            place.taken = chunk.events[-1].position
            return news.take(chunk)

        place.deliver = deliver
        news.position = self._feed.position
        self._feed.subscribe(place)

    def _listen(self) -> socket.socket:
        """Bind the port; where any will do, the one it had last, so that open pages find their node again."""
        host = self._web.host
        ports = [self._web.port] if self._web.port else [*self._last_port(), 0]
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        for port in ports:
            # With the protocol named asyncio sends at once; else each answer waits 40 ms for an acknowledgement.
            listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((host, port))
                listener.listen(128)
            except OSError as problem:
                listener.close()
                if port == ports[-1]:
                    raise OSError(
                        f"expected {host}:{port} to be free, got {problem.strerror};"
                        " try another [web] port, 0 takes a free one"
                    ) from None
                continue
            return listener
        raise AssertionError("no port was tried")

    def _last_port(self) -> list[int]:
        try:
            known = msgspec.json.decode((self._data / "run" / "web.last").read_bytes(), type=int)
        except (OSError, msgspec.DecodeError):
            return []
        return [known] if 1024 <= known <= 65535 else []

    def _say_where(self, listener: socket.socket) -> None:
        port = listener.getsockname()[1]
        host = f"[{self._web.host}]" if ":" in self._web.host else self._web.host
        self.url = f"http://{host}:{port}/"
        folder = self._data / "run"
        (folder / "web.last").write_text(str(port))
        (folder / FILE).write_bytes(msgspec.json.encode({"url": self.url}))
        _log.info("the dashboard is at %s", self.url)

"""The files of the pages, kept in memory with their digest."""

import hashlib
import mimetypes
from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

_FOLDER = Path(__file__).parent / "static"
_KINDS = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}


class Site:
    """Serves `static/`; `build` changes whenever one of the files does."""

    def __init__(self, name: str, language: str) -> None:
        self._files = {path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir()) if path.is_file()}
        whole = b"".join(self._files.values())
        self.build = hashlib.sha256(whole).hexdigest()[:12]
        words = {"{{language}}": language, "{{node}}": name, "{{build}}": self.build}
        for page in ("index.html", "login.html"):
            text = self._files[page].decode()
            for word, value in words.items():
                text = text.replace(word, escape(value, quote=True))
            self._files[page] = text.encode()

    @property
    def login(self) -> bytes:
        """The page that asks for the token."""
        return self._files["login.html"]

    async def page(self, request: Request) -> Response:
        """Return the one page; which part of it is shown is decided in the browser."""
        return self._file(request, "index.html")

    async def asset(self, request: Request) -> Response:
        """Return a file of `static/`."""
        name = request.path_params.get("name", request.url.path.lstrip("/"))
        if name not in self._files or name.endswith(".html"):
            return Response("expected a file of the dashboard, got none of that name\n", 404)
        return self._file(request, name)

    def _file(self, request: Request, name: str) -> Response:
        data = self._files[name]
        tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        headers = {"etag": tag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match", "").removeprefix("W/") == tag:
            return Response(status_code=304, headers=headers)
        suffix = Path(name).suffix
        kind = _KINDS.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        return Response(data, headers=headers, media_type=kind)

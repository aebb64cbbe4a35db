"""Who may come in: names of this machine, the token where one is asked for, acts only from our own page."""

import asyncio
import hashlib
import hmac
import os
import secrets
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from actors.faces.japanese import japanese

SAFE = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
HEADER = "x-elf"
_WRONG_S = 0.3
_MACHINES = ("/healthz", "/readyz", "/metrics")
_OPEN = ("/static/", "/favicon.svg")


class Unsafe(Exception):
    """The token's file cannot be used; the text says why and what to do."""


def read_token(path: Path) -> str:
    """Return the token of a file, made with a fresh one where there is none. Raises Unsafe."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    except OSError as problem:
        raise Unsafe(f"expected to write {path}, got: {problem}; try another [web] auth") from None
    else:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
    try:
        mode, token = path.stat().st_mode & 0o777, path.read_text().strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise Unsafe(f"expected to read {path}, got: {problem}; try another [web] auth") from None
    if mode & 0o077:
        raise Unsafe(f"expected {path} for its owner only, got mode {mode:03o}; try chmod 600 {path}")
    if len(token) < 16:
        raise Unsafe(
            f"expected a token of at least 16 characters in {path}, got {len(token)}; try a longer one"
        )
    return token


class Guard:
    """Stands before the application."""

    def __init__(self, app: ASGIApp, token: str, login: bytes) -> None:
        self._app = app
        self._token = token
        self._login = login
        self._session = hmac.new(token.encode(), b"elf dashboard", hashlib.sha256).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let through."""
        if scope["type"] != "http":
            return

        async def safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SAFE.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        request = Request(scope, receive)
        answer = self._refusal(request) or await self._without_token(request)
        await (answer or self._app)(scope, receive, safe)

    def _refusal(self, request: Request) -> Response | None:
        host = request.headers.get("host", "")
        if not self._token and not _is_here(host):
            return wrong(
                request, 403, f"expected this machine's own name in Host, got {host!r}; try http://127.0.0.1"
            )
        if request.method in ("GET", "HEAD"):
            return None
        if not _is_own(request.headers, host):
            return wrong(
                request, 403, "expected an act from the dashboard's own page, got one from elsewhere"
            )
        if request.url.path != "/login" and request.headers.get(HEADER) != "1":
            return wrong(request, 403, f"expected the header {HEADER}: 1 with an act, got none")
        return None

    async def _without_token(self, request: Request) -> Response | None:
        path = request.url.path
        if not self._token:
            return None
        if path == "/login" and request.method == "POST":
            return await self._log_in(request)
        given = request.headers.get("authorization", "")
        bearer = given.removeprefix("Bearer ") if given.startswith("Bearer ") else ""
        if bearer and _same(bearer, self._token):
            return None
        if _same(request.cookies.get(_cookie(request), ""), self._session) or path.startswith(_OPEN):
            return None
        if bearer:
            await asyncio.sleep(_WRONG_S)
        if path.startswith("/api/") or path in _MACHINES:
            return wrong(
                request,
                401,
                f"expected the dashboard's token, got {'a wrong one' if bearer else 'none'}; log in at /",
            )
        return Response(self._login, 401, media_type="text/html; charset=utf-8")

    async def _log_in(self, request: Request) -> Response:
        body = (await request.body())[:1000].decode("utf-8", "replace")
        if not _same(parse_qs(body).get("token", [""])[0].strip(), self._token):
            await asyncio.sleep(_WRONG_S)
            again = self._login.replace(b' hidden data-when="wrong"', b"")
            return Response(again, 401, media_type="text/html; charset=utf-8")
        answer = RedirectResponse("/", 303)
        answer.set_cookie(_cookie(request), self._session, httponly=True, samesite="strict", path="/")
        return answer


def _cookie(request: Request) -> str:
    """Name the cookie by port: cookies of one machine are shared by all its ports."""
    return f"elf_{request.url.port or 80}"


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode(), right.encode())


def _is_here(host: str) -> bool:
    """Tell whether a Host names loopback: another name would be one that a foreign page had resolved to us."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name in ("localhost", "localhost.localdomain"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _is_own(headers: Headers, host: str) -> bool:
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    return origin is None or (origin != "null" and urlsplit(origin).netloc == host)


def language(request: Request) -> str:
    """Return the language that the reader's page speaks: ja, or en for any other."""
    return "ja" if request.headers.get("accept-language", "").startswith("ja") else "en"


def wrong(request: Request, code: int, text: str) -> Response:
    """Return a sentence in the language of who reads it."""
    if language(request) == "ja":
        text = japanese(text)
    return JSONResponse({"error": text}, code)

"""The addresses of the dashboard: pages, questions, acts, and the stream of what the log says."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from actors.faces import answers
from actors.faces.acts import ACTS
from actors.faces.link import Link
from actors.faces.reasons import spoken
from actors.faces.web import tails
from actors.faces.web.guard import Guard, language, wrong
from actors.faces.web.news import News, TooMany
from actors.faces.web.past import Past
from actors.faces.web.probes import Probes
from actors.faces.web.site import Site
from actors.place import ClientError
from events.log import Conflict, LogError

_log = logging.getLogger("elf.web")

_BODY = 64 * 1024
_CODES = {1: 409, 2: 400, 4: 503, 5: 503}
_QUESTIONS: dict[str, Callable[[Link, answers.Words], Awaitable[dict[str, Any]]]] = {
    "tasks": answers.tasks,
    "decisions": answers.decisions,
    "alerts": answers.alerts,
    "mana": answers.mana,
    "kpi": answers.kpi,
    "samples": answers.samples,
    "proposals": answers.proposals,
    "span": answers.span,
    "events": answers.events,
}
Endpoint = Callable[[Request], Awaitable[Response]]


class Api:
    """Answers questions in JSON; what goes wrong is a sentence."""

    def __init__(self, link: Link, news: News, data: Path) -> None:
        self._link = link
        self._data = data
        self._news = news
        self._past = Past(link.place)
        # One fold at a time: the node itself has work to do beside this.
        self._folder = ThreadPoolExecutor(1, thread_name_prefix="elf-web-past")

    def routes(self) -> list[Route]:
        """Return every address below /api."""
        asked = [Route(f"/api/{name}", said(self._question(ask))) for name, ask in _QUESTIONS.items()]
        return [
            *asked,
            Route("/api/status", said(self._status)),
            Route("/api/task/{id}", said(self._task)),
            Route("/api/decision/{id}", said(self._decision)),
            Route("/api/why/{id}", said(self._why)),
            Route("/api/at", said(self._at)),
            Route("/api/logs", said(self._logs)),
            Route("/api/logs/{name}", said(self._tail)),
            Route("/api/act/{verb}", said(self._act), methods=["POST"]),
            Route("/api/news", said(self._stream)),
        ]

    def close(self) -> None:
        """Take no more questions about the past."""
        self._folder.shutdown(wait=False, cancel_futures=True)

    def _question(self, ask: Callable[[Link, answers.Words], Awaitable[dict[str, Any]]]) -> Endpoint:
        async def answer(request: Request) -> Response:
            return _told(request, await ask(self._link, request.query_params))

        return answer

    async def _status(self, request: Request) -> Response:
        return _told(request, await self._link.status())

    async def _task(self, request: Request) -> Response:
        return _told(request, await answers.task(self._link, request.path_params["id"]))

    async def _decision(self, request: Request) -> Response:
        return _told(request, await answers.decision(self._link, request.path_params["id"]))

    async def _why(self, request: Request) -> Response:
        about = request.path_params["id"]
        told = await self._link.story(about, request.query_params.get("lang", "en"))
        if told is None:
            raise ClientError(f"expected a task, worker, agent or decision, got {about[:60]!r}", 1)
        return _json(told)

    async def _at(self, request: Request) -> Response:
        position = answers.number(request.query_params, "position", 0, 1 << 62)
        moment = answers.number(request.query_params, "time", 0, 1 << 62)
        if moment:
            position = await answers.position_at(self._link, moment)
        loop = asyncio.get_running_loop()
        return _told(request, await loop.run_in_executor(self._folder, self._past.page, position))

    async def _logs(self, _: Request) -> Response:
        return _json({"logs": await asyncio.to_thread(tails.names, self._data)})

    async def _tail(self, request: Request) -> Response:
        lines = answers.number(request.query_params, "lines", 200, tails.MOST_LINES)
        name = request.path_params["name"]
        return _json(await asyncio.to_thread(tails.tail, self._data, name, lines))

    async def _act(self, request: Request) -> Response:
        act = ACTS.get(request.path_params["verb"])
        if act is None:
            raise ClientError(f"expected one of {', '.join(ACTS)}, got {request.path_params['verb'][:40]!r}")
        raw = b""
        async for piece in request.stream():
            raw += piece
            if len(raw) > _BODY:
                raise ClientError(f"expected at most {_BODY} bytes, got more")
        position = await act(self._link, msgspec.json.decode(raw or b"{}", type=dict[str, Any]))
        self._link.forget()
        return _json({"position": position})

    async def _stream(self, request: Request) -> Response:
        text = request.headers.get("last-event-id") or request.query_params.get("after", "")
        stream = self._news.stream(self._link, int(text) if text.isdecimal() else None)
        first = await anext(aiter(stream))

        async def all_of_it() -> Any:
            yield first
            async for message in stream:
                yield message

        return StreamingResponse(all_of_it(), media_type="text/event-stream")


def said(endpoint: Endpoint) -> Endpoint:
    """Turn what goes wrong in an endpoint into a sentence with a code."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ClientError as problem:
            return wrong(request, _CODES.get(problem.code, 400), str(problem))
        except TooMany as problem:
            return wrong(request, 503, str(problem))
        except Conflict as problem:
            return wrong(
                request, 409, f"expected nobody else to act on it meanwhile, got {problem}; try again"
            )
        except LogError as problem:
            return wrong(request, 503, f"expected the log to take it, got: {problem}; try again in a moment")
        except msgspec.DecodeError as problem:
            return wrong(request, 400, f"expected a JSON object, got: {problem}")
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as problem:
            _log.exception("%s failed", request.url.path)
            return wrong(
                request, 500, f"expected an answer, got {type(problem).__name__}; the node's log says more"
            )

    return answer


def make_app(site: Site, api: Api, probes: Probes, token: str) -> Starlette:
    """Put the addresses together behind the guard."""
    pages = [
        Route("/", site.page),
        Route("/static/{name}", site.asset),
        Route("/favicon.svg", site.asset),
    ]
    middleware = [
        Middleware(Guard, token=token, login=site.login),
        Middleware(GZipMiddleware, minimum_size=600, compresslevel=5),
    ]
    return Starlette(routes=[*pages, *probes.routes(), *api.routes()], middleware=middleware)


def _told(request: Request, answer: dict[str, Any]) -> Response:
    """Say what the log says in the language of who reads it."""
    return _json(spoken(answer, language(request)))


def _json(body: object) -> Response:
    return Response(msgspec.json.encode(body, enc_hook=str), media_type="application/json")

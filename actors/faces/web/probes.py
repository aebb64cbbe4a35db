"""What machines ask: whether the node lives, whether it does its work, and its figures for Prometheus."""

import asyncio

import msgspec
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from actors.faces.link import Link
from actors.faces.web.figures import registry_of
from actors.place import ClientError
from actors.vitals import Look


class Probes:
    """Health is answered without the bus: a node that hangs must still be able to say so."""

    def __init__(self, link: Link, look: Look, version: str) -> None:
        self._link = link
        self._look = look
        self._version = version

    def routes(self) -> list[Route]:
        """Return the addresses."""
        return [
            Route("/healthz", self._healthz),
            Route("/readyz", self._readyz),
            Route("/metrics", self._metrics),
        ]

    async def _healthz(self, _: Request) -> Response:
        vitals = self._look()
        return _json(vitals.health(), vitals.alive)

    async def _readyz(self, _: Request) -> Response:
        body = self._look().ready()
        return _json(body, body["ready"])

    async def _metrics(self, request: Request) -> Response:
        """Without an answer of the actors the figures of the process and its health are still there."""
        try:
            async with asyncio.timeout(4.0):
                page = await self._link.status()
        except (ClientError, TimeoutError):
            page = None
        registry = registry_of(self._look(), page, self._version)
        encode, kind = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": kind})


def _json(body: object, good: bool) -> Response:
    return Response(msgspec.json.encode(body), 200 if good else 503, media_type="application/json")

"""The node as a NATS service: answers `$SRV.PING`, `$SRV.INFO` and `$SRV.STATS` for the verbs of `ctl.>`.

The shapes are the client library's. Its own endpoints are not used: each answers one request at a time, and a long
`sql` would hold up the next one.
"""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from nats.aio.msg import Msg
from nats.micro.service import EndpointInfo, EndpointStats, ServiceInfo, ServicePing, ServiceStats

from actors.bus import Bus
from actors.permissions import SERVICE as NAME

AGENTS = "agent-questions"
"""The endpoint of everything that agents ask."""
ERROR = "Nats-Service-Error"
ERROR_CODE = "Nats-Service-Error-Code"
_DESCRIPTION = "The control plane of a node: JSON objects for JSON objects"


class ServiceApi:
    """Lives on the bus. `counted` is called with each request that was answered."""

    def __init__(self, bus: Bus, node: str, version: str) -> None:
        self._bus = bus
        self._version = version
        self._id = secrets.token_hex(11)
        self._metadata = {"node": node}
        self._started = datetime.now(UTC)
        self._stats: dict[str, EndpointStats] = {}

    async def start(self, verbs: Sequence[str]) -> None:
        """Begin to listen, for these verbs."""
        for name in verbs:
            self._stats[name] = _no_requests(name, f"ctl.{name}")
        self._stats[AGENTS] = _no_requests(AGENTS, "ctl.agent.*")
        subscribe = self._bus.connection.client.subscribe
        for subject in ("$SRV.*", f"$SRV.*.{NAME}", f"$SRV.*.{NAME}.{self._id}"):
            await subscribe(subject, cb=self._heard)

    def counted(self, verb: str, took_ns: int, error: str = "") -> None:
        """Take one request into the figures; unknown verbs are no endpoint of ours."""
        stats = self._stats.get(verb)
        if stats is None:
            return
        stats.num_requests += 1
        stats.processing_time += took_ns
        stats.average_processing_time = stats.processing_time // stats.num_requests
        if error:
            stats.num_errors += 1
            stats.last_error = error[:300]

    async def _heard(self, message: Msg) -> None:
        answer = self._answer(message.subject.split(".")[1])
        # Who asks chooses where the answer goes; the node may write where others may not.
        if answer is not None and message.reply.startswith("_INBOX."):
            await self._bus.connection.client.publish(message.reply, msgspec.json.encode(answer.to_dict()))

    def _answer(self, verb: str) -> ServicePing | ServiceInfo | ServiceStats | None:
        match verb:
            case "PING":
                return ServicePing(self._id, NAME, self._version, self._metadata)
            case "INFO":
                endpoints = [EndpointInfo(one.name, one.subject, "") for one in self._stats.values()]
                return ServiceInfo(NAME, self._id, self._version, _DESCRIPTION, endpoints, self._metadata)
            case "STATS":
                stats = list(self._stats.values())
                return ServiceStats(self._id, NAME, self._version, self._started, stats, self._metadata)
            case _:
                return None


def error_headers(code: int, text: str) -> dict[str, str]:
    """Return what tells every client of services that a request was refused; the answer itself says the same."""
    return {ERROR: " ".join(text.split())[:500], ERROR_CODE: str(code)}


def _no_requests(name: str, subject: str) -> EndpointStats:
    return EndpointStats(name, subject, "", 0, 0, 0, 0)

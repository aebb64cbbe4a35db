"""What can be asked of a running node, beside the log: its state, SQL, its actors, a signal to a unit."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from typing import Any

import pykka

from actors.control import Answer, Refused, Verb, asked
from actors.feed import Feed
from actors.foreman import ShowJobs
from actors.herald import ShowReminders
from actors.projector import Ask, Publish
from actors.roster import Show

_PAGE_S = 5.0
_NEWS_S = 10.0
_SQL_S = 20.0
_PUBLISH_S = 120.0


class Desk:
    """The verbs of `ctl.>`. Lives on the bus; asks actors by message only."""

    def __init__(
        self,
        about: Callable[[], dict[str, Any]],
        tell: Callable[[str, object], bool],
        knows: Callable[[str], bool],
        feed: Feed,
        actors: Mapping[str, pykka.ActorRef[Any]],
    ) -> None:
        self._about = about
        self._tell = tell
        self._knows = knows
        self._feed = feed
        self._actors = actors

    def verbs(self) -> dict[str, Verb]:
        """Return the verbs by name."""
        return {
            "status": self._status,
            "sql": self._sql,
            "check": self._check,
            "signal": self._signal,
            "reminders": self._reminders,
            "jobs": self._jobs,
            "publish": self._publish,
        }

    async def _status(self, body: dict[str, Any]) -> Answer:
        """Answer with the page; to one who names the position it has seen, once there is more or time is over."""
        after, seconds = body.get("after"), body.get("wait_s", _NEWS_S)
        if isinstance(after, int) and isinstance(seconds, int | float):
            await self._feed.beyond(after, min(max(float(seconds), 0.0), _NEWS_S))
        page = await asked(
            asyncio.get_running_loop(), lambda reply: self._tell("roster", Show(reply)), _PAGE_S
        )
        return {"ok": True, "node": {**self._about(), "position": page.pop("position")}, **page}

    async def _reminders(self, _: dict[str, Any]) -> Answer:
        return await asked(
            asyncio.get_running_loop(), lambda reply: self._tell("herald", ShowReminders(reply)), _PAGE_S
        )

    async def _jobs(self, _: dict[str, Any]) -> Answer:
        return await asked(
            asyncio.get_running_loop(), lambda reply: self._tell("foreman", ShowJobs(reply)), _PAGE_S
        )

    async def _sql(self, body: dict[str, Any]) -> Answer:
        sql, params = body.get("sql"), body.get("params", [])
        if not isinstance(sql, str) or not isinstance(params, list):
            raise Refused("expected {sql: text, params: list}")
        limit = int(body.get("limit") or 10_000)
        return await asked(
            asyncio.get_running_loop(),
            lambda reply: self._tell("projector", Ask(sql, params, limit, reply)),
            _SQL_S,
        )

    async def _publish(self, _: dict[str, Any]) -> Answer:
        return await asked(
            asyncio.get_running_loop(), lambda reply: self._tell("projector", Publish(reply)), _PUBLISH_S
        )

    async def _check(self, _: dict[str, Any]) -> Answer:
        alive = {name: ref.is_alive() for name, ref in self._actors.items()}
        return {"ok": True, "position": self._feed.position, "lags": self._feed.lags(), "actors": alive}

    async def _signal(self, body: dict[str, Any]) -> Answer:
        unit, name = str(body.get("unit", "")), str(body.get("signal", ""))
        number = getattr(signal, f"SIG{name.removeprefix('SIG')}", None)
        if number is None:
            raise Refused(f"expected the name of a signal, got {name!r}; try USR1")
        if not self._knows(unit):
            raise Refused(f"expected a unit, got {unit!r}; try elf status", 1)
        self._tell("executor", (unit, int(number)))
        return {"ok": True}

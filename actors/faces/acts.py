"""What people do on dashboards, said in the log as the operator says it on the command line."""

from collections.abc import Awaitable, Callable
from typing import Any, get_args

from actors import second_chances
from actors.faces.link import Link
from actors.place import ClientError
from events.agents import AgentIntent, AgentIntentSet
from events.controls import AlertAcknowledged, AlertSilenced, ElvesPaused, ElvesResumed
from events.event import Event
from events.observations import Intent
from events.proposals import ProposalApproved, ProposalRejected

Body = dict[str, Any]
_ONE = "SELECT id, elf, rule, target, state FROM proposals WHERE id = ? ORDER BY seq DESC LIMIT 1"


async def worker(link: Link, body: Body) -> int:
    """Say what a worker or a pool shall do. `do` is an intent, or restart."""
    name, do = _text(body, "name"), _text(body, "do")
    page = await link.status()
    known = {row["name"] for row in page["workers"]} | {row["name"] for row in page["pools"]}
    if name not in known:
        raise ClientError(f"expected a worker or a pool, got {name!r}; try one of the page", 1)
    client = await link.client()
    if do == "restart":
        return await client.intend(name, "run", restart=True, reason=_reason(body))
    for intent in get_args(Intent):
        if do == intent:
            return await client.intend(name, intent, reason=_reason(body))
    raise ClientError(f"expected restart or one of {', '.join(get_args(Intent))}, got {do!r}")


async def scale(link: Link, body: Body) -> int:
    """Say how many processes a pool shall have, -1 for what the forest thinks."""
    name, count = _text(body, "name"), body.get("count")
    pools = {row["name"]: row for row in (await link.status())["pools"]}
    if name not in pools:
        raise ClientError(f"expected a pool of workers, got {name!r}; try one of the page", 1)
    most = pools[name]["max"]
    if type(count) is not int or not -1 <= count <= most:
        raise ClientError(f"expected 0 to {most} processes of {name}, or -1 for auto, got {count!r}")
    return await (await link.client()).scale(name, count, reason=_reason(body))


async def agent(link: Link, body: Body) -> int:
    """Say whether an agent shall take tasks."""
    name, do = _text(body, "name"), _text(body, "do")
    if name not in {row["name"] for row in (await link.status())["agents"]}:
        raise ClientError(f"expected an agent, got {name!r}; try one of the page", 1)
    for intent in get_args(AgentIntent):
        if do == intent:
            return await (await link.client()).say(
                AgentIntentSet(agent=name, intent=intent, reason=_reason(body))
            )
    raise ClientError(f"expected one of {', '.join(get_args(AgentIntent))}, got {do!r}")


async def task(link: Link, body: Body) -> int:
    """Withdraw a task, or hand it out again."""
    name, do = _text(body, "name"), _text(body, "do")
    client = await link.client()
    try:
        if do == "cancel":
            return await client.cancel(name, _reason(body))
        if do == "retry":
            return await second_chances.retry(client, name)
    except ValueError as problem:
        raise ClientError(str(problem)) from None
    raise ClientError(f"expected cancel or retry, got {do!r}")


async def proposal(link: Link, body: Body) -> int:
    """Say yes or no to what an elf proposes or advises."""
    wanted, do = _text(body, "name"), _text(body, "do")
    if do not in ("approve", "reject"):
        raise ClientError(f"expected approve or reject, got {do!r}")
    rows = await link.rows(_ONE, [wanted])
    if not rows or rows[0]["state"] != "open":
        got = rows[0]["state"] if rows else "none"
        raise ClientError(f"expected an open proposal, got {wanted[:60]!r}: {got}; load the page again", 1)
    said = answer(rows[0], do == "approve", _reason(body))
    return await (await link.client()).say(said, cause=rows[0]["id"])


def answer(row: Body, approve: bool, reason: str) -> Event:
    """Return what a person says to a proposal or a piece of advice, a row of the view `proposals`."""
    kind = ProposalApproved if approve else ProposalRejected
    return kind(decision=row["id"], elf=row["elf"], rule=row["rule"], about=row["target"], reason=reason)


async def alert(link: Link, body: Body) -> int:
    """Say that somebody knows of an open alert, or keep it from every channel for so many seconds."""
    cause, about, do = _text(body, "name"), _text(body, "target"), _text(body, "do")
    if not any(row["cause"] == cause and row["target"] == about for row in (await link.status())["alerts"]):
        raise ClientError(f"expected an open alert, got {cause} of {about}; load the page again", 1)
    client = await link.client()
    if do == "acknowledge":
        return await client.say(AlertAcknowledged(alert=cause, about=about, reason=_reason(body)))
    seconds = body.get("seconds", 3600)
    if do != "silence" or not isinstance(seconds, int | float) or not 0 <= seconds <= 30 * 86400:
        raise ClientError(f"expected acknowledge, or silence with seconds up to 30 days, got {do!r}")
    return await client.say(
        AlertSilenced(alert=cause, about=about, seconds=float(seconds), reason=_reason(body))
    )


async def elves(link: Link, body: Body) -> int:
    """Let all elves only observe, or go on in their own modes."""
    do = _text(body, "do")
    if do not in ("pause", "resume"):
        raise ClientError(f"expected pause or resume, got {do!r}")
    said = (ElvesPaused if do == "pause" else ElvesResumed)(reason=_reason(body))
    return await (await link.client()).say(said)


ACTS: dict[str, Callable[[Link, Body], Awaitable[int]]] = {
    "worker": worker,
    "scale": scale,
    "agent": agent,
    "task": task,
    "alert": alert,
    "proposal": proposal,
    "elves": elves,
}


def _text(body: Body, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value or len(value) > 300:
        raise ClientError(f"expected {name} as text, got {str(value)[:60]!r}")
    return value


def _reason(body: Body) -> str:
    value = body.get("reason", "")
    if not isinstance(value, str) or len(value) > 1000:
        raise ClientError("expected reason as text of at most 1,000 characters")
    return value

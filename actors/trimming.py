"""Empties the stream below what is sealed, with the one user that may."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from actors.bus import Bus
from actors.connection import Credentials, connect
from actors.jetstream import jetstream_api
from events.log import LogRefused, LogUnreachable
from events.subjects import EVERYTHING, LOG
from projections.archive import Bound, floor_of

# Two words below `log.`: every event but `log.lease`, which fencing compares with and which therefore stays.
ALL_BUT_LEASES = "log.*.>"
_PURGE_S = 60.0


class Trimmed(Struct, frozen=True):
    """Below `bound` nothing but leases is in the stream; `messages` left it just now."""

    bound: Bound
    messages: int


async def trim(
    bus: Bus, archive: Credentials, bounds: list[Bound], least: int, mark: Callable[[int], None]
) -> Trimmed | None:
    """Purge below the lowest bound, consumers' places included; None when that is not above `least`.

    `mark` is told the position first: a start after a crash in between must know what may be missing.
    Raises LogUnreachable or LogRefused; what was purged before an error stays purged and may be purged again.
    """
    floor = floor_of([*bounds, *await _consumers(bus)])
    if floor.position <= least:
        return None
    mark(floor.position)
    connection = await connect(archive, "elf-archive", attempts=0)
    try:
        answer = await jetstream_api(
            connection, f"STREAM.PURGE.{LOG}", {"filter": ALL_BUT_LEASES, "seq": floor.position}, _PURGE_S
        )
    finally:
        await connection.close()
    if "error" in answer:
        raise LogRefused(f"expected the stream to be emptied below {floor.position}, got {answer['error']}")
    return Trimmed(floor, int(answer["purged"]))


async def _consumers(bus: Bus) -> list[Bound]:
    """Return from where each consumer still needs the stream; one that has nothing to come needs nothing."""
    bounds: list[Bound] = []
    seen = 0
    while True:
        answer = await jetstream_api(bus.connection, f"CONSUMER.LIST.{LOG}", {"offset": seen})
        if "error" in answer:
            raise LogUnreachable(f"expected the consumers of {LOG}, got {answer['error']['description']}")
        page: list[dict[str, Any]] = answer.get("consumers") or []
        seen += len(page)
        for one in page:
            # What an agent that is away was once assigned goes to others; it need not find that again.
            if not one["name"].startswith("a_") and (one["num_pending"] or one["num_ack_pending"]):
                bounds.append(await _bound(bus, one))
        if not page or seen >= int(answer["total"]):
            return bounds


async def _bound(bus: Bus, consumer: dict[str, Any]) -> Bound:
    """Return the first message behind what is acknowledged, or delivered where nobody acknowledges."""
    kind = "delivered" if consumer["config"]["ack_policy"] == "none" else "ack_floor"
    done = int(consumer[kind]["stream_seq"])
    subject = consumer["config"].get("filter_subject") or EVERYTHING
    following = await bus.log.next(done, subject)
    return Bound(consumer["name"], following.position if following else done + 1)

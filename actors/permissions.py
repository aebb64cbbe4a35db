"""Who may say and hear what on the server: one user for each role, one for each pool of workers."""

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from actors.connection import Credentials
from events.subjects import CLASSES, queue_consumer

# What the credentials file of an agent is called before its name.
AGENT_FILE = "agent-"

SERVICE = "elf-forest"
"""What the node is called as a NATS service."""
# What discovers services asks; only the operator may.
_SERVICE = [f"$SRV.{verb}{more}" for verb in ("PING", "INFO", "STATS") for more in ("", ".>")]
_READ = ["$JS.API.DIRECT.GET.LOG", "$JS.API.DIRECT.GET.LOG.>"]


class User(Struct, frozen=True, kw_only=True):
    """One user's name, the `<role>.<writer>` of its events, and its subjects.

    A `remote` one is not trusted with more: it lives in an account of its own and may only answer what it is asked.
    """

    name: str
    source: str
    publish: Sequence[str]
    subscribe: Sequence[str]
    deny_publish: Sequence[str] = ()
    remote: bool = False


def users_of(
    node: str, pools: Mapping[str, str], agents: Sequence[str] = (), dispatched: Sequence[str] = ()
) -> list[User]:
    """Return every user of a node.

    `pools` maps the task workers' pools to their queues; `dispatched` are the queues whose tasks agents get.
    """
    users = [
        User(
            name="node",
            source=f"node.{node}",
            publish=[
                f"log.node.{node}.>",
                "log.lease",
                "$JS.API.>",
                "$JS.ACK.>",
                "run.>",
                "agent.>",
                "_INBOX.*.>",
                "_R_.>",
            ],
            deny_publish=["$JS.API.STREAM.PURGE.>", "$JS.API.STREAM.DELETE.>", "$JS.API.STREAM.MSG.DELETE.>"],
            subscribe=[
                "_INBOX.node.>",
                "ctl.>",
                "beat.>",
                "$JS.EVENT.ADVISORY.>",
                "$SRV.*",
                f"$SRV.*.{SERVICE}.>",
                f"$SRV.*.{SERVICE}",
            ],
        ),
        User(
            name="archive",
            source="archive.log",
            publish=["$JS.API.STREAM.PURGE.LOG", "$JS.API.STREAM.INFO.LOG", *_READ],
            subscribe=["_INBOX.archive.>"],
        ),
        User(
            name="client",
            source="client.cli",
            publish=["log.client.cli.>", "ctl.status", "ctl.sql", *_READ],
            subscribe=["_INBOX.client.>", "log.*.*.task.>"],
        ),
        User(
            name="operator",
            source="operator.cli",
            publish=["log.operator.cli.>", "ctl.>", "$JS.API.CONSUMER.MSG.NEXT.LOG.*", *_READ, *_SERVICE],
            subscribe=["_INBOX.operator.>", "log.>"],
        ),
    ]
    users.extend(worker_user(pool, queue) for pool, queue in sorted(pools.items()))
    users.extend(agent_user(name, dispatched) for name in sorted(agents))
    return users


def worker_user(pool: str, queue: str) -> User:
    """Return the user of one pool: its own events, its own queue's classes, its own beats."""
    consumers = [queue_consumer(queue, rank) for rank in range(len(CLASSES))]
    return User(
        name=f"worker-{pool}",
        source=f"worker.{pool}",
        publish=[
            f"log.worker.{pool}.>",
            f"beat.{pool}.>",
            *(f"$JS.API.CONSUMER.MSG.NEXT.LOG.{name}" for name in consumers),
            *(f"$JS.ACK.LOG.{name}.>" for name in consumers),
            *_READ,
        ],
        subscribe=[f"_INBOX.worker-{pool}.>", f"run.{pool}.>", f"log.*.*.task.{queue}.*.cancelled"],
    )


def agent_user(name: str, dispatched: Sequence[str]) -> User:
    """Return the user of one remote agent: its own word, its own assignments, its own beats, and nothing else."""
    log = f"log.agent.{name}"
    ends = ("started.*", "finished", "failed.*", "released.*")
    return User(
        name=f"{AGENT_FILE}{name}",
        source=f"agent.{name}",
        publish=[
            f"{log}.agent_joined.{name}",
            f"{log}.agent_left.{name}",
            f"{log}.handed_over.*",
            f"{log}.result_salvaged.*",
            *(f"{log}.task.{queue}.*.{end}" for queue in sorted(dispatched) for end in ends),
            f"beat.agent.{name}",
            f"ctl.agent.{name}",
            f"$JS.API.CONSUMER.MSG.NEXT.LOG.a_{name}",
            f"$JS.ACK.LOG.a_{name}.>",
            f"$JS.API.DIRECT.GET.LOG.{log}.>",
        ],
        subscribe=[f"_INBOX.{AGENT_FILE}{name}.>", f"agent.{name}.>"],
        remote=True,
    )


def agents_with_files(folder: Path) -> list[str]:
    """Return the agents that have a credentials file in a folder of secrets."""
    return sorted(path.stem.removeprefix(AGENT_FILE) for path in folder.glob(f"{AGENT_FILE}*.json"))


def agent_file(folder: Path, name: str) -> Path:
    """Return where an agent's credentials are."""
    return folder / f"{AGENT_FILE}{name}.json"


def issue(folder: Path, url: str, users: Sequence[User]) -> dict[str, Credentials]:
    """Write `<folder>/<user>.json` for each user, keeping passwords that exist; files are 0600."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    issued = {}
    for user in users:
        path = folder / f"{user.name}.json"
        password = _known_password(path) or secrets.token_urlsafe(24)
        credentials = Credentials(url=url, user=user.name, password=password, source=user.source)
        write_secret(path, msgspec.json.format(msgspec.json.encode(credentials)))
        issued[user.name] = credentials
    return issued


def _known_password(path: Path) -> str:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Credentials).password
    except (FileNotFoundError, msgspec.DecodeError):
        return ""


def write_secret(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, in one step."""
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    temporary.replace(path)

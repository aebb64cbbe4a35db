"""Where a forest is and how to log in there: a data folder on this machine, an address, or both."""

import asyncio
import contextlib
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import msgspec

from actors.connection import Credentials, read_credentials

Role = Literal["operator", "client"]


class ClientError(Exception):
    """What a command answers in one line; `code` is its exit code."""

    def __init__(self, text: str, code: int = 2) -> None:
        super().__init__(text)
        self.code = code


class NodeUnreachable(ClientError):
    """Neither the node nor its server answers."""

    def __init__(self, text: str) -> None:
        super().__init__(text, 4)


class Place:
    """Where a forest is: its data folder on this machine, the address of its server, or both."""

    def __init__(self, data: Path | None, nats: str = "") -> None:
        self.data = data
        self.nats = nats

    def __str__(self) -> str:
        return _without_password(self.nats) if self.nats else str(self.data)

    def credentials(self, role: Role) -> Credentials:
        """Return how to log in as a role. Raises NodeUnreachable that says what is missing."""
        parts = urlsplit(self.nats)
        if parts.username:
            host = parts.netloc.rpartition("@")[2]
            user = unquote(parts.username)
            source = f"{user}.cli" if user in ("operator", "client") else f"client.{user}"
            return Credentials(
                url=f"{parts.scheme}://{host}",
                user=user,
                password=unquote(parts.password or ""),
                source=source,
            )
        if self.data is None:
            raise ClientError(
                f"expected a user in the address, got {self.nats}; try --nats nats://USER:PASSWORD@HOST:PORT"
                " or --data DIR"
            )
        try:
            known = read_credentials(self.data / "secrets" / f"{role}.json")
        except FileNotFoundError:
            raise NodeUnreachable(
                f"expected a forest in {self.data}, got no secrets/{role}.json there;"
                " try elf node --config forest.toml, or --data DIR"
            ) from None
        except (OSError, msgspec.DecodeError) as problem:
            raise ClientError(
                f"expected to read {self.data}/secrets/{role}.json, got: {problem}; try it as the node's user"
            ) from None
        return msgspec.structs.replace(known, url=self.nats) if self.nats else known


async def knock(credentials: Credentials) -> None:
    """Log in and out once: the client of NATS tries a closed port for ever and leaves a refused login open.

    Raises NodeUnreachable on a refusal, OSError when nothing answers as NATS does.
    """
    parts = urlsplit(credentials.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 4222)
    words = {"verbose": False, "pedantic": False, "user": credentials.user, "pass": credentials.password}
    try:
        if not (await reader.readline()).startswith(b"INFO"):
            raise ConnectionError("no server of NATS")
        writer.write(b"CONNECT " + msgspec.json.encode(words) + b"\r\nPING\r\n")
        answer = await reader.readline()
        if answer.startswith(b"-ERR"):
            raise NodeUnreachable(
                f"expected {credentials.url} to know the user {credentials.user}, got a refusal;"
                " try the data folder of the node that runs there"
            )
        if not answer.startswith(b"PONG"):
            raise ConnectionError("no server of NATS")
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

"""One request over HTTP, blocking: nothing is followed, nothing is kept, an error never tells the address."""

from collections.abc import Mapping

from msgspec import Struct


class Unreached(Exception):
    """Nobody answered, or not in HTTP."""


class Answer(Struct, frozen=True):
    """What came back; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def send(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, timeout_s: float = 10.0
) -> Answer:
    """Send and return the answer, whatever its status. Raises Unreached."""
    if not url.startswith(("http://", "https://")):
        raise Unreached("expected an address that begins with http:// or https://")
    # Most nodes send nothing, and the client of the standard library would lie 0.8 MB heavy in their memory.
    from actors.web_exchange import exchange

    return exchange(method, url, headers, body, timeout_s)

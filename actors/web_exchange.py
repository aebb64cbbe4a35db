"""HTTP by the standard library: one request, one answer, no redirection."""

import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message
from http.client import HTTPException, HTTPMessage
from typing import IO

LIMIT = 8 * 1024 * 1024
"""So many bytes of an answer are read."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> None:
        """What is sent may be secret: it goes where it was meant to go or nowhere."""
        return


_opener = urllib.request.build_opener(_NoRedirect)


def exchange(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout_s: float
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of the answer, whatever its status. Raises ConnectionError without any."""
    request = urllib.request.Request(url, data=body, headers=dict(headers), method=method)  # noqa: S310 - checked
    try:
        with _opener.open(request, timeout=timeout_s) as reply:
            return reply.status, _lower(reply.headers), reply.read(LIMIT)
    except urllib.error.HTTPError as problem:
        with problem:
            return problem.code, _lower(problem.headers), problem.read(LIMIT)
    except urllib.error.URLError as problem:
        raise ConnectionError(getattr(problem.reason, "strerror", None) or str(problem.reason)) from None
    except (OSError, HTTPException, ValueError) as problem:
        raise ConnectionError(type(problem).__name__) from None


def _lower(headers: "Message[str, str]") -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}

"""HTTP by the standard library: one request, one answer, no redirection."""

import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message
from http.client import HTTPException, HTTPMessage
from typing import IO

from actors.web_request import Answer, Unreached

_LIMIT = 8 * 1024 * 1024


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
) -> Answer:
    """Send and return the answer, whatever its status. Raises Unreached."""
    request = urllib.request.Request(url, data=body, headers=dict(headers), method=method)  # noqa: S310 - checked
    try:
        with _opener.open(request, timeout=timeout_s) as reply:
            return Answer(reply.status, _lower(reply.headers), reply.read(_LIMIT))
    except urllib.error.HTTPError as problem:
        with problem:
            return Answer(problem.code, _lower(problem.headers), problem.read(_LIMIT))
    except urllib.error.URLError as problem:
        raise Unreached(f"no answer: {getattr(problem.reason, 'strerror', None) or problem.reason}") from None
    except (OSError, HTTPException, ValueError) as problem:
        raise Unreached(f"no answer: {type(problem).__name__}") from None


def _lower(headers: "Message[str, str]") -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}

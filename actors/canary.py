"""Whether a canary came back: its result, and the artefact that it had to make."""

from pathlib import Path

import msgspec

from actors.agent_words import Canaried
from actors.config import Canary

_LOOKED_AT = 1024 * 1024

Mark = tuple[int, int, int] | None
"""Inode, size and time of change of a file, None where there is none."""


def before(canary: Canary) -> Mark:
    """Return how the artefact looks before the canary is asked for: an old one proves nothing."""
    return _mark(canary.artefact) if canary.artefact else None


def verdict(canary: Canary, said: Canaried, there: Mark) -> str:
    """Return what is wrong with an answer, nothing when it is right."""
    if not said.ok:
        return f"expected the canary to be done, got: {said.error}"
    if canary.result and canary.result not in (said.result, _text(said.result)):
        return f"expected the canary's result {canary.result!r}, got {_text(said.result)[:200]!r}"
    if not canary.artefact:
        return ""
    now = _mark(canary.artefact)
    if now is None:
        return f"expected the canary to make {canary.artefact}, got no such file"
    if now == there:
        return f"expected the canary to make {canary.artefact} anew, got the old one"
    return _holds(Path(canary.artefact), canary.contains)


def _holds(path: Path, text: str) -> str:
    if not path.is_file():
        # A pipe would keep whoever opens it waiting for ever.
        return f"expected {path} to be a file, got something else"
    if not text:
        return ""
    try:
        with path.open("rb") as file:
            found = text.encode() in file.read(_LOOKED_AT)
    except OSError as problem:
        return f"expected to read {path}, got: {problem.strerror}"
    return "" if found else f"expected {path} to hold {text!r}, got something else"


def _mark(path: str) -> Mark:
    try:
        stat = Path(path).stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _text(result: object) -> str:
    return result if isinstance(result, str) else msgspec.json.encode(result).decode()

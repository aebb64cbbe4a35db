"""How a command fails: one line on stderr and an exit code."""

import errno
import itertools
import os
import sys
from collections.abc import Sequence
from enum import IntEnum

_ADVICE = {errno.EACCES: "its permissions", errno.EPERM: "its permissions", errno.ENOSPC: "making room"}


class Exit(IntEnum):
    """What scripts may rely on."""

    FINE = 0
    NO = 1
    USAGE = 2
    DAMAGED = 3
    UNREACHABLE = 4
    CANNOT_SAY = 5


class Failure(Exception):
    """A command's answer when it cannot do what was asked."""

    def __init__(self, text: str, code: int = Exit.USAGE) -> None:
        super().__init__(text)
        self.code = code


def explain(problem: BaseException) -> tuple[str, int] | None:
    """Return the line and the exit code of an expected problem, None for a defect of ours."""
    code = getattr(problem, "code", None)
    if isinstance(problem, Exception) and isinstance(code, int):
        return str(problem), code
    from events.log import LogDamaged, LogError, LogUnreachable

    if isinstance(problem, LogError):
        for kind, number in ((LogDamaged, Exit.DAMAGED), (LogUnreachable, Exit.UNREACHABLE)):
            if isinstance(problem, kind):
                return str(problem), number
        return str(problem), Exit.NO
    if isinstance(problem, OSError) and problem.filename is not None:
        advice = _ADVICE.get(problem.errno or 0, "another path")
        return f"expected to use {problem.filename}, got: {problem.strerror}; try {advice}", Exit.USAGE
    return None


def tell(problem: Exception, tokens: Sequence[str] = ()) -> int:
    """Say in one line why a command failed, in the reader's language; return the exit code."""
    known = explain(problem)
    if known is None:
        text = f"{type(problem).__name__}: {problem}; this is a defect, --debug shows where"
        return say(text, Exit.NO, tokens)
    return say(*known, tokens)


def say(text: str, code: int, tokens: Sequence[str] = ()) -> int:
    """Print the one line of a failure and return its exit code."""
    if _is_japanese(tokens):
        from actors.faces.japanese import japanese

        text = japanese(text)
    print(text, file=sys.stderr)
    return code


def _is_japanese(tokens: Sequence[str]) -> bool:
    """Tell the language as commands do, also where the command was not understood."""
    asked = [value.removeprefix("--lang=") for value in tokens if value.startswith("--lang=")]
    asked += [value for word, value in itertools.pairwise(tokens) if word == "--lang"]
    return [*asked, os.environ.get("ELF_LANG") or os.environ.get("LANG", "")][0].startswith("ja")


def closest(name: str, known: list[str]) -> str:
    """Return advice for an unknown name: the nearest known one, or what there is."""
    import difflib

    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"try {near[0]}"
    return f"try one of: {', '.join(sorted(known)[:12])}" if known else "there is none yet"

"""What a plain program says on its pipe: a line READY, BEAT, PROGRESS id or STATUS text; any other is only counted."""

import re
import unicodedata
from collections.abc import Sequence

from msgspec import Struct

LONGEST_LINE = 4096
LONGEST_WORDS = 200
_LONGEST_ID = 100
_AT_ONCE = 1000


class Said(Struct):
    """What one reading brought. `alive`: some line was understood; None: nothing new of that kind.

    `unheard` lines were not understood, or passed over in a `flood`: more at once than are read one by one.
    """

    ready: bool = False
    alive: bool = False
    progress: str | None = None
    words: str | None = None
    unheard: int = 0
    flood: bool = False


class Lines:
    """Takes the bytes of one process as they come and keeps a line that is not whole yet, up to a limit."""

    def __init__(self) -> None:
        self._redact: Sequence[str] = ()
        self._rest = b""
        self._too_long = False

    def take(self, data: bytes, redact: Sequence[str] = ()) -> Said:
        """Read what is whole; of a flood the first and the last lines. `redact` are patterns of what is blackened."""
        said, self._redact = Said(), redact
        *lines, self._rest = (self._rest + data).split(b"\n")
        if self._too_long and lines:
            # The end of a line that was given up; it has been counted.
            self._too_long, lines = False, lines[1:]
        if self._too_long or len(self._rest) > LONGEST_LINE:
            said.unheard += not self._too_long
            self._too_long, self._rest = True, b""
        if len(lines) > _AT_ONCE:
            said.unheard += len(lines) - _AT_ONCE
            said.flood = True
            lines = lines[: _AT_ONCE // 2] + lines[-_AT_ONCE // 2 :]
        for line in lines:
            self._line(line, said)
        return said

    def _line(self, line: bytes, said: Said) -> None:
        word, _, rest = line.strip().partition(b" ")
        known = True
        match word:
            case b"READY" if not rest:
                said.ready = True
            case b"BEAT" if not rest:
                pass
            case b"PROGRESS" if len(line) <= LONGEST_LINE:
                said.progress = self._clean(rest, _LONGEST_ID)
            case b"STATUS" if len(line) <= LONGEST_LINE:
                said.words = self._clean(rest, LONGEST_WORDS)
            case _:
                known = False
        said.alive = said.alive or known
        said.unheard += bool(word) and not known

    def _clean(self, text: bytes, longest: int) -> str:
        """Return what may be shown: one line without anything that steers a terminal, secrets blackened, cut."""
        words = text.decode("utf-8", "replace")
        words = "".join(" " if unicodedata.category(letter)[0] == "C" else letter for letter in words)
        words = " ".join(words.split())
        # Before it is cut: the half of a secret would not be known as one.
        for pattern in self._redact:
            words = re.sub(pattern, "***", words)
        return words if len(words) <= longest else words[: longest - 1] + "…"

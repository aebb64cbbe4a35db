"""Where each key of a TOML text stands: tomllib reads values but forgets their lines."""

import re
import tomllib
from bisect import bisect_right

Path = tuple[str | int, ...]

_GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|'[^'\n]*'""")
_VALUE = re.compile(
    r'''"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|[^\s,\]}#][^,\]}#\n]*''',
    re.DOTALL,
)


class Lines:
    """Lines by path, for example ("worker", 1, "batch"); of a broken text, of what stands before the break.

    `doubled` lists keys that were given twice, with the second and the first line.
    """

    def __init__(self, text: str) -> None:
        self.doubled: list[tuple[Path, int, int]] = []
        self._text = text
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self._at: dict[Path, int] = {}
        self._tables: dict[Path, int] = {}
        self._spot = 0
        try:
            self._document()
        except (IndexError, ValueError, tomllib.TOMLDecodeError):
            return

    def of(self, path: Path) -> int:
        """Return the line of a key, else of the nearest table around it, else 1."""
        while path and path not in self._at:
            path = path[:-1]
        return self._at.get(path, 1)

    def _document(self) -> None:
        table: Path = ()
        while self._skip(_GAP) < len(self._text):
            if self._text[self._spot] == "[":
                table = self._header()
            else:
                self._entry(table)

    def _header(self) -> Path:
        start = self._spot
        listed = self._text.startswith("[[", start)
        self._spot += 2 if listed else 1
        *parents, last = self._keys()
        self._spot += 2 if listed else 1
        table: Path = ()
        for key in parents:
            table = self._enter((*table, key), start)
        table = (*table, last)
        if not listed:
            return self._enter(table, start)
        self._at.setdefault(table, self._line(start))
        number = self._tables[table] = self._tables.get(table, -1) + 1
        self._at[*table, number] = self._line(start)
        return (*table, number)

    def _enter(self, table: Path, start: int) -> Path:
        self._at.setdefault(table, self._line(start))
        return (*table, self._tables[table]) if table in self._tables else table

    def _entry(self, table: Path) -> None:
        start = self._spot
        line = self._line(start)
        *parents, last = self._keys()
        for key in parents:
            table = (*table, key)
            self._at.setdefault(table, line)
        table = (*table, last)
        first = self._at.setdefault(table, line)
        if first != line:
            self.doubled.append((table, line, first))
        if self._text[self._spot] != "=":
            raise ValueError
        self._spot += 1
        self._value(table)

    def _value(self, path: Path) -> None:
        self._skip(_GAP)
        self._at.setdefault(path, self._line(self._spot))
        opened = self._text[self._spot]
        if opened not in "[{":
            self._take(_VALUE)
            return
        self._spot += 1
        number = 0
        while self._skip(_GAP) < len(self._text) and self._text[self._spot] not in "]}":
            if opened == "[":
                self._value((*path, number))
            else:
                self._entry(path)
            number += 1
            if self._text[self._skip(_GAP)] == ",":
                self._spot += 1
        self._spot += 1

    def _keys(self) -> list[str]:
        keys: list[str] = []
        while True:
            self._skip(_SPACE)
            word = self._take(_KEY)
            keys.append(str(tomllib.loads(f"key = {word}")["key"]) if word[0] in "\"'" else word)
            if self._text[self._skip(_SPACE)] != ".":
                return keys
            self._spot += 1

    def _skip(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self._text, self._spot)
        self._spot = found.end() if found else self._spot
        return self._spot

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._spot)
        if found is None:
            raise ValueError
        self._spot = found.end()
        return found[0]

    def _line(self, spot: int) -> int:
        return bisect_right(self._starts, spot)

"""Errors of forest.toml: each with its line, what was expected, what stands there and what to try."""

import json
import math
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import fields

from actors.config import Forest
from actors.config_lines import Lines, Path

# What stands under these keys may be a secret: errors tell its type only.
_HIDDEN = frozenset({"env", "webhook"})
_LISTS = {info.encode_name: info.name for info in fields(Forest)}


class ConfigError(Struct, frozen=True, kw_only=True):
    """One thing that is wrong; line 0 is the file as a whole."""

    file: str
    line: int
    key: str
    expected: str
    got: str
    hint: str = ""

    def __str__(self) -> str:
        """Return one line: place, key, expected, got and, if there is one, advice."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        key = f"{self.key}: " if self.key else ""
        hint = f"; try {self.hint}" if self.hint else ""
        return f"{place}: {key}expected {self.expected}, got {self.got}{hint}"


class ConfigErrors(ValueError):
    """Everything that is wrong with one file, in the order of its lines."""

    def __init__(self, errors: list[ConfigError]) -> None:
        super().__init__(errors)
        self.errors = sorted(errors, key=lambda error: error.line)

    def __str__(self) -> str:
        """Return one line per error."""
        return "\n".join(map(str, self.errors))


class Sheet:
    """Collects the errors of one file and knows which keys have one already."""

    def __init__(self, file: str, lines: Lines) -> None:
        self.errors: list[ConfigError] = []
        self._file = file
        self._lines = lines
        self._spoilt: set[Path] = set()

    def add(self, path: Path, expected: str, got: object, hint: str = "", *, line: int = 0) -> None:
        """Note an error at a key; `got` is shown as it would stand in the file unless it is a `Said`."""
        hidden = not _HIDDEN.isdisjoint(path) and not isinstance(got, Said)
        self.errors.append(
            ConfigError(
                file=self._file,
                line=line or self._lines.of(path),
                key=key_text(path),
                expected=expected,
                got=type_text(got) if hidden else toml_text(got),
                hint="" if hidden else hint,
            )
        )
        self._spoilt.update(path[:end] for end in range(1, len(path) + 1))

    def sound(self, path: Path, *keys: str) -> bool:
        """Tell whether these keys of a table are free of errors, so that a rule over them makes sense."""
        return not any((*path, key) in self._spoilt for key in keys)


class Said(str):
    """A description that stands in a message without quotes."""

    __slots__ = ()


def key_text(path: Path) -> str:
    """Return a path as people read it: `workers[1].batch`."""
    text = ""
    for place, part in enumerate(path):
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if place else _LISTS.get(part, part)
    return text


def toml_text(value: object) -> str:
    """Return a value as TOML writes it, cut to a readable length."""
    match value:
        case Said():
            return value
        case str():
            text = json.dumps(value, ensure_ascii=False)
        case list() | tuple():
            text = f"[{', '.join(map(toml_text, value))}]"
        case Mapping():
            text = "{" + ", ".join(f"{key} = {toml_text(item)}" for key, item in value.items()) + "}"
        case bool():
            text = str(value).lower()
        case float() if math.isfinite(value) and value.is_integer():
            text = f"{value:.1f}"
        case _:
            text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def type_text(value: Any) -> str:
    """Return the TOML name of a value's type, where the value itself must not be shown."""
    match value:
        case str():
            return "text with a zero byte" if "\0" in value else "text"
        case bool():
            return "true or false"
        case int():
            return "an integer"
        case float():
            return "a number"
        case list():
            return "an array"
        case dict():
            return "a table"
        case _:
            return "a date or time"

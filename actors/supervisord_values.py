"""The values of a section of supervisord: numbers, truths, sizes, environments; what does not fit becomes a note."""

import re
from collections.abc import Mapping

from actors.supervisord_reader import Note, Section, Unknown, Value, expand, fields

_PAIR = re.compile(r"""\s*(?P<name>[\w./()+:-]+)\s*=\s*(?P<value>"[^"]*"|'[^']*'|[^,"']*?)\s*(?:,|$)""")
_SECRET = re.compile(r"pass|secret|token|credential|api_?key|private", re.IGNORECASE)
YES, NO = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})
_UNITS = {"kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}


class LeftOut(Exception):
    """A program cannot become a worker; the text says why."""


class Values:
    """Reads one section. `shared` is [supervisord], whose environment and directory all programs get."""

    def __init__(self, section: Section, shared: Mapping[str, Value]) -> None:
        self.notes: list[Note] = []
        self.section = section
        self.shared = shared
        self.secret = False

    def expanded(self, key: str, known: Mapping[str, object], value: Value | None = None) -> str:
        """Return a value with all that it asks for put in. Raises LeftOut."""
        value = value or self.section.values[key]
        try:
            text = expand(value.text, {**known, "here": value.here})
        except Unknown as problem:
            what = f"{str(problem).removeprefix('ENV_')} is not set here"
            raise LeftOut(f"{key}: {what}; try setting it and importing again") from None
        frozen = sorted(name.removeprefix("ENV_") for name in fields(value.text) if name.startswith("ENV_"))
        if frozen:
            self.note_at(
                value, key, f"{', '.join(frozen)} is put in as it is now; try importing again when it changes"
            )
        return text

    def number(self, key: str, default: int) -> int:
        """Return a whole number."""
        value = self.section.values.get(key)
        if value is None:
            return default
        try:
            return int(value.text)
        except ValueError:
            self.note(key, f"expected a whole number, got {value.text!r}; {default} is taken")
            return default

    def flag(self, key: str, default: bool) -> bool:
        """Return a truth."""
        value = self.section.values.get(key)
        text = value.text.strip().lower() if value else ""
        if not text or text in YES or text in NO:
            return text in YES if text else default
        self.note(key, f"expected true or false, got {text!r}; {str(default).lower()} is taken")
        return default

    def size(self, key: str) -> int | None:
        """Return bytes; units are powers of 1024, as supervisord has them."""
        text = self.section.values[key].text.strip().lower()
        number, unit = (text[:-2], _UNITS[text[-2:]]) if text[-2:] in _UNITS else (text, 1)
        if not number.strip().isdecimal():
            self.note(key, f"expected a size such as 50MB, got {text!r}; the default is taken")
            return None
        return int(number) * unit

    def note(self, key: str, text: str) -> None:
        """Note something at a key, or at the section where it has no such key."""
        value = self.section.values.get(key)
        self.note_at(value, key, text) if value else self.notes.append(
            Note(self.section.file, self.section.line, f"[{self.section.name}]", text)
        )

    def note_at(self, value: Value, key: str, text: str) -> None:
        """Note something where a value stands."""
        self.notes.append(Note(value.file, value.line, f"[{self.section.name}] {key}", text))

    def environment(self, known: Mapping[str, object], left: list[str]) -> dict[str, str]:
        """Return the variables; those that cannot be taken go to `left`, as they would stand in the file."""
        found: dict[str, str] = {}
        own = self.section.values.get("environment")
        for value in (self.shared.get("environment"), own):
            if value is None:
                continue
            for key, text in self._pairs(value):
                if key.startswith("ELF_"):
                    self.note_at(
                        value, "environment", f"{key}: names that begin with ELF_ are the node's; try another"
                    )
                    continue
                if "${" in text:
                    left.append(f"env.{key} = {text!r}")
                    self.note_at(
                        value,
                        "environment",
                        f"{key}: ${{…}} would be a variable of the node; try another way",
                    )
                    continue
                try:
                    found[key] = self._with_references(text, known)
                except Unknown as problem:
                    missing = str(problem).removeprefix("ENV_")
                    left.append(f'env.{key} = "${{{missing}}}"')
                    self.note_at(
                        value,
                        "environment",
                        f"{key}: {missing} is not set here; try setting it and importing again",
                    )
                    continue
                if _SECRET.search(key) and "${" not in found[key]:
                    self.secret = True
                    self.note_at(
                        value,
                        "environment",
                        f'{key} looks like a secret and stands in the file; try env.{key} = "${{{key}}}"'
                        " and the node's own environment",
                    )
        return found

    def _with_references(self, text: str, known: Mapping[str, object]) -> str:
        """Return a value that takes what it needs of the environment when the node reads it, not now."""
        asked = {name for name in fields(text) if name.startswith("ENV_")}
        for name in sorted(asked):
            if name not in known:
                raise Unknown(name)
        return expand(text, {**known, **{name: f"${{{name.removeprefix('ENV_')}}}" for name in asked}})

    def _pairs(self, value: Value) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        text, at = " ".join(value.text.split()), 0
        while at < len(text):
            pair = _PAIR.match(text, at)
            if pair is None:
                self.note_at(
                    value, "environment", f'expected KEY="value",KEY="value", got {text[at : at + 40]!r}'
                )
                break
            found.append((pair["name"], pair["value"].strip("'\"")))
            at = pair.end()
        return found

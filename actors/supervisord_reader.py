"""Reads supervisord's configuration in its dialect: sections and keys with file and line, includes, expansions."""

import configparser
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

_SECTION = re.compile(r"\[(?P<header>.+)\]")
_FIELD = re.compile(r"%\((?P<name>[^)]*)\)(?P<form>0?\d*[sd])|%%|%")


class Note(NamedTuple):
    """What was not carried over as it stands, why, and what to do. `line` 0 is the file as a whole."""

    file: str
    line: int
    where: str
    text: str

    def __str__(self) -> str:
        """Return one line."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.where}: {self.text}" if self.where else f"{place}: {self.text}"


class Unreadable(Exception):
    """A file is not supervisord's; the text says where, what was expected and what to try."""


class Value(NamedTuple):
    """One value as it stands, where it stands, and the folder that %(here)s means."""

    text: str
    file: str
    line: int
    here: Path


class Section(NamedTuple):
    """One section; keys in small letters."""

    name: str
    file: str
    line: int
    values: dict[str, Value]

    @property
    def kind(self) -> str:
        """Return what stands before the colon."""
        return self.name.partition(":")[0].strip()

    @property
    def own(self) -> str:
        """Return what stands behind the colon."""
        return self.name.partition(":")[2].strip()


class _Parser(configparser.RawConfigParser):
    """Remembers in which line each section and key stands: keys pass `optionxform` in the order of their lines."""

    def __init__(self) -> None:
        # As supervisord has it: comments behind a value need a space before them, a second section adds to the first.
        super().__init__(inline_comment_prefixes=(";", "#"), strict=False)
        self.lines: dict[tuple[str, str], int] = {}
        self._line = 0
        self._section = ""
        self._reading = False

    def take(self, text: str, source: str) -> None:
        """Read a file. Raises configparser.Error."""
        self._reading = True
        try:
            self.read_file(self._counted(text), source)
        finally:
            self._reading = False

    def _counted(self, text: str) -> Iterator[str]:
        for number, line in enumerate(text.splitlines(keepends=True), 1):
            self._line = number
            if found := _SECTION.match(line):
                self._section = found["header"]
                self.lines.setdefault((self._section, ""), number)
            yield line

    def optionxform(self, optionstr: str) -> str:
        """Keys are in small letters."""
        name = optionstr.lower()
        if self._reading:
            self.lines[self._section, name] = self._line
        return name


def read_supervisord(path: Path, environ: Mapping[str, str]) -> tuple[dict[str, Section], list[Note]]:
    """Return every section by its name, files of [include] behind the file itself. Raises Unreadable."""
    sections: dict[str, Section] = {}
    notes: list[Note] = []
    _merge(path, str(path), sections)
    include = sections.get("include")
    if include is None:
        return sections, notes
    files = include.values.get("files")
    if files is None:
        raise Unreadable(f"{path}:{include.line}: expected files = … in [include], got none; try adding it")
    for pattern in files.text.split():
        known = {"here": files.here, "host_node_name": os.uname().nodename}
        try:
            wanted = expand(pattern, {**known, **{f"ENV_{name}": text for name, text in environ.items()}})
        except Unknown as problem:
            raise Unreadable(
                f"{files.file}:{files.line}: {str(problem).removeprefix('ENV_')} is not set here; try setting it"
            ) from None
        found = sorted(Path("/").glob((files.here / wanted).as_posix().lstrip("/") or "."))
        if not found:
            notes.append(Note(files.file, files.line, "[include]", f"no file matches {pattern}"))
        for file in found:
            _merge(file, str(file), sections, inner=True)
    return sections, notes


def _merge(path: Path, name: str, sections: dict[str, Section], inner: bool = False) -> None:
    parser = _Parser()
    try:
        parser.take(path.read_text(encoding="utf-8-sig"), name)
    except UnicodeDecodeError as problem:
        line = problem.object.count(b"\n", 0, problem.start) + 1
        raise Unreadable(
            f"{name}:{line}: expected UTF-8 text, got the byte 0x{problem.object[problem.start]:02x}"
        ) from None
    except configparser.MissingSectionHeaderError as problem:
        got = problem.line.strip()[:60]
        raise Unreadable(
            f"{name}:{problem.lineno}: expected a section such as [program:web] first, got {got!r}"
        ) from None
    except configparser.ParsingError as problem:
        line, text = problem.errors[0]
        raise Unreadable(f"{name}:{line}: expected key=value or [section], got {text}") from None
    except configparser.Error as problem:
        raise Unreadable(f"{name}: expected supervisord's configuration, got: {problem}") from None
    here = path.absolute().parent
    for section in parser.sections():
        if inner and section == "include":
            continue
        values = {
            key: Value(text, name, parser.lines.get((section, key), 0), here)
            for key, text in parser.items(section)
        }
        known = sections.get(section)
        if known:
            known.values.update(values)
        else:
            sections[section] = Section(section, name, parser.lines.get((section, ""), 0), values)


class Unknown(Exception):
    """An expansion names something that nobody knows; the text is its name."""


def expand(text: str, known: Mapping[str, object]) -> str:
    """Put values in for %(name)s and %(name)02d; %% is one. Raises Unknown."""

    def put(found: re.Match[str]) -> str:
        name, form = found["name"], found["form"]
        if name is None:
            if found[0] == "%%":
                return "%"
            raise Unknown("% alone, which is written %%,")
        if name not in known:
            raise Unknown(name)
        value = known[name]
        if not form.endswith("d"):
            return str(value)
        if not str(value).isdecimal():
            raise Unknown(f"{name} as a number")
        return f"%{form}" % int(str(value))

    return _FIELD.sub(put, text)


def fields(text: str) -> set[str]:
    """Return the names that a text asks for."""
    return {found["name"] for found in _FIELD.finditer(text) if found["name"] is not None}

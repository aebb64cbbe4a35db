"""Reads forest.toml: everything right, or an error that names everything wrong."""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import msgspec.inspect as mi

from actors.config import MANA, Forest
from actors.config_check import Checker
from actors.config_errors import ConfigError, ConfigErrors, Said, Sheet, toml_text
from actors.config_lines import Lines
from actors.config_rules import check_rules

__all__ = ["ConfigError", "ConfigErrors", "read_forest"]

_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_BARE_KEY = re.compile(r"[\s\[]*([^\s\"'#=\[\]]*[^\x00-\x7f][^\"'#=\[\]]*?)\s*(?:=|\])")
_SCHEMA = mi.type_info(Forest)


def read_forest(path: Path, environ: Mapping[str, str] | None = None) -> Forest:
    """Return what the file says with all paths absolute. Raises ConfigErrors.

    `environ` is what `${NAME}` in a worker's `env` is looked up in; without it the process's own environment.
    """
    text = _text(path)
    lines = Lines(text)
    sheet = Sheet(str(path), lines)
    raw = _parse(text, lines, sheet)
    folder = path.absolute().parent
    assert isinstance(_SCHEMA, mi.StructType)
    clean = Checker(sheet, folder).table(raw, _SCHEMA, ())
    _fill(clean, folder)
    forest = msgspec.convert(clean, Forest)
    check_rules(forest, raw, sheet, os.environ if environ is None else environ)
    if sheet.errors:
        raise ConfigErrors(sheet.errors)
    return forest


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        got = f"the byte 0x{error.object[error.start]:02x}"
        wrong = ConfigError(
            file=str(path), line=line, key="", expected="UTF-8 text", got=got, hint="saving the file as UTF-8"
        )
    except OSError as error:
        hint = "elf init" if isinstance(error, FileNotFoundError) else "another path or its permissions"
        got = (error.strerror or str(error)).lower()
        wrong = ConfigError(
            file=str(path), line=0, key="", expected="a file that can be read", got=got, hint=hint
        )
    raise ConfigErrors([wrong])


def _parse(text: str, lines: Lines, sheet: Sheet) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
    place = _PLACE.search(message)
    what = message[: place.start()] if place else message
    line = int(place[1]) if place and place[1] else text.rstrip().count("\n") + 1
    bare = _BARE_KEY.match(text.split("\n")[line - 1])
    if bare:
        quoted = toml_text(bare[1])
        sheet.add(
            (),
            "a bare key of ASCII letters, digits, '_' and '-'",
            Said(bare[1]),
            f"{quoted} in quotes",
            line=line,
        )
    elif lines.doubled and not what.startswith("Cannot declare"):
        key, second, first = lines.doubled[0]
        sheet.add(
            key, "each key once", Said(f"a second one (first in line {first})"), "removing one", line=second
        )
    else:
        at = f" in column {place[2]}" if place and place[2] else ""
        sheet.add((), "TOML", Said(f"{what[:1].lower()}{what[1:]}{at}"), _advice(what), line=line)
    raise ConfigErrors(sheet.errors)


def _advice(what: str) -> str:
    if what == "Invalid value":
        return 'quotes around text: key = "text"'
    if what.startswith("Cannot declare"):
        return "one table, or [[name]] for several of a kind"
    return ""


def _fill(clean: dict[str, Any], folder: Path) -> None:
    """Put in the defaults that depend on the file's place or on another key."""
    node = clean.setdefault("node", {})
    node.setdefault("data", str(folder.resolve() / "data"))
    for worker in clean.get("worker", []):
        worker.setdefault("cwd", str(folder.resolve()))
        worker.setdefault("max", max(1, worker.get("min", 1)))
    for job in clean.get("job", []):
        job.setdefault("cwd", str(folder.resolve()))
    for elf in clean.get("elf", []):
        usual = MANA[elf["name"]]
        given = elf.get("mana", {})
        start = min(usual.start, given.get("capacity", usual.capacity))
        elf["mana"] = {**msgspec.structs.asdict(usual), "start": start, **given}

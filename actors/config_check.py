"""Holds a parsed file against the schema and goes on after each error, so that all are told at once."""

import contextlib
import math
from collections.abc import Iterable
from pathlib import Path as Folder
from typing import Any

import msgspec.inspect as mi
from msgspec import Meta

from actors.config import BOUNDS
from actors.config_errors import Said, Sheet, toml_text
from actors.config_formats import FORMS, Form, Unfit, nearest
from actors.config_lines import Path

WRONG: Any = object()
_PLACEHOLDER = {mi.StrType: "", mi.IntType: 1, mi.FloatType: 1.0}


class Checker:
    """Returns what is right of a file; what is wrong goes to the sheet and is left out or replaced."""

    def __init__(self, sheet: Sheet, folder: Folder) -> None:
        self._sheet = sheet
        self._folder = folder

    def table(self, value: dict[str, Any], kind: mi.StructType, path: Path) -> dict[str, Any]:
        """Check a table key by key; a required key that is missing or wrong gets a placeholder."""
        known = {field.encode_name: field for field in kind.fields}
        for key in value:
            if key not in known:
                self._unknown(key, known, path)
        clean: dict[str, Any] = {}
        for key, field in known.items():
            inner, form, example = _unwrap(field.type)
            if not example and isinstance(field.default, (int, float)) and field.default:
                example = toml_text(field.default)
            if key in value:
                bounds = BOUNDS.get((kind.cls, field.name))
                item = self._value(value[key], inner, (*path, key), form, example, bounds)
            else:
                item = WRONG
                if field.required:
                    hint = f"{key} = {_example(inner, form, example)}"
                    self._sheet.add((*path, key), _expected(inner, form), Said("nothing"), hint)
            if item is not WRONG:
                clean[key] = item
            elif field.required:
                clean[key] = _placeholder(inner)
        return clean

    def _unknown(self, key: str, known: Iterable[str], path: Path) -> None:
        better = nearest(key, known)
        one_of = better or f"one of {', '.join(sorted(known))}"
        if path:
            self._sheet.add((*path, key), "a known key", key, one_of)
        else:
            self._sheet.add((key,), "a known table", key, one_of)

    def _value(
        self, value: Any, kind: mi.Type, path: Path, form: str, example: str, bounds: Meta | None = None
    ) -> Any:
        match kind:
            case mi.StructType():
                if isinstance(value, dict):
                    return self.table(value, kind, path)
                return self._wrong(value, kind, path, form, example)
            case mi.VarTupleType():
                return self._array(value, kind, path, form, example, bounds)
            case mi.DictType():
                return self._entries(value, kind, path)
        if form:
            return self._formed(value, path, form)
        problem = not _fits(value, kind) or (bounds is not None and not _within(value, bounds))
        return self._wrong(value, kind, path, form, example, bounds) if problem else value

    def _array(
        self, value: Any, kind: mi.VarTupleType, path: Path, form: str, example: str, bounds: Meta | None
    ) -> Any:
        if not isinstance(value, list) or len(value) < (kind.min_length or 0):
            return self._wrong(value, kind, path, form, example)
        item, item_form, item_example = _unwrap(kind.item_type)
        clean = [
            self._value(entry, item, (*path, number), item_form, item_example, bounds)
            for number, entry in enumerate(value)
        ]
        if isinstance(item, mi.StructType):
            return [_placeholder(item) if entry is WRONG else entry for entry in clean]
        if any(entry is WRONG for entry in clean):
            return WRONG
        if form == "command":
            if not clean[0]:
                return self._wrong(value, kind, path, form, example)
            if "/" in clean[0]:
                clean[0] = self._formed(clean[0], (*path, 0), form)
                return WRONG if clean[0] is WRONG else clean
        return clean

    def _entries(self, value: Any, kind: mi.DictType, path: Path) -> Any:
        if not isinstance(value, dict):
            return self._wrong(value, kind, path, "", "")
        item, form, example = _unwrap(kind.value_type)
        clean = {key: self._value(entry, item, (*path, key), form, example) for key, entry in value.items()}
        return {key: entry for key, entry in clean.items() if entry is not WRONG}

    def _formed(self, value: Any, path: Path, form: str) -> Any:
        rule = FORMS[form]
        number = rule.numbers and isinstance(value, int) and not isinstance(value, bool)
        try:
            if not number and not _fits(value, mi.StrType()):
                raise Unfit
            return rule.parse(str(value), self._folder)
        except (Unfit, OSError) as problem:
            key = next((part for part in reversed(path) if isinstance(part, str)), "")
            better = toml_text((isinstance(problem, Unfit) and str(problem)) or self._as_text(value, rule))
            hint = f"{key} = [{better}]" if isinstance(path[-1], int) else f"{key} = {better}"
            self._sheet.add(path, rule.expected, value, hint)
            # A name that may not be used is still what others mean when they say it.
            return value if form == "name" and isinstance(value, str) else WRONG

    def _as_text(self, value: Any, rule: Form) -> str:
        """Return a number in quotes if that would do, else the example."""
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            with contextlib.suppress(Unfit, OSError):
                rule.parse(str(value), self._folder)
                return str(value)
        return rule.example

    def _wrong(
        self, value: Any, kind: mi.Type, path: Path, form: str, example: str, bounds: Meta | None = None
    ) -> Any:
        key = next((str(part) for part in reversed(path) if isinstance(part, str)), "")
        better = _better(value, kind) or _example(kind, form, example, bounds)
        hint = f"{key} = [{better}]" if isinstance(path[-1], int) else f"{key} = {better}"
        if isinstance(kind, mi.VarTupleType) and isinstance(_unwrap(kind.item_type)[0], mi.StructType):
            hint = f"[[{key}]]"
        elif isinstance(kind, mi.StructType) and len(path) == 1:
            hint = f"[{key}]"
        self._sheet.add(path, _expected(kind, form, bounds), value, hint)
        return WRONG


def _unwrap(kind: mi.Type) -> tuple[mi.Type, str, str]:
    """Return the type itself, the name of its form and its example."""
    form = example = ""
    if isinstance(kind, mi.Metadata):
        form = (kind.extra or {}).get("form", "")
        example = toml_text(((kind.extra_json_schema or {}).get("examples") or [""])[0])
        kind = kind.type
    if isinstance(kind, mi.UnionType):
        kind = next(choice for choice in kind.types if not isinstance(choice, mi.NoneType))
    return kind, form, example.strip('"')


def _fits(value: Any, kind: mi.Type) -> bool:
    match kind:
        case mi.LiteralType():
            return isinstance(value, str) and value in kind.values
        case mi.StrType():
            return isinstance(value, str) and "\0" not in value
        case mi.IntType():
            return isinstance(value, int) and not isinstance(value, bool) and _within(value, kind)
        case mi.FloatType():
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            return number and math.isfinite(value) and _within(value, kind)
        case mi.BoolType():
            return isinstance(value, bool)
        case mi.AnyType():
            return True
        case _:
            raise TypeError(f"expected a type that the schema uses, got {kind}; try adding it here")


def _within(value: float, bounds: mi.IntType | mi.FloatType | Meta) -> bool:
    return not (
        (bounds.ge is not None and value < bounds.ge)
        or (bounds.gt is not None and value <= bounds.gt)
        or (bounds.le is not None and value > bounds.le)
    )


def _expected(kind: mi.Type, form: str, bounds: Meta | None = None) -> str:
    if form:
        return FORMS[form].expected
    match kind:
        case mi.LiteralType():
            words = [toml_text(word) for word in kind.values]
            return f"{', '.join(words[:-1])} or {words[-1]}"
        case mi.BoolType():
            return "true or false"
        case mi.IntType():
            return "an integer" + _range(bounds or kind)
        case mi.FloatType():
            return "a number" + _range(bounds or kind)
        case mi.VarTupleType():
            item, item_form, _ = _unwrap(kind.item_type)
            return (
                "an array of tables"
                if isinstance(item, mi.StructType)
                else f"an array, each {_expected(item, item_form)}"
            )
        case mi.StructType() | mi.DictType():
            return "a table"
        case _:
            return "text"


def _range(bounds: mi.IntType | mi.FloatType | Meta) -> str:
    if bounds.ge is not None and bounds.le is not None:
        return f" between {bounds.ge:g} and {bounds.le:g}"
    if bounds.ge is not None:
        return f" of at least {bounds.ge:g}"
    return f" above {bounds.gt:g}" if bounds.gt is not None else ""


def _better(value: Any, kind: mi.Type) -> str:
    """Return what was probably meant: a number in quotes, a misspelt word, one text for an array of texts."""
    match kind:
        case mi.LiteralType() if isinstance(value, str):
            better = nearest(value.lower(), [str(word) for word in kind.values])
            return toml_text(better) if better else ""
        case mi.IntType() | mi.FloatType() if isinstance(value, str):
            try:
                number = int(value) if isinstance(kind, mi.IntType) else float(value)
            except ValueError:
                return ""
            return toml_text(number) if _fits(number, kind) else ""
        case mi.VarTupleType() if isinstance(value, str) and value:
            return toml_text(value.split())
        case mi.BoolType() if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower()
        case mi.StrType() if isinstance(value, (int, float)):
            return toml_text(str(value).lower())
        case _:
            return ""


def _example(kind: mi.Type, form: str, example: str, bounds: Meta | None = None) -> str:
    """Return a value that would be right."""
    if example:
        return example
    if form and not isinstance(kind, mi.VarTupleType):
        return toml_text(FORMS[form].example)
    match kind:
        case mi.LiteralType():
            return toml_text(kind.values[0])
        case mi.BoolType():
            return "false"
        case mi.IntType() | mi.FloatType():
            limits = bounds or kind
            return f"{limits.le if limits.le is not None else max(1, limits.ge or 1):g}"
        case mi.VarTupleType():
            return '["python3", "worker.py"]' if form == "command" else "[]"
        case mi.StructType() | mi.DictType():
            return "{}"
        case _:
            return '"text"'


def _placeholder(kind: mi.Type) -> Any:
    match kind:
        case mi.StructType():
            return {
                field.encode_name: _placeholder(_unwrap(field.type)[0])
                for field in kind.fields
                if field.required
            }
        case mi.LiteralType():
            return kind.values[0]
        case mi.VarTupleType():
            return [""] * (kind.min_length or 0)
        case _:
            return _PLACEHOLDER[type(kind)]

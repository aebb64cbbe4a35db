"""The reference of forest.toml and its schema name the same keys and the same defaults."""

import re
from pathlib import Path

import msgspec
import msgspec.inspect as mi

from actors.config import BOUNDS, Forest
from actors.config_errors import toml_text

ROOT = Path(__file__).resolve().parents[2]


def schema_keys() -> dict[str, dict[str, mi.Field]]:
    """Return every key that the reader knows, by its table's heading."""

    def keys(kind: mi.Type, before: str = "") -> dict[str, mi.Field]:
        found: dict[str, mi.Field] = {}
        assert isinstance(kind, mi.StructType)
        for entry in kind.fields:
            inner = inner_type(entry.type)
            if isinstance(inner, mi.StructType):
                found |= keys(inner, f"{before}{entry.encode_name}.")
            else:
                found[before + entry.encode_name] = entry
        return found

    tables = {}
    whole = mi.type_info(Forest)
    assert isinstance(whole, mi.StructType)
    for table in whole.fields:
        match table.type:
            case mi.VarTupleType(item_type=item):
                tables[f"[[{table.encode_name}]]"] = keys(item)
            case mi.DictType(value_type=item):
                tables[f"[{table.encode_name}.NAME]"] = keys(item)
            case kind:
                tables[f"[{table.encode_name}]"] = keys(kind)
    return tables


def inner_type(kind: mi.Type) -> mi.Type:
    if isinstance(kind, mi.Metadata):
        kind = kind.type
    return (
        next((k for k in kind.types if isinstance(k, mi.StructType)), kind)
        if isinstance(kind, mi.UnionType)
        else kind
    )


def documented_keys() -> dict[str, dict[str, str]]:
    """Return every key of the reference with its default, by its table's heading."""
    tables: dict[str, dict[str, str]] = {}
    rows: dict[str, str] = {}
    for line in (ROOT / "docs/configuration.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            rows = tables[line[3:]] = {}
        elif row := re.fullmatch(r"\| `([a-z_.]+)` \| (.+?) \| (.+?) \| .{10,} \|", line):
            rows[row[1]] = row[3]
    return tables


def test_the_reference_documents_every_key_with_its_default_and_no_other() -> None:
    known, told = schema_keys(), documented_keys()

    assert {table: set(keys) for table, keys in told.items()} == {
        table: set(keys) for table, keys in known.items()
    }
    for table, keys in known.items():
        for key, entry in keys.items():
            factory = entry.default_factory
            default = factory() if factory is not msgspec.NODEFAULT else entry.default
            right = "required" if entry.required else f"`{toml_text(default)}`"
            assert told[table][key] in {right, "see right"}, f"{table} {key}"


def test_ranges_stand_for_fields_that_exist() -> None:
    for kind, name in BOUNDS:
        assert name in kind.__struct_fields__

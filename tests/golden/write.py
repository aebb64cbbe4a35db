"""Appends the golden lines that are missing: `python -m tests.golden.write`. Lines that stand are never changed."""

import json
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo, fields

from events.codec import CATALOGUE, encode
from events.decisions import AnyAction, Decided
from events.envelope import Envelope
from events.event import Event
from events.subjects import subject_of

GOLDEN = Path(__file__).parent / "events.jsonl"
TIME = 1_767_225_600_000_000
NAMES = {
    "task": "t1",
    "queue": "q",
    "unit": "w-1",
    "agent": "CC01",
    "target": "w-1",
    "elf": "healing",
    "node": "n",
}


def lines() -> list[dict[str, Any]]:
    """Return the lines that stand."""
    return [json.loads(line) for line in GOLDEN.read_text().splitlines()]


def value_of(kind: Any, name: str) -> Any:
    """Return a value of a type that is not its default."""
    origin = get_origin(kind)
    if origin is Literal:
        return get_args(kind)[-1]
    if origin is tuple:
        return tuple(value_of(item, name) for item in get_args(kind) if item is not Ellipsis)
    if origin is dict:
        return {f"{name}-1": value_of(get_args(kind)[1], name)}
    if origin is not None or not isinstance(kind, type):
        some = [item for item in get_args(kind) if item is not type(None)]
        return value_of(some[0], name) if some else f"{name}-1"
    if issubclass(kind, Struct):
        return struct_of(kind, full=True)
    if kind is str:
        return NAMES.get(name, f"{name}-1")
    return {bool: True, int: 7, float: 0.5}.get(kind, f"{name}-1")


def struct_of(kind: type[Struct], full: bool) -> Any:
    """Return a struct with every field told, or only those that must be."""
    hints = get_type_hints(kind)
    told = [item for item in fields(kind) if full or item.required]
    return kind(**{item.name: _told(hints[item.name], item) for item in told})


def _told(hint: Any, item: FieldInfo) -> Any:
    value = value_of(hint, item.name)
    return (not item.default) if isinstance(item.default, bool) else value


def line(body: Event, form: str, mark: str = "") -> str:
    """Return one golden line."""
    tag = str(body.__struct_config__.tag)
    source = "agent.CC01" if tag in ("agent_joined", "agent_left") else "node.n"
    cause, correlation = ("cause-1", "corr-1") if form == "full" else ("", "")
    name = f"{tag}-{form}{mark}"
    said = Envelope(id=name, time=TIME, source=source, cause=cause, correlation=correlation, body=body)
    data = encode(said).decode()
    row = {"type": tag, "form": form, "subject": subject_of(source, body), "data": data}
    return json.dumps(row, ensure_ascii=False)


def missing() -> list[str]:
    """Return the lines that must be added for what the catalogue can say by now."""
    there = lines()
    newest = {(row["type"], row["form"]): json.loads(row["data"])["body"] for row in there}
    actions = {json.loads(row["data"])["body"]["action"]["do"] for row in there if row["form"] == "action"}
    added = []
    for kind in CATALOGUE:
        tag = str(kind.__struct_config__.tag)
        if set(newest.get((tag, "full"), {})) - {"type"} != set(kind.__struct_fields__) or _grown(
            kind, newest[tag, "full"]
        ):
            added.append(line(struct_of(kind, full=True), "full"))
        if (tag, "least") not in newest:
            added.append(line(struct_of(kind, full=False), "least"))
    for action in get_args(AnyAction):
        if str(action.__struct_config__.tag) not in actions:
            decided = msgspec.structs.replace(
                struct_of(Decided, full=False), action=struct_of(action, full=True)
            )
            added.append(line(decided, "action", f"-{action.__struct_config__.tag}"))
    return added


def _grown(kind: type[Event], body: dict[str, Any]) -> bool:
    """Tell whether the newest full line lacks a setting that is said by now."""
    if "settings" not in body or not isinstance(body["settings"], dict):
        return False
    said = json.loads(msgspec.json.encode(struct_of(kind, full=True)))["settings"]
    return set(said) != set(body["settings"])


if __name__ == "__main__":
    with GOLDEN.open("a") as file:
        for text in missing():
            file.write(text + "\n")
            print(text[:100])

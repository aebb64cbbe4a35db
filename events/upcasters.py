"""Lifts what an earlier release wrote to what this one reads, one step of one event at a time."""

from collections.abc import Callable, Mapping
from typing import Any

Fields = dict[str, Any]
Upcaster = Callable[[Fields], Fields]
"""Takes a body's fields with its tag in `type`, and returns those of the next version."""
Registry = Mapping[tuple[str, int], Upcaster]
"""By tag and version: what lifts a body of that version by one. Another `type` in the answer is version 1 of that."""

UPCASTERS: Registry = {}
"""Every incompatible change so far. What is in it stays for ever, for logs are read for ever."""

_STEPS = 100


class UpcastError(Exception):
    """A body cannot be lifted."""


def current(registry: Registry) -> dict[str, int]:
    """Return the version that is written now of each tag that has ever changed; it is 1 of every other."""
    found: dict[str, int] = {}
    for tag, version in registry:
        found[tag] = max(found.get(tag, 1), version + 1)
    return found


def lift(registry: Registry, fields: Fields, version: int) -> Fields:
    """Return the fields as this release reads them. Raises UpcastError where a step fails or there is no end."""
    tag = ""
    for _ in range(_STEPS):
        tag = str(fields.get("type", ""))
        step = registry.get((tag, version))
        if step is None:
            return fields
        try:
            fields = step(dict(fields))
        except Exception as problem:
            raise UpcastError(
                f"expected {tag} of version {version} to be liftable, got {problem!r}"
            ) from problem
        version = version + 1 if fields.get("type") == tag else 1
    raise UpcastError(f"expected {tag} to be lifted in {_STEPS} steps, got no end")


VERSIONS = current(UPCASTERS)
"""The version that is written now of every tag that has ever changed."""

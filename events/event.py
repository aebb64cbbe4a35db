"""The root of every event body: a frozen, keyword-only, tagged struct whose tag is its name in snake case."""

import re

from msgspec import Struct

_WORD = re.compile(r"(?<!^)(?=[A-Z])")


def snake(name: str) -> str:
    """Return `TaskSubmitted` as `task_submitted`: the tag on the wire and the kind in the subject."""
    return _WORD.sub("_", name).lower()


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag=snake):
    """Something that happened. Past tense; fields are only ever added, with a default."""


def type_of(event: Event) -> str:
    """Return the event's tag, for example `worker_exited`."""
    return str(event.__struct_config__.tag)

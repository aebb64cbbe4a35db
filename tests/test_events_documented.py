"""docs/events.md names every event, field and action there is, and none that is not."""

import re
from pathlib import Path
from typing import get_args

import msgspec

from events.codec import CATALOGUE
from events.decisions import AnyAction

PAGE = (Path(__file__).parents[1] / "docs" / "events.md").read_text(encoding="utf-8")
SECTIONS = {
    heading.group(1): PAGE[heading.end() :].split("\n#", 1)[0]
    for heading in re.finditer(r"^### `(\w+)`$", PAGE, re.MULTILINE)
}


def test_every_event_and_no_other_has_a_section() -> None:
    assert set(SECTIONS) == {str(kind.__struct_config__.tag) for kind in CATALOGUE}


def test_every_field_of_every_event_has_a_row() -> None:
    for kind in CATALOGUE:
        rows = set(re.findall(r"^\| `(\w+)` \|", SECTIONS[str(kind.__struct_config__.tag)], re.MULTILINE))
        assert rows == {field.encode_name for field in msgspec.structs.fields(kind)}, kind


def test_every_action_has_a_row() -> None:
    actions = PAGE.split("## What a decision may ask for", 1)[1]
    rows = set(re.findall(r"^\| `(\w+)` \|", actions, re.MULTILINE))
    assert rows - {"do"} == {str(action.__struct_config__.tag) for action in get_args(AnyAction)}

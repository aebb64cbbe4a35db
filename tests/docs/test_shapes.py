"""The comparison of what a page shows with what was said notices another answer, and no other value."""

import pytest

from tests.docs.shapes import first_missing, learnt, matches

SHOWN = ["worker  state    CPU   PID", "a       running  0.0%  812", "…", "total  3"]
SAID = [
    "node x",
    "worker  state    CPU   PID",
    "a       running  7.5%  99123",
    "b  running  -  5",
    "total  4",
]


@pytest.mark.parametrize(
    ("shown", "said", "same"),
    [
        (
            "o-1 dead: KeyError (/home/me/a.py:9 in handle)",
            "o-1 dead: KeyError (/tmp/b.py:12 in handle)",
            True,
        ),
        (
            "o-1 dead: KeyError (/home/me/a.py:9 in handle)",
            "o-1 done: KeyError (/tmp/b.py:12 in handle)",
            False,
        ),
        ("a  running  no data", "a  running  7 %", False),
        ("a  running  no data", "a  running  7", True),
        ("helper  alive  …", "helper  alive  full  0.0", True),
        ("helper  alive  …", "helper  down  full  0.0", False),
        ("the log is whole", "the log is damaged", False),
        ("next: 11-30 17:00, 17:30, 18:00", "next: 11-30 23:30, 12-01 00:00, 00:30", True),
        ("next: 11-30 17:00, 17:30, 18:00", "next: 11-30 23:30, 12-01 00:00", False),
    ],
)
def test_words_are_compared_and_values_are_not(shown: str, said: str, same: bool) -> None:
    assert matches(shown, said) == same


def test_lines_are_looked_for_in_their_order_and_names_are_learnt() -> None:
    assert first_missing(SHOWN, SAID) == ""
    assert first_missing(SHOWN, SAID[::-1]) != ""
    assert first_missing(SHOWN, SAID[:-1]) == "total  3"
    assert learnt(["process 8123 ended"], ["process 99 ended"]) == {"8123": "99"}

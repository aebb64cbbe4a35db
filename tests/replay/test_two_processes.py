"""A long log is audited by two processes, which find together what one finds."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from actors import audit, audit_beside
from actors.audit import replay
from actors.audit_beside import Beside
from events.codec import decode
from events.envelope import Recorded
from tests.histories import load


def with_another_reason(events: list[Recorded]) -> list[Recorded]:
    """Return the history with other words in one of Healing's decisions."""
    place = next(at for at, event in enumerate(events) if b'"reason":"wanted"' in event.data)
    event = events[place]
    said = event.data.replace(b'"reason":"wanted"', b'"reason":"unheard"')
    return [*events[:place], decode(event.position, event.subject, said), *events[place + 1 :]]


def test_two_processes_find_what_one_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    events = with_another_reason(load())
    alone = replay(lambda: iter([events]))
    assert "reason" in [item.field for item in alone.divergences]
    begun: list[Sequence[str]] = []

    class Seen(Beside):
        def __init__(self, audit: Callable[..., None], elves: Sequence[str], *more: Any) -> None:
            begun.append(elves)
            super().__init__(audit, elves, *more)

    monkeypatch.setattr(audit, "Beside", Seen)
    monkeypatch.setattr(audit_beside, "LONG", 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    both = replay(lambda: iter([events[:200], events[200:]]))
    assert [sorted(elves) for elves in begun] == [["balance", "healing", "time"]]
    assert msgspec.structs.replace(both, seconds=0.0) == msgspec.structs.replace(alone, seconds=0.0)


def test_a_short_log_and_a_single_elf_need_one_process() -> None:
    assert not audit_beside.worth_it(audit_beside.LONG - 1, ["flow", "healing"])
    assert not audit_beside.worth_it(10 * audit_beside.LONG, ["healing"])

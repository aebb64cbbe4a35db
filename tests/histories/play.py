"""Plays the stories of policy tests to all five elves at once and keeps the log with what they decided.

    python -m tests.histories.play FOLDER tests/elves/test_flow_speed.py …

A story of a policy test is told to one elf, which is asked where the test wants it. Here its observations alone are
told, in their order and at their times, to the real deciders of every elf on one log in memory.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from actors.policies import POLICIES
from events.decisions import Decided
from events.observations import LeaseTaken
from events.settings import SettingsAdopted
from tests.elves import Given
from tests.histories import save
from tests.replay import Forest


class Stories:
    """A pytest plugin: plays what every test told once it is over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._told: list[Given] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Notice every story of a test and of its fixtures."""
        begin = Given.__init__

        def noticed(story: Given, *given: Any, **named: Any) -> None:
            self._told.append(story)
            begin(story, *given, **named)

        Given.__init__ = noticed  # type: ignore[assignment, method-assign]
        try:
            return (yield)
        finally:
            Given.__init__ = begin  # type: ignore[method-assign]
            for number, story in enumerate(self._told):
                name = item.name.replace("/", "_")
                save(self._folder / f"{name}-{number}.jsonl.gz", played(story).log.events)
            self._told.clear()


def played(story: Given) -> Forest:
    """Tell a story's observations to all elves."""
    forest = Forest(POLICIES)
    places: dict[int, int] = {}
    for event in story.events:
        body: Any = event.body
        if isinstance(body, Decided | LeaseTaken):
            continue
        forest.now = event.time - 1
        if isinstance(body, SettingsAdopted) and not forest.epoch:
            forest.lead(body.settings)
            continue
        if getattr(body, "claim", 0):
            # A claim is a position, and decisions have taken places in between.
            body = replace(body, claim=places.get(body.claim, body.claim))
        places[event.position] = len(forest.log.events) + 1
        forest.say(body, source=event.source)
    forest.land()
    return forest


if __name__ == "__main__":
    stories = Stories(Path(sys.argv[1]))
    sys.exit(pytest.main(["-q", "-n", "0", "-p", "no:cacheprovider", *sys.argv[2:]], plugins=[stories]))

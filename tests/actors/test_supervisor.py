"""The supervisor: order, replacement, intensity, escalation, and what a failed actor leaves behind."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pykka
import pytest

from actors.runtime import Actor, Down, Watcher, tell
from actors.supervisor import ChildSpec, Intensity, Supervisor


class Stopwatch:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> int:
        """See `Clock.now`."""
        return int(self.seconds * 1e6)

    def wall(self) -> int:
        """See `Clock.wall`."""
        return self.now()

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self.seconds

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        """Nobody waits here."""
        raise AssertionError(f"expected no timer, got one of {seconds} s for {what}")


class Child(Actor):
    """Fails when it is told to."""

    def __init__(
        self, name: str, watcher: Watcher, story: "queue.Queue[str]", born_dead: bool = False
    ) -> None:
        super().__init__(name, watcher)
        self.story = story
        self.born_dead = born_dead

    def begin(self) -> None:
        """Say so."""
        if self.born_dead:
            raise RuntimeError("cannot begin")
        self.story.put(f"{self.name} begins")

    def end(self) -> None:
        """Say so."""
        self.story.put(f"{self.name} ends")

    def handle(self, message: Any) -> Any:
        """Fail or count."""
        if message == "fail":
            raise ValueError("told to")
        if isinstance(message, int):
            self.position = message
            return message
        return super().handle(message)


class House:
    """A supervisor over three children."""

    def __init__(self, dead: str = "") -> None:
        self.story: queue.Queue[str] = queue.Queue()
        self.downs: list[Down | None] = []
        self.clock = Stopwatch()
        self.escalated: queue.Queue[str] = queue.Queue()
        self.failed = threading.Event()
        specs = [ChildSpec(name, self._starter(name, name == dead)) for name in ("one", "two", "three")]
        self.ref = Supervisor.start(
            "supervisor",
            self._supervisor_down,
            specs,
            self.clock,
            self.escalated.put,
            Intensity(restarts=3, period_s=10.0),
        )

    def _supervisor_down(self, _: Down) -> None:
        self.failed.set()

    def _starter(self, name: str, dead: bool) -> Callable[[Watcher, Down | None], pykka.ActorRef[Any]]:
        def start(watcher: Watcher, down: Down | None) -> pykka.ActorRef[Any]:
            self.downs.append(down)
            return Child.start(name, watcher, self.story, dead)

        return start

    def child(self, name: str) -> pykka.ActorRef[Any]:
        """Return the living child of a name."""
        children: Any = self.ref.ask("children", timeout=5)
        ref: pykka.ActorRef[Any] = children[name]
        return ref

    def said(self, *lines: str) -> None:
        """Wait for these lines, in this order."""
        assert [self.story.get(timeout=5) for _ in lines] == list(lines)


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    made.said("one begins", "two begins", "three begins")
    yield made
    made.ref.stop()
    pykka.ActorRegistry.stop_all(timeout=5)


def test_children_start_in_order_and_stop_in_reverse(house: House) -> None:
    house.ref.stop(timeout=5)
    house.said("three ends", "two ends", "one ends")
    assert pykka.ActorRegistry.get_all() == []


def test_a_failed_child_alone_is_replaced_and_told_why(house: House) -> None:
    before = {name: house.child(name) for name in ("one", "two", "three")}
    before["two"].ask(41, timeout=5)
    before["two"].tell("fail")
    house.said("two ends", "two begins")
    assert house.child("two").actor_urn != before["two"].actor_urn
    assert house.child("one").actor_urn == before["one"].actor_urn
    assert house.child("three").actor_urn == before["three"].actor_urn
    assert house.downs[3] == Down("two", "ValueError: told to", 41)
    assert house.child("two").ask(7, timeout=5) == 7
    assert tell(before["two"], "late") is False


def test_failures_beyond_the_intensity_are_escalated_once_and_nothing_more_is_started(house: House) -> None:
    for _ in range(3):
        house.child("one").tell("fail")
        house.said("one ends", "one begins")
    house.child("one").tell("fail")
    why = house.escalated.get(timeout=5)
    assert why == "one failed 4 times within 10 s: ValueError: told to"
    house.child("two").tell("fail")
    house.said("one ends", "two ends")
    assert len(house.downs) == 6
    assert house.escalated.empty()


def test_failures_that_are_far_apart_are_forgiven(house: House) -> None:
    for _ in range(10):
        house.clock.seconds += 4.0
        house.child("three").tell("fail")
        house.said("three ends", "three begins")
    assert house.escalated.empty()


def test_an_unknown_message_is_a_failure_like_any_other(house: House) -> None:
    house.child("one").tell(object())
    house.said("one ends", "one begins")
    down = house.downs[3]
    assert down is not None
    assert down.error == "TypeError: expected a message that one knows, got object"


def test_a_child_that_cannot_begin_is_tried_until_it_is_given_up() -> None:
    house = House(dead="two")
    house.said("one begins")
    why = house.escalated.get(timeout=5)
    assert why == "two failed 4 times within 10 s: RuntimeError: cannot begin"
    house.ref.stop(timeout=5)
    assert pykka.ActorRegistry.get_all() == []

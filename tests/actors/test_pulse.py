"""The question that goes through every actor: who hangs, who is only starting, when a watchdog is fed."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pykka
import pytest

from actors.pulse import Pulse
from actors.runtime import Actor, Watcher
from actors.supervisor import ChildSpec, Supervisor
from tests.actors.test_supervisor import Stopwatch

EVERY_S = 0.02


class Sleeper(Actor):
    """Waits for its gate in `begin` or at a message; may have others below it."""

    def __init__(self, name: str, watcher: Watcher, gate: threading.Event, below: int = 0) -> None:
        super().__init__(name, watcher)
        self._gate = gate
        self._count = below

    def begin(self) -> None:
        """Start those below."""
        for number in range(self._count):
            self.below[f"below {number}"] = Sleeper.start(f"below {number}", self._watcher, self._gate)
        if self.name == "slow":
            self._gate.wait()

    def handle(self, message: Any) -> Any:
        """Hang, or fail."""
        if message == "fail":
            raise RuntimeError("as it was told")
        self._gate.wait()


class House:
    """A supervisor with a few children and a pulse; `fed` counts."""

    def __init__(self, *names: str, below: int = 0, hung_s: float = 0.2) -> None:
        self.gate = threading.Event()
        self.refs: dict[str, pykka.ActorRef[Any]] = {}
        self.bus = True
        self.fed = 0

        def make(name: str) -> ChildSpec:
            def start(watcher: Watcher, _: object) -> pykka.ActorRef[Any]:
                self.refs[name] = Sleeper.start(name, watcher, self.gate, below)
                return self.refs[name]

            return ChildSpec(name, start)

        specs = [make(name) for name in names]
        self.supervisor = Supervisor.start("top", lambda _: None, specs, Stopwatch(), lambda _: None)
        self.pulse = Pulse(
            self.supervisor, self._call, lambda: hung_s, self._feed, lambda: None, every_s=EVERY_S
        )
        self.pulse.start()

    def _call(self, what: Callable[[], None]) -> None:
        if self.bus:
            what()

    def _feed(self) -> None:
        self.fed += 1

    def close(self) -> None:
        """End everything."""
        self.gate.set()
        self.pulse.stop()
        self.supervisor.stop(block=True)
        pykka.ActorRegistry.stop_all()


@pytest.fixture
def house() -> Iterator[Callable[..., House]]:
    made: list[House] = []

    def make(*names: str, **more: Any) -> House:
        made.append(House(*names, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def until(good: Callable[[], bool], what: str) -> None:
    """Look again until a deadline."""
    deadline = time.monotonic() + 60
    while not good():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def grows(house: House) -> None:
    """Wait for two more feedings: of the first one a question may be older than the call."""
    before = house.fed
    until(lambda: house.fed >= before + 2, "the watchdog to be fed")


def stays_hungry(house: House) -> None:
    """Let twenty rounds pass without a feeding."""
    before = house.fed
    time.sleep(20 * EVERY_S)
    assert house.fed <= before


def hung(house: House) -> set[str]:
    return {name for name, _ in house.pulse.answers().hung}


def test_with_everybody_there_it_is_fed_and_one_that_hangs_ends_that(house: Callable[..., House]) -> None:
    made = house("a", "b", below=2)
    grows(made)
    assert made.pulse.answers().asked == 1 + 2 + 4 + 1
    made.refs["b"].tell("hang")
    until(lambda: hung(made) == {"b"}, "b to hang")
    stays_hungry(made)
    made.gate.set()
    until(lambda: not hung(made), "b to answer again")
    grows(made)


def test_one_below_the_others_counts_as_well(house: Callable[..., House]) -> None:
    made = house("a", below=1)
    grows(made)
    (child,) = [ref for ref in pykka.ActorRegistry.get_by_class(Sleeper) if ref != made.refs["a"]]
    child.tell("hang")
    until(lambda: hung(made) == {"below 0"}, "the one below to hang")
    stays_hungry(made)


def test_a_bus_that_hangs_ends_it_too(house: Callable[..., House]) -> None:
    made = house("a")
    grows(made)
    made.bus = False
    until(lambda: hung(made) == {"bus"}, "the bus to hang")
    stays_hungry(made)


def test_who_starts_for_long_does_not_hang_and_holds_nobody_up(house: Callable[..., House]) -> None:
    made = house("a", "slow")
    until(lambda: made.pulse.answers().starting == ("slow",), "one to be starting")
    grows(made)
    time.sleep(0.3)
    assert "slow" not in hung(made)
    made.gate.set()
    until(lambda: made.pulse.answers().starting == (), "it to have started")
    grows(made)


def test_one_that_is_replaced_is_forgotten(house: Callable[..., House]) -> None:
    made = house("a", "b")
    grows(made)
    before = made.refs["b"]
    before.tell("fail")
    until(lambda: made.refs["b"] is not before, "another b")
    grows(made)
    until(lambda: made.pulse.answers().asked == 4 and not hung(made), "nobody to miss the old one")

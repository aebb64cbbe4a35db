"""Which faults fall when: the plan of one seed, and the run from storm through calm to the checks."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.simulation.checks import check_end, settled
from tests.simulation.machine import Broken
from tests.simulation.world import CALM_S, STORM_S, World, world

UNITS = ("a", "b", "w-1", "w-2")
ACTORS = ("executor", "sampler", "roster", "healing", "flow", *UNITS)


class Result(Struct):
    """What became of a seed."""

    seed: int
    broken: str = ""
    events: int = 0
    decisions: int = 0
    kills: int = 0
    virtual_s: float = 0.0
    digest: str = ""
    tail: list[str] = []


def run(seed: int, early: bool = False) -> Result:
    """Run one seed."""
    with tempfile.TemporaryDirectory(prefix="elf-sim-", dir=_memory()) as folder:  # noqa: SIM117
        with world(seed, Path(folder), early) as made:
            result = Result(seed)
            try:
                _play(made)
                result.decisions = check_end(made)
            except Broken as problem:
                result.broken = str(problem)
            except Exception as problem:
                result.broken = f"{type(problem).__name__}: {problem}"
            events = made.server.memory.events
            result.events, result.kills, result.virtual_s = len(events), made.kills, made.agenda.now
            result.digest = _digest(made)
            if result.broken:
                result.tail = [
                    *made.hurts[-10:],
                    *(f"{event.position} {event.type} {event.data[-230:]!r}" for event in events[-40:]),
                ]
            return result


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _digest(made: World) -> str:
    from hashlib import blake2b

    digest = blake2b(digest_size=8)
    for event in made.server.memory.events:
        digest.update(event.data)
    return digest.hexdigest()


def _play(made: World) -> None:
    made.begin()
    Storm(made).plan()
    made.run(STORM_S)
    _calm(made)
    deadline = made.agenda.now + CALM_S
    while what := settled(made):
        if made.agenda.now >= deadline:
            raise Broken(f"not settled within {CALM_S:g} s of calm: {what}")
        made.run(made.agenda.now + 20.0)
    if made.chance.random() < 0.5:
        _stop(made)


def _calm(made: World) -> None:
    made.calm = True
    made.weather.calm()
    made.manners.calm()
    made.freeze(0.0)
    made.wake_all()
    for unit in ("a", "w", "b"):
        made.intend(unit, intent="run")
    for runner in made.runners.values():
        runner.silent = False
    if made.node is None:
        made.begin()


def _has_stopped(made: World) -> bool:
    return made.node is None or made.node.stopped


def _stop(made: World) -> None:
    """End in order: no process may be left."""
    for _ in range(100):
        if made.node and made.node.leads:
            break
        made.run(made.agenda.now + 1.0)
    assert made.node
    made.node.order_stop()
    deadline = made.agenda.now + 300.0
    while not _has_stopped(made):
        if made.agenda.now >= deadline:
            raise Broken("the node does not end within 300 s")
        made.run(made.agenda.now + 1.0)
    if made.node is None:  # it may have failed meanwhile
        raise Broken(f"the node failed while it ended: {made.hurts[-1]}")
    left = [being.marker for being in made.machine.living()]
    if left:
        raise Broken(f"left behind after an orderly end: {left}")


class Storm:
    """Plans the faults of a seed; each seed has its own mixture."""

    def __init__(self, made: World) -> None:
        self._made = made
        self._chance = made.chance

    def plan(self) -> None:
        """Put faults into the agenda."""
        made, chance = self._made, self._chance
        made.weather.lose = chance.choice((0.0, 0.0, 0.02, 0.1))
        made.weather.lose_answer = chance.choice((0.0, 0.0, 0.02, 0.1))
        made.weather.again = chance.choice((0.0, 0.3))
        made.weather.write_s = chance.choice((0.001, 0.01, 0.2))
        manners = made.manners
        manners.stubborn = chance.choice((0.0, 0.3))
        manners.escapes = chance.choice((0.0, 0.3))
        manners.refused = chance.choice((0.0, 0.1))
        manners.swells = chance.choice((0.0, 0.3))
        manners.dies_early = chance.choice((0.0, 0.0, 0.3))
        self._often(8.0, lambda: made.submit(chance.randint(1, 4)), 1.0)
        self._often(12.0, self._crash_unit)
        self._often(20.0, self._crash_actor)
        self._often(25.0, self._kill_node)
        self._often(40.0, self._freeze)
        self._often(60.0, made.take_lease)
        self._often(40.0, self._server_away)
        self._often(50.0, self._full)
        self._often(30.0, self._stop_unit)
        self._often(30.0, self._silence)
        self._often(25.0, self._person)
        self._often(60.0, lambda: made.adopt(str(chance.randint(1, 3))))
        self._often(60.0, self._end_in_order)
        self._often(90.0, self._step_clock)

    def _often(self, mean_s: float, what: Callable[[], Any], share: float = 0.5) -> None:
        """Let a fault fall about every so many seconds, in a share of the seeds."""
        if self._chance.random() >= share:
            return
        at = 0.0
        while True:
            at += self._chance.expovariate(1.0 / mean_s)
            if at > STORM_S:
                return
            self._made.agenda.at(at, what)

    def _note(self, what: str) -> None:
        self._made.hurts.append(f"{self._made.agenda.now:.3f} {what}")

    def _crash_unit(self) -> None:
        being = self._made.machine.main(self._chance.choice(UNITS))
        if being:
            self._note(f"{being.request.unit} crashes")
            self._made.machine.die(being, **self._chance.choice(({"code": 1}, {"signal": 11}, {"code": 0})))

    def _crash_actor(self) -> None:
        self._made.stage.doom = self._chance.choice(ACTORS)
        self._note(f"actor {self._made.stage.doom} is to fail")

    def _kill_node(self) -> None:
        if self._made.node:
            self._made.kill("node killed")
            self._made.agenda.at(self._chance.expovariate(0.5), self._made._begin_again)

    def _freeze(self) -> None:
        self._note("node paused")
        self._made.freeze(self._chance.choice((0.1, 1.0, 10.0, 40.0)))

    def _server_away(self) -> None:
        self._note("server away")
        weather = self._made.weather
        weather.down = True
        self._made.agenda.at(
            self._chance.choice((0.1, 2.0, 20.0, 130.0)), lambda: setattr(weather, "down", False)
        )

    def _full(self) -> None:
        self._note("log full")
        weather = self._made.weather
        weather.full = True
        self._made.agenda.at(self._chance.choice((1.0, 10.0)), lambda: setattr(weather, "full", False))

    def _stop_unit(self) -> None:
        unit = self._chance.choice(UNITS)
        self._note(f"{unit} stopped from outside")
        self._made.stop_unit(unit, signal.SIGSTOP)

    def _silence(self) -> None:
        runners = list(self._made.runners.values())
        if runners:
            self._chance.choice(runners).silent = True

    def _person(self) -> None:
        target = self._chance.choice((*UNITS, "w"))
        said: dict[str, Any] = self._chance.choice(
            ({"intent": "stop"}, {"intent": "run"}, {"intent": "run", "restart": True}, {"intent": "pause"})
        )
        self._note(f"person: {target} {said}")
        self._made.intend(target, **said)

    def _end_in_order(self) -> None:
        """Stop the node as SIGTERM does; when it has ended, or was killed on the way, it starts again."""
        node = self._made.node
        if node is None or not node.leads or node._ending:
            return
        self._note("node ends in order")
        node.order_stop()

        def look(left: int) -> None:
            if self._made.node is not node:
                return
            if not node.stopped and left:
                self._made.agenda.at(0.5, lambda: look(left - 1))
                return
            alive = [being.marker for being in self._made.machine.living()]
            if node.stopped and alive:
                raise Broken(f"left behind after an orderly end: {alive}")
            self._made.kill("node ended in order" if node.stopped else "node killed while it ended")
            self._made.agenda.at(1.0, self._made._begin_again)

        self._made.agenda.at(0.5, lambda: look(120))

    def _step_clock(self) -> None:
        if self._made.node:
            self._note("clock stepped")
            self._made.node.clock.step_us += self._chance.choice((-60, -1, 1, 60)) * 1_000_000

"""An OTP-style supervisor: children as data, one_for_one, bounded intensity, escalation, stop in reverse order."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import pykka
from msgspec import Struct

from actors.clock import Clock
from actors.runtime import Actor, Down, Watcher, tell

_log = logging.getLogger("elf.supervisor")


class ChildSpec(Struct, frozen=True):
    """How a child is started. `start` gets the watcher and, after a failure, what went wrong."""

    name: str
    start: Callable[[Watcher, Down | None], pykka.ActorRef[Any]]
    stop_timeout_s: float = 10.0


class Intensity(Struct, frozen=True):
    """More than `restarts` within `period_s` means that restarting does not help."""

    restarts: int = 5
    period_s: float = 30.0


DEFAULT_INTENSITY = Intensity()


class Supervisor(Actor):
    """Starts its children in order, replaces one that fails, gives up to `escalate` when they keep failing."""

    def __init__(
        self,
        name: str,
        watcher: Watcher,
        children: Sequence[ChildSpec],
        clock: Clock,
        escalate: Callable[[str], None],
        intensity: Intensity = DEFAULT_INTENSITY,
    ) -> None:
        super().__init__(name, watcher)
        self._specs = {spec.name: spec for spec in children}
        self._clock = clock
        self._escalate = escalate
        self._intensity = intensity
        self._failures: deque[float] = deque()
        self._given_up = False

    def begin(self) -> None:
        """Start all children; a child that cannot start stops those before it."""
        for spec in self._specs.values():
            self._start(spec, None)

    def _start(self, spec: ChildSpec, down: Down | None) -> None:
        ref = self.actor_ref
        self.below[spec.name] = spec.start(lambda failed: _report(ref, failed), down)

    def handle(self, message: Any) -> Any:
        """Hear of a failure, replace the child; answer `children` for the curious."""
        if isinstance(message, Down):
            self._failed(message)
            return None
        if message == "children":
            return dict(self.below)
        return super().handle(message)

    def _failed(self, down: Down) -> None:
        now = self._clock.monotonic()
        self._failures.append(now)
        while self._failures and now - self._failures[0] > self._intensity.period_s:
            self._failures.popleft()
        if self._given_up:
            return
        if len(self._failures) > self._intensity.restarts:
            self._given_up = True
            self._escalate(
                f"{down.name} failed {len(self._failures)} times within {self._intensity.period_s:g} s: {down.error}"
            )
            return
        said = "%s failed (%s), starting it again"
        _log.warning(said, down.name, down.error, extra={"position": down.position})
        self._start(self._specs[down.name], down)

    def end(self) -> None:
        """Stop the children, the last started first."""
        self._given_up = True
        for name in reversed(list(self._specs)):
            child = self.below.get(name)
            if child is None:
                continue
            try:
                child.stop(block=True, timeout=self._specs[name].stop_timeout_s)
            except pykka.Timeout:
                _log.error("%s did not stop within %g s", name, self._specs[name].stop_timeout_s)


def _report(supervisor: pykka.ActorRef[Any], down: Down) -> None:
    tell(supervisor, down)

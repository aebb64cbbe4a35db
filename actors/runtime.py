"""What all our actors share: a name, a watcher that hears of their failure, and no silent death."""

import logging
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

import pykka
from msgspec import Struct

_log = logging.getLogger("elf.actors")


class Down(Struct, frozen=True):
    """An actor ended by an exception."""

    name: str
    error: str
    position: int = 0


class Knock(Struct, frozen=True):
    """Asks whether an actor still takes its mail; it calls `heard`, and `ask` for everybody below it."""

    heard: Callable[[], None]
    ask: Callable[[str, pykka.ActorRef[Any]], None]


Watcher = Callable[[Down], None]


class Actor(pykka.ThreadingActor):
    """A Pykka actor that tells its watcher when it fails; Pykka alone would drop it and its mail silently.

    `position` is the last log position taken in, for those that read the log; `below` are the actors it has started.
    """

    def __init__(self, name: str, watcher: Watcher) -> None:
        super().__init__()
        self.name = name
        self.position = 0
        self.below: dict[str, pykka.ActorRef[Any]] = {}
        self._watcher = watcher

    def begin(self) -> None:
        """Prepare in the actor's own thread; an exception here is a failure like any other."""

    def end(self) -> None:
        """Clean up in the actor's own thread, after an orderly stop and after a failure."""

    def handle(self, message: Any) -> Any:
        """Take one message. Never blocks for long, never asks another actor."""
        raise TypeError(f"expected a message that {self.name} knows, got {type(message).__name__}")

    def on_start(self) -> None:
        """Pykka's hook, in the actor's thread."""
        try:
            self.begin()
        except Exception as problem:
            self._fail(problem)
            raise

    def on_receive(self, message: Any) -> Any:
        """Pykka's hook, in the actor's thread."""
        if isinstance(message, Knock):
            for name, ref in self.below.items():
                message.ask(name, ref)
            message.heard()
            return None
        return self.handle(message)

    def on_stop(self) -> None:
        """Pykka's hook, in the actor's thread."""
        self.end()

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Pykka's hook, in the actor's thread."""
        try:
            self.end()
        except Exception:
            _log.exception("%s: cleaning up failed", self.name)
        self._fail(exception_value)

    def _fail(self, problem: BaseException | None) -> None:
        text = "".join(traceback.format_exception(problem)) if problem else "unknown"
        _log.error("%s failed: %s", self.name, text, extra={"position": self.position})
        self._watcher(Down(self.name, f"{type(problem).__name__}: {problem}", self.position))


def tell(ref: pykka.ActorRef[Any], message: object) -> bool:
    """Send a message; False when the actor is gone (its supervisor is about to replace it)."""
    try:
        ref.tell(message)
    except pykka.ActorDeadError:
        return False
    return True

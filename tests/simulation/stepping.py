"""Our actor classes without threads: a stage on which chance alone chooses who handles its next message."""

import contextlib
import sys
from collections import deque
from collections.abc import Iterator
from functools import partialmethod
from random import Random
from typing import Any

import pykka
from pykka import Future, Timeout
from pykka._envelope import Envelope

from actors.runtime import Actor

_STEPS_OF_A_WAIT = 20_000


class Inbox:
    """An actor's mail, taken by the stage."""

    def __init__(self) -> None:
        self.mail: deque[Envelope[Any]] = deque()

    def put(self, envelope: Envelope[Any]) -> None:
        """See `queue.Queue.put`."""
        self.mail.append(envelope)

    def get(self) -> Envelope[Any]:
        """See `queue.Queue.get`; never waits."""
        return self.mail.popleft()

    def empty(self) -> bool:
        """See `queue.Queue.empty`."""
        return not self.mail


class Answer(Future[Any]):
    """A future whose `get` lets the others act until the answer is there."""

    stage: "Stage"

    def __init__(self) -> None:
        super().__init__()
        self._answer: tuple[Any, Any] | None = None

    def get(self, *, timeout: float | None = None) -> Any:
        """See `pykka.Future.get`."""
        with contextlib.suppress(NotImplementedError):
            return super().get(timeout=timeout)
        for _ in range(_STEPS_OF_A_WAIT):
            if self._answer is not None:
                break
            if not self.stage.step():
                raise Timeout(f"{timeout} seconds")
        if self._answer is None:
            raise Timeout(f"{timeout} seconds")
        value, problem = self._answer
        if problem is not None:
            raise problem
        return value

    def set(self, value: Any = None) -> None:
        """See `pykka.Future.set`."""
        self._answer = (value, None)

    def set_exception(self, exc_info: Any = None) -> None:
        """See `pykka.Future.set_exception`."""
        self._answer = (None, (exc_info or sys.exc_info())[1])


class Stage:
    """Who is on it, whose mail waits, and who acts next. `doom` names an actor whose next message kills it."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._actors: list[Actor] = []
        self._seats: list[tuple[Actor, int, deque[Envelope[Any]]]] = []
        self._fresh: set[int] = set()
        self._acting: set[int] = set()
        self.doom: str = ""

    def enter(self, actor: Actor) -> None:
        """Take a new actor on; its `on_start` comes when chance will have it."""
        self._actors.append(actor)
        inbox: Any = actor.actor_inbox
        self._seats.append((actor, id(actor), inbox.mail))
        self._fresh.add(id(actor))

    def ready(self) -> list[Actor]:
        """Return everybody who could act now."""
        fresh, acting = self._fresh, self._acting
        return [actor for actor, key, mail in self._seats if (mail or key in fresh) and key not in acting]

    def step(self) -> bool:
        """Let one actor act; False when nobody can."""
        ready = self.ready()
        if not ready:
            return False
        actor = ready[0] if len(ready) == 1 else self._chance.choice(ready)
        self._acting.add(id(actor))
        try:
            self._act(actor)
        finally:
            self._acting.discard(id(actor))
        if actor.actor_stopped.is_set():
            self._leave(actor)
        return True

    def names(self) -> list[str]:
        """Return who lives."""
        return [actor.name for actor in self._actors]

    def find(self, name: str) -> Actor | None:
        """Return the living actor of a name."""
        return next((actor for actor in self._actors if actor.name == name), None)

    def clear(self) -> None:
        """Let everybody vanish with his mail, as the end of their process does."""
        for actor in self._actors:
            actor.actor_stopped.set()
            pykka.ActorRegistry.unregister(actor.actor_ref)
        self._actors.clear()
        self._seats.clear()
        self._fresh.clear()
        self.doom = ""

    def _act(self, actor: Actor) -> None:
        if id(actor) in self._fresh:
            self._fresh.discard(id(actor))
            actor._actor_loop_setup()
            return
        envelope = actor.actor_inbox.get()
        try:
            if self.doom == actor.name:
                self.doom = ""
                raise RuntimeError("struck by chance")
            answer = actor._handle_receive(envelope.message)
            if envelope.reply_to is not None:
                envelope.reply_to.set(answer)
        except Exception:
            # As the loop of pykka does it.
            if envelope.reply_to is not None:
                envelope.reply_to.set_exception()
            else:
                actor._handle_failure(*sys.exc_info())
                actor.on_failure(*sys.exc_info())

    def _leave(self, actor: Actor) -> None:
        if actor in self._actors:
            self._actors.remove(actor)
            self._seats = [seat for seat in self._seats if seat[0] is not actor]
        actor._actor_loop_teardown()


def _enter(actor: Actor, stage: Stage) -> None:
    stage.enter(actor)


@contextlib.contextmanager
def stepping(stage: Stage) -> Iterator[None]:
    """Let all our actors that start now act on the stage instead of in threads."""
    hooks = {
        "_create_actor_inbox": staticmethod(Inbox),
        "_create_future": staticmethod(type("StageAnswer", (Answer,), {"stage": stage})),
        "_start_actor_loop": partialmethod(_enter, stage),
    }
    for name, hook in hooks.items():
        setattr(Actor, name, hook)
    try:
        yield
    finally:
        stage.clear()
        for name in hooks:
            delattr(Actor, name)

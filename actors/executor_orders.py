"""What the executor can be told, beside what it reads in the log."""

from collections.abc import Callable

from msgspec import Struct


class TakeOver(Struct, frozen=True):
    """This node leads since that position; what lives under the keeper is to be taken over once all is folded."""

    epoch: int
    done: Callable[[], object]


class Orphaned(Struct, frozen=True):
    """The units' keeper was killed and another one took its place: who lived under it is to be looked after."""


class StopAll(Struct, frozen=True):
    """End every unit in the reverse order of their dependencies; `done` is called when none is left."""

    done: Callable[[], object]

"""What msgspec has to know of struct types before threads read them."""

from collections.abc import Iterator

from msgspec import Struct
from msgspec.json import Decoder


def settle_types() -> None:
    """Let msgspec work out every struct type that is defined by now, in this thread alone.

    It does so the first time that a type is read, and other threads see the result half made: two that read types
    with a common part at the same moment end the process by SIGSEGV (msgspec 0.22.0). Call it before the first
    thread begins; it takes some 20 ms.
    """
    for kind in _below(Struct):
        try:
            Decoder(kind)
        except TypeError:
            # Messages within the process, with fields that no JSON can say: nobody reads those.
            continue


def _below(kind: type[Struct]) -> Iterator[type[Struct]]:
    for below in kind.__subclasses__():
        yield below
        yield from _below(below)

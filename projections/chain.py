"""The running hash over the log: every position follows the one before, every byte counts."""

from collections.abc import Iterable
from hashlib import blake2b
from struct import Struct

from events.envelope import Recorded

START = bytes(16)
"""The head before the first event."""

_empty = blake2b(digest_size=len(START)).copy  # a copy of an empty one is made sooner than a new one
_before = Struct(">16sQ").pack  # the previous head, the position


class ChainBroken(Exception):
    """The log is not the one that was read before. `position` is what came, `expected` what had to come."""

    def __init__(self, text: str, position: int, expected: int) -> None:
        super().__init__(text)
        self.position = position
        self.expected = expected


class Gap(ChainBroken):
    """Positions are missing."""


class Regression(ChainBroken):
    """A position came again, or an older one."""


class Altered(ChainBroken):
    """The bytes are not those that the head was taken over."""


class Chain:
    """Blake2b of 16 bytes over (previous head, position as 8 bytes big endian, stored bytes), event by event.

    `count` is how many events the head covers. Two readers of a log hold the same head at the same position.
    """

    __slots__ = ("count", "head", "position")

    def __init__(self, position: int = 0, head: bytes = START, count: int = 0) -> None:
        if len(head) != len(START):
            raise ValueError(f"expected a head of {len(START)} bytes, got {len(head)}")
        self.position = position
        self.head = head
        self.count = count

    def push(self, position: int, data: bytes) -> None:
        """Take the next event. Raises Gap or Regression, unchanged, unless `position` is the last + 1."""
        if position != self.position + 1:
            raise self._broken(position)
        self.head = _next(self.head, position, data)
        self.position = position
        self.count += 1

    def extend(self, batch: Iterable[Recorded]) -> None:
        """Take a batch, all of it or nothing. Raises like `push`."""
        position, head, count = self.position, self.head, self.count
        for event in batch:
            if event.position != position + 1:
                raise Chain(position, head, count)._broken(event.position)
            position += 1
            # `_next`, without a call: every event that is ever read again passes here.
            link = _empty()
            link.update(_before(head, position) + event.data)
            head = link.digest()
            count += 1
        self.position, self.head, self.count = position, head, count

    def copy(self) -> "Chain":
        """Return a chain that goes on from here by itself."""
        return Chain(self.position, self.head, self.count)

    @property
    def head_hex(self) -> str:
        """The head as people and JSON see it."""
        return self.head.hex()

    def _broken(self, position: int) -> ChainBroken:
        expected = self.position + 1
        if position > expected:
            missing = f"{expected}" if position == expected + 1 else f"{expected} to {position - 1}"
            return Gap(f"expected position {expected}, got {position}: {missing} missing", position, expected)
        return Regression(f"expected position {expected}, got {position} again", position, expected)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Chain):
            return NotImplemented
        return (self.position, self.head, self.count) == (other.position, other.head, other.count)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Chain(position={self.position}, head={self.head_hex}, count={self.count})"


def _next(head: bytes, position: int, data: bytes) -> bytes:
    link = _empty()
    link.update(_before(head, position) + data)
    return link.digest()

"""History without a server: sealed segments first, then the tail that the warehouse holds."""

from collections.abc import Iterator, Sequence

from events.envelope import Recorded
from projections.segments import Segments
from projections.warehouse import Warehouse


class History:
    """Everything that stands on this disk outside the stream, as one log. Any thread may read."""

    def __init__(self, segments: Segments, warehouse: Warehouse | None) -> None:
        self.segments = segments
        self.warehouse = warehouse

    @property
    def last(self) -> int:
        """The last position that is here."""
        return max(self.segments.last, self.warehouse.checkpoint if self.warehouse else 0)

    def events(self, after: int = 0, until: int | None = None) -> Iterator[Sequence[Recorded]]:
        """Yield what stands behind `after`, up to and with `until`, in log order. Raises SegmentDamaged."""
        end = self.last if until is None else min(until, self.last)
        for chunk in self.segments.events(after, end):
            yield chunk
            after = chunk[-1].position
        if self.warehouse and after < end:
            yield from self.warehouse.events(after, end)

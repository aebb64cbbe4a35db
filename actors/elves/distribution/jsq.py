"""Push each task at once to the agent with the fewest outstanding ones."""

from typing import Any

from actors.elves.distribution.placing import Distribution
from projections.records import Record


class Jsq(Distribution):
    """Join the shortest queue; ties by longest idle, then name."""

    name = "jsq"
    push = True

    def turn(self, record: Record, held: int, name: str, moment: int) -> Any:
        """See `Distribution`."""
        return (held, record.freed_at, name)

    def behind(self) -> str:
        """See `Distribution`."""
        return "more tasks or idle for less time"

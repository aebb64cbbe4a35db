"""Which issues and pull requests are to be opened and are not known to stand."""

from msgspec import Struct, field

from events.envelope import Recorded
from events.jobs import PublicationOpened, PublicationRefused, PublicationRequested


class Publications(Struct):
    """What is open by key, oldest first."""

    position: int = 0
    open: dict[str, PublicationRequested] = field(default_factory=dict)

    def apply(self, event: Recorded) -> None:
        """Fold one event; the position moves last."""
        match event.body:
            case PublicationRequested(key=key) as wanted:
                self.open[key] = wanted
            case PublicationOpened(key=key) | PublicationRefused(key=key, final=True):
                self.open.pop(key, None)
            case _:
                pass
        self.position = event.position

"""What replay must know beforehand: which decisions stand in the log, and who was there to decide."""

from collections.abc import Iterable, Sequence

from msgspec import Struct, field

from events.decisions import Decided
from events.envelope import Recorded
from events.observations import DeciderResumed, LeaseTaken, NodeStarted, NodeStopped
from events.outcomes import Checkpointed

# A position behind every log's end.
NEVER = 1 << 62


# In a log that goes on, a decision is under way for a moment only.
_UNDER_WAY_US = 5_000_000
# A node that was killed may have waited for its log before: so long it says a thing again.
_GIVEN_UP_US = 110_000_000


class Index(Struct):
    """One walk over a log. Positions and forest times; batches by (elf, epoch, as_of), in log order."""

    events: int = 0
    last: int = 0
    batches: dict[tuple[str, int, int], list[tuple[int, str, Decided]]] = field(default_factory=dict)
    batches_of: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    alive_until: dict[int, int] = field(default_factory=dict)
    last_word_at: dict[int, int] = field(default_factory=dict)
    ended_in_order: set[int] = field(default_factory=set)
    last_epoch: int = 0
    absences: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    checkpoints: dict[tuple[str, int], str] = field(default_factory=dict)
    starts: list[NodeStarted] = field(default_factory=list)

    @classmethod
    def of(cls, chunks: Iterable[Sequence[Recorded]]) -> "Index":
        """Walk over a log."""
        index = cls()
        epoch, holder = 0, ""
        for chunk in chunks:
            for event in chunk:
                index.events += 1
                body = event.body
                if isinstance(body, LeaseTaken):
                    epoch, holder = event.position, f"node.{body.holder}"
                    index.last_epoch = epoch
                if event.source == holder:
                    index.alive_until[epoch] = event.position
                    index.last_word_at[epoch] = max(event.time, index.last_word_at.get(epoch, 0))
                    index._of_node(event, epoch)
            if chunk:
                index.last = chunk[-1].position
        return index

    def _of_node(self, event: Recorded, epoch: int) -> None:
        match event.body:
            case Decided() as decided:
                key = (decided.elf, decided.epoch, decided.as_of)
                self.batches_of.setdefault((decided.elf, decided.epoch), []).append(decided.as_of)
                self.batches.setdefault(key, []).append((event.position, event.id, decided))
            case NodeStarted() as started:
                self.starts.append(started)
            case NodeStopped():
                self.ended_in_order.add(epoch)
            case DeciderResumed(elf=elf, after=after):
                # One that was still reading the past when it failed was not away before its node led.
                self.absences.setdefault(elf, []).append((max(after, epoch), event.position))
            case Checkpointed(elf=elf, as_of=as_of, digest=digest):
                self.checkpoints[elf, as_of] = digest
            case _:
                return

    def unwritten_until(self, elf: str, epoch: int, as_of: int, now: int) -> int:
        """Return up to where a batch may have been on its way without ever reaching the log; 0 for nowhere.

        It is lost when its elf fails or its node dies before it is durable. An elf with a batch on its way decides
        nothing else, so nothing of it may stand in between. A node whose last word is in the log has lost nothing:
        what it writes stays in order.
        """
        following = [of for of in self.batches_of.get((elf, epoch), ()) if of > as_of]
        for after, back in self.absences.get(elf, ()):
            if as_of <= after and all(of >= back for of in following):
                return back
        if following or epoch in self.ended_in_order:
            return 0
        within = _UNDER_WAY_US if epoch == self.last_epoch else _GIVEN_UP_US
        return NEVER if self.last_word_at.get(epoch, 0) - now <= within else 0

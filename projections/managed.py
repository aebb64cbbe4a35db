"""Workers' own configuration files that may be repaired: how each was last seen, and which repairs are open."""

from msgspec import Struct

from events.decisions import Decided, RepairFile
from events.envelope import Recorded
from events.observations import LeaseTaken, ManagedFileSeen
from events.outcomes import EffectFailed, EffectVerified


class FileSeen(Struct):
    """One file as it was last looked at; `tried` is the digest that a repair was decided for."""

    worker: str
    path: str
    digest: str
    ok: bool
    good: str
    changed_at: int
    error: str
    tried: str = ""


class Managed(Struct):
    """All files by `worker path`, open repairs by decision."""

    position: int = 0
    epoch: int = 0
    files: dict[str, FileSeen] = {}
    open: dict[str, RepairFile] = {}

    def apply(self, event: Recorded) -> None:
        """Fold one event; the position moves last, so that a fold cut short is recognised."""
        match event.body:
            case LeaseTaken():
                self.epoch = event.position
            case ManagedFileSeen() as seen:
                key = f"{seen.worker} {seen.path}"
                before = self.files.get(key)
                self.files[key] = FileSeen(
                    seen.worker,
                    seen.path,
                    seen.digest,
                    seen.ok,
                    seen.good,
                    seen.changed_at,
                    seen.error,
                    before.tried if before and not seen.ok else "",
                )
            case Decided(action=RepairFile() as repair, mode="act", target=worker, epoch=epoch):
                file = self.files.get(f"{worker} {repair.path}")
                if file:
                    file.tried = repair.digest
                if epoch == self.epoch:
                    self.open[event.id] = repair
            case EffectVerified(decision=decision) | EffectFailed(decision=decision):
                self.open.pop(decision, None)
            case _:
                pass
        self.position = event.position

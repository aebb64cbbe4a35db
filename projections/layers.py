"""What the distribution of tasks rests on: the file, above it what tuning adopted, above that a person's word."""

from msgspec import Struct

from events.decisions import AdoptDistribution, Decided
from events.envelope import Recorded
from events.observations import LeaseTaken
from events.outcomes import EffectFailed, EffectVerified
from events.settings import DistributionSettings, Settings, SettingsAdopted


class Layers(Struct):
    """The settings in force; the file's distribution and the adopted one; what is decided and not carried out yet.

    `covered` is the position of a file's settings that put aside what tuning had adopted before.
    """

    position: int = 0
    epoch: int = 0
    settings: Settings | None = None
    file: DistributionSettings = DistributionSettings()
    tuned: DistributionSettings | None = None
    covered: int = 0
    open: dict[str, AdoptDistribution] = {}

    def apply(self, event: Recorded) -> None:
        """Fold one event; the position moves last, so that a fold cut short is recognised."""
        match event.body:
            case LeaseTaken():
                self.epoch = event.position
            case SettingsAdopted(settings=settings, origin=origin):
                self._adopted(settings, origin, event.position)
            case Decided(action=AdoptDistribution() as wanted, mode="act", epoch=epoch):
                if epoch == self.epoch:
                    self.open[event.id] = wanted
            case EffectVerified(decision=decision) | EffectFailed(decision=decision):
                self.open.pop(decision, None)
            case _:
                pass
        self.position = event.position

    def _adopted(self, settings: Settings, origin: str, position: int) -> None:
        self.settings, self.covered = settings, 0
        if origin == "file":
            self.file = settings.distribution
            if self.tuned is not None and self.tuned != settings.distribution:
                self.covered = position
        else:
            self.tuned = settings.distribution if origin == "tuning" else None

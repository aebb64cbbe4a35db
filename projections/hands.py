"""What the executor knows from the log, as one fold that is kept between starts."""

from msgspec import Struct, field

from events.decisions import Decided
from events.envelope import Recorded
from events.observations import NodeStarted
from events.outcomes import EffectFailed, EffectVerified, WorkerStarted
from events.settings import Settings, SettingsAdopted
from projections.custody import Custody
from projections.standing import Standing
from projections.units import Units


class Hands(Struct):
    """The executor's folds at one position; `boots` names the boot in which each unit was started."""

    position: int = 0
    settings: Settings = field(default_factory=lambda: Settings(node=""))
    units: Units = field(default_factory=Units)
    custody: Custody = field(default_factory=Custody)
    standing: dict[str, Standing] = {}
    boot: str = ""
    boots: dict[str, str] = {}

    def apply(self, event: Recorded) -> None:
        """Fold one event; the position moves last, so that a fold cut short is recognised."""
        body = event.body
        self.units.apply(event, event.time, self.settings)
        self.custody.apply(event)
        match body:
            case SettingsAdopted(settings=settings):
                self.settings = settings
            case Decided(elf=elf):
                self.standing.setdefault(elf, Standing()).note(event, body, event.time)
            case EffectVerified() | EffectFailed():
                for standing in self.standing.values():
                    standing.settle(body)
            case NodeStarted(boot=boot):
                self.boot = boot
            case WorkerStarted(unit=unit):
                self.boots[unit] = self.boot
            case _:
                pass
        self.position = event.position

    def busy(self, unit: str) -> bool:
        """Tell whether an act on the unit is open."""
        return any(standing.busy(unit) for standing in self.standing.values())

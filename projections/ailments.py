"""Signs of single workers between ticks: tasks that do not end, ended children, disk sleep, queues nobody asks."""

from msgspec import Struct, field

from events.decisions import ContinueUnit, Decided, Notify, TakeEvidence, TellUnit
from events.envelope import Recorded
from events.observations import EvidenceTaken, ProcessLook, Sampled, Sign
from events.outcomes import WorkerStartOrdered
from events.settings import Settings, WorkerSettings
from projections.queues import Queues
from projections.units import SECOND, Unit, Units, worker_of

# A task that began so much later than the one seen before is another one.
_SAME_US = 15 * SECOND
# So many ends make a usual time.
KNOWN = 5
_TIMES = 3


class Look(Struct, frozen=True):
    """What evidence showed of the process in question, at a forest time."""

    at: int
    seen: ProcessLook
    source: str
    file: str


class Ailment(Struct):
    """One generation of a unit. Times are forest microseconds, 0 means not so.

    `begun` is when the task that lasts began, `ticks` counts looks at which it had lasted too long; `looks` are the
    last two of the `asked` ones. `examined` has the kinds of other looks, and the rules by which people were told.
    """

    generation: int = 0
    sign: Sign | None = None
    begun: int = 0
    ticks: int = 0
    asked: int = 0
    asked_at: int = 0
    looks: list[Look] = field(default_factory=list)
    disk_since: int = 0
    zombies_since: int = 0
    zombies_first: int = 0
    dry_since: int = 0
    renewed_at: int = 0
    told: list[str] = field(default_factory=list)
    examined: list[str] = field(default_factory=list)


class Ailments(Struct):
    """All units by name, and the queues they work for."""

    units: dict[str, Ailment] = {}
    queues: Queues = field(default_factory=Queues)

    def get(self, name: str) -> Ailment:
        """Return a unit's; a blank one where nothing was seen of it."""
        return self.units.get(name) or Ailment()

    def _own(self, name: str) -> Ailment:
        return self.units.setdefault(name, Ailment())

    def apply(self, event: Recorded, now: int, units: Units, settings: Settings) -> None:
        """Fold one event. Call after the units have folded it."""
        self.queues.apply(event, now, settings)
        match event.body:
            case Sampled(signs=signs):
                shown = {sign.unit: sign for sign in signs}
                for unit in units.units.values():
                    if unit.alive:
                        self._tick(unit, shown.get(unit.name), now, settings)
            case WorkerStartOrdered(unit=name, generation=generation):
                self.units[name] = Ailment(generation)
            case EvidenceTaken(unit=name, generation=generation, kind="stalled", looks=looks) as taken:
                ailment = self._own(name)
                if looks and ailment.generation == generation and ailment.begun:
                    # As of the question: an answer may take one time longer than another.
                    ailment.looks.append(Look(ailment.asked_at, looks[0], taken.source, taken.file))
                    del ailment.looks[:-2]
            case Decided(action=TakeEvidence(kind=kind), mode="act", target=name) if kind != "stalled":
                self._own(name).examined.append(kind)
            case Decided(action=Notify(), rule=rule, target=name) if name in self.units:
                self.units[name].examined.append(rule)
            case Decided(action=TakeEvidence(), mode="act", target=name):
                ailment = self._own(name)
                ailment.asked += 1
                ailment.asked_at = now
            case Decided(action=ContinueUnit(), mode="act", target=name):
                # What was seen before says nothing about what it does from now on.
                ailment = self._own(name)
                ailment.asked = 0
                ailment.looks.clear()
            case Decided(action=TellUnit(verb=verb), mode="act", target=name):
                ailment = self._own(name)
                ailment.told.append(verb)
                if verb == "renew":
                    ailment.renewed_at = now
            case _:
                return

    def limit_ms(self, worker: WorkerSettings, settings: Settings) -> int:
        """Return after how long a task of this pool has lasted too long."""
        queue = self.queues.queues.get(worker.queue)
        return max(round(settings.limits.stall_s * 1000), _TIMES * queue.p99_ms() if queue else 0)

    def knows(self, queue: str) -> bool:
        """Tell whether the usual time of a queue's tasks is known."""
        found = self.queues.queues.get(queue)
        return found is not None and len(found.services) >= KNOWN

    def _tick(self, unit: Unit, sign: Sign | None, now: int, settings: Settings) -> None:
        ailment = self._own(unit.name)
        if ailment.generation != unit.generation:
            ailment = self.units[unit.name] = Ailment(unit.generation)
        if sign and sign.generation != unit.generation:
            sign = None
        self._stall(ailment, unit, sign, now, settings)
        ailment.sign = sign
        status = unit.sample.status if unit.sample else ""
        ailment.disk_since = (ailment.disk_since or now) if status == "D" else 0
        zombies = sign.zombies if sign else 0
        if not zombies:
            ailment.zombies_since = 0
        elif not ailment.zombies_since:
            ailment.zombies_since, ailment.zombies_first = now, zombies
        ailment.dry_since = (ailment.dry_since or now) if self._is_dry(unit, settings) else 0

    def _stall(self, ailment: Ailment, unit: Unit, sign: Sign | None, now: int, settings: Settings) -> None:
        worker = worker_of(settings, unit.pool)
        if sign is None or not sign.stall_ms or worker is None:
            ailment.begun = ailment.ticks = ailment.asked = 0
            ailment.looks.clear()
            return
        begun = now - sign.stall_ms * 1000
        before = ailment.sign
        # A tick may be written late, so only a task that has lasted shorter, or began far later, is another one.
        shorter = before is None or before.pid != sign.pid or sign.stall_ms < before.stall_ms
        if shorter or begun > ailment.begun + _SAME_US:
            ailment.ticks = ailment.asked = 0
            ailment.looks.clear()
        ailment.begun = begun
        ailment.ticks = ailment.ticks + 1 if sign.stall_ms >= self.limit_ms(worker, settings) else 0

    def _is_dry(self, unit: Unit, settings: Settings) -> bool:
        """Tell whether work waits, nobody asks for it, and this unit has nothing to do."""
        worker = worker_of(settings, unit.pool)
        if worker is None or not worker.queue or not unit.ready or unit.intent != "run":
            return False
        queue = self.queues.get(worker.queue)
        busy = unit.sample is not None and unit.sample.in_flight > 0
        return queue.pending > 0 and queue.pulls == 0 and queue.in_flight == 0 and not busy

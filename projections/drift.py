"""How a unit's service time and memory drift since its start, and whether a restart undid that before."""

from msgspec import Struct, field

from events.envelope import Recorded
from events.observations import Sampled
from events.outcomes import WorkerStartOrdered
from events.tasks import TaskFinished

FIRST = 20
DRIFT = 1.2
_WEIGHT = 0.05
_WARM_UP = 600_000_000


class Wear(Struct):
    """One generation: `first_*` is how it was after its start, `last_*` how it is.

    `undone` counts the restarts in a row that undid a drift, `worn` says which one the last of them was to undo.
    """

    generation: int = 0
    since: int = 0
    tasks: int = 0
    first_ms: float = 0.0
    last_ms: float = 0.0
    first_memory: int = 0
    last_memory: int = 0
    worn: str = ""
    before: float = 0.0
    undone: int = 0
    said: int = 0

    def drift(self) -> tuple[str, float]:
        """Return what has drifted the most beyond a fifth, and its ratio to what it was; no name for nothing."""
        time = self.last_ms / self.first_ms if self.tasks >= 3 * FIRST and self.first_ms > 0 else 1.0
        memory = self.last_memory / self.first_memory if self.first_memory else 1.0
        if max(time, memory) <= DRIFT:
            return "", max(time, memory)
        return ("service time", time) if time >= memory else ("memory", memory)


class Drifts(Struct):
    """Wear of all units by name."""

    units: dict[str, Wear] = field(default_factory=dict)

    def apply(self, event: Recorded, now: int) -> None:
        """Fold one event."""
        match event.body:
            case WorkerStartOrdered(unit=name, generation=generation):
                self._renewed(name, generation, now)
            case TaskFinished(unit=name, generation=generation, service_ms=spent):
                wear = self.units.get(name)
                if wear and wear.generation == generation:
                    self._took(wear, float(spent))
            case Sampled(units=samples):
                for sample in samples:
                    wear = self.units.get(sample.unit)
                    if wear and wear.generation == sample.generation and sample.memory:
                        self._weighs(wear, sample.memory, now)
            case _:
                return

    def _renewed(self, name: str, generation: int, now: int) -> None:
        old = self.units.get(name, Wear())
        worn, _ = old.drift()
        before = old.last_ms if worn == "service time" else float(old.last_memory)
        self.units[name] = Wear(
            generation=generation, since=now, worn=worn, before=before if worn else 0.0, undone=old.undone
        )

    def _took(self, wear: Wear, spent: float) -> None:
        wear.tasks += 1
        if wear.tasks <= FIRST:
            wear.first_ms += (spent - wear.first_ms) / wear.tasks
            wear.last_ms = wear.first_ms
            if wear.tasks == FIRST and wear.worn == "service time":
                self._judge(wear, wear.first_ms)
        else:
            wear.last_ms += (spent - wear.last_ms) * _WEIGHT

    def _weighs(self, wear: Wear, memory: int, now: int) -> None:
        """The first ten minutes are warm-up: what a program loads is no drift."""
        wear.last_memory = memory
        if not wear.first_memory and now - wear.since >= _WARM_UP:
            wear.first_memory = memory
            if wear.worn == "memory":
                self._judge(wear, float(memory))

    def _judge(self, wear: Wear, fresh: float) -> None:
        """A restart undid a drift if the fresh value lies below the worn one by as much as makes a drift."""
        wear.undone = wear.undone + 1 if fresh * DRIFT <= wear.before else 0
        wear.worn = ""

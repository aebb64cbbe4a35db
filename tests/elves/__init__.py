"""Policies by given, when, then: a story is folded into an elf's mind, the elf is asked what it would do."""

from collections.abc import Sequence
from typing import Any

from actors.elves import Policy
from actors.elves.deliberation import Mind, decision_id, deliberate, digest_of, due_of, fold, new_mind
from events.codec import decode, encode
from events.decisions import Decided
from events.envelope import Recorded
from events.event import Event
from events.log import envelope
from events.observations import LeaseTaken, QueueSample, Sampled, UnitSample, WorkerExited
from events.outcomes import EffectFailed, EffectVerified, WorkerStarted, WorkerStartOrdered
from events.settings import QueueSettings, Settings, SettingsAdopted, WorkerSettings
from events.subjects import subject_of

SECOND = 1_000_000
NODE = "node.n"


def settings(**changes: Any) -> Settings:
    """Two plain units, `a` and `b`, and a task pool `w` on the queue `q`."""
    given: dict[str, Any] = {
        "node": "n",
        "queues": (QueueSettings(name="q"),),
        "workers": (
            WorkerSettings(name="a", units=("a",), memory_limit=1000, launch="1"),
            WorkerSettings(name="b", units=("b",), launch="1"),
            WorkerSettings(name="w", queue="q", units=("w",), launch="1"),
        ),
    }
    return Settings(**(given | changes))


def sample(
    unit: str, status: str = "S", *, generation: int = 1, memory: int = 100, age: int = -1
) -> UnitSample:
    """Return what a tick says of a unit."""
    return UnitSample(unit, generation, status, 0, memory, 1, 1, 0, age)


def queue(pending: int, in_flight: int = 0, pulls: int = 1, name: str = "q") -> QueueSample:
    """Return what a tick says of a queue."""
    return QueueSample(name, pending, in_flight, pulls, 0)


class Given:
    """One elf after everything that `say` told it; `then` asks it and lets it read its own answer."""

    def __init__(self, policy: Policy[Any], adopted: Settings | None = None) -> None:
        self.policy = policy
        self.mind: Mind[Any] = new_mind(policy)
        self.events: list[Recorded] = []
        self.now = 1_000_000 * SECOND
        self.say(LeaseTaken(holder="n"))
        self.adopt(adopted or settings())

    def say(
        self, *bodies: Event, s: float = 0.0, source: str = NODE, id: str = "", cause: str = ""
    ) -> "Given":
        """Let `s` seconds pass, then append events."""
        self.now += int(s * SECOND)
        for body in bodies:
            position = len(self.events) + 1
            said = envelope(id or f"e{position}", self.now, source, body, cause)
            self.events.append(decode(position, subject_of(source, body), encode(said)))
            fold(self.policy, self.mind, self.events[-1])
        return self

    def adopt(self, adopted: Settings) -> "Given":
        """Put settings in force."""
        return self.say(SettingsAdopted(origin="file", digest=digest_of(adopted), settings=adopted))

    def tick(self, *units: UnitSample, queues: Sequence[QueueSample] = (), s: float = 5.0) -> "Given":
        """Let time pass and look at what is named; what is not named is unchanged."""
        return self.say(Sampled(full=False, units=units, queues=tuple(queues)), s=s)

    def born(self, unit: str, generation: int = 1, s: float = 0.0, pool: str = "") -> "Given":
        """Let a generation start."""
        pool = pool or unit
        self.say(WorkerStartOrdered(unit=unit, pool=pool, generation=generation, nonce="n"), s=s)
        started = WorkerStarted(
            unit=unit, pool=pool, generation=generation, pid=100 + generation, start=1, nonce="n"
        )
        return self.say(started)

    def died(self, unit: str, generation: int = 1, s: float = 0.0, code: int = 1) -> "Given":
        """Let a generation end by itself."""
        return self.say(WorkerExited(unit=unit, generation=generation, pid=100 + generation, code=code), s=s)

    def ask(self) -> list[Decided]:
        """Return what the elf would decide now."""
        return deliberate(self.policy, self.mind, len(self.events))

    def then(self) -> list[Decided]:
        """Ask the elf and let it read what it decided."""
        decisions = self.ask()
        for decided in decisions:
            self.say(decided, id=decision_id(decided))
        return decisions

    def verify(self, decided: Decided, s: float = 0.0) -> "Given":
        """Let an act pass its post-check."""
        return self.say(EffectVerified(decision=decision_id(decided), target=decided.target), s=s)

    def fail(self, decided: Decided, s: float = 0.0) -> "Given":
        """Let an act fail."""
        return self.say(EffectFailed(decision=decision_id(decided), target=decided.target, error="no"), s=s)

    @property
    def due(self) -> float:
        """Seconds until the elf wants to look again without an event, 0 for never."""
        at = due_of(self.policy, self.mind)
        return (at - self.now) / SECOND if at else 0.0

"""A forest in memory: real deciders on a memory log, with time and everybody else played by the test."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from actors.elves import Policy
from actors.elves.decider import Decider
from actors.elves.deliberation import decision_id, digest_of, new_mind
from actors.policies import POLICIES
from events.decisions import ContinueUnit, Decided, RestartUnit, StartUnit, StopUnit
from events.envelope import Recorded
from events.event import Event
from events.log import Entry, Expect, MemoryLog, entry, envelope
from events.observations import LeaseTaken, NodeStarted, QueueSample, Sampled, UnitSample, WorkerExited
from events.outcomes import EffectFailed, EffectVerified, WorkerStarted, WorkerStartOrdered
from events.settings import (
    ElfSettings,
    QueueSettings,
    Settings,
    SettingsAdopted,
    WorkerSettings,
)
from events.subjects import LEASE

SECOND = 1_000_000
NODE = "node.n"


def settings(**changes: Any) -> Settings:
    """Two pools, one queue."""
    given: dict[str, Any] = {
        "node": "n",
        "queues": (QueueSettings(name="q"),),
        "workers": (
            WorkerSettings(name="a", units=("a",), memory_limit=1000, launch="1"),
            WorkerSettings(name="w", queue="q", units=("w",), launch="1"),
        ),
        "elves": (ElfSettings(name="flow"), ElfSettings(name="healing")),
    }
    return Settings(**(given | changes))


class Forest:
    """Appends what the test says; lets each elf's batch land after as many other events as the test says."""

    def __init__(self, policies: Sequence[Policy[Any]] = POLICIES, lag: int = 0) -> None:
        self.log = MemoryLog()
        self.now = 1_000 * SECOND
        self.lag = lag
        self.epoch = 0
        self._policies = policies
        self._deciders = [Decider(policy, new_mind(policy)) for policy in policies]
        self._seen = 0
        self._under_way: deque[tuple[int, list[Entry]]] = deque()
        self._count = 0

    def lead(self, adopted: Settings) -> None:
        """Let a node take the lead."""
        previous = self.epoch
        self.epoch = self._append(LeaseTaken(holder="n", previous=previous))
        for decider in self._deciders:
            decider.epoch = self.epoch
        self._append(
            NodeStarted(node="n", release="t", pure_zone="t", pid=1, boot="b", python="3"),
            SettingsAdopted(origin="file", digest=digest_of(adopted), settings=adopted),
        )
        self._settle()

    def say(self, *bodies: Event, source: str = NODE) -> None:
        """Append events and let the elves take them."""
        for body in bodies:
            self._append(body, source=source)
            self._settle()

    def tick(
        self, units: Sequence[UnitSample] = (), queues: Sequence[QueueSample] = (), s: float = 5.0
    ) -> None:
        """Let time pass and look at everything."""
        self.now += int(s * SECOND)
        self.say(Sampled(full=False, units=tuple(units), queues=tuple(queues)))

    def silence(self) -> None:
        """Let every elf be away from now on."""
        self._deciders.clear()

    def land(self) -> None:
        """Let every batch that is under way reach the log, and what follows from it."""
        lag, self.lag = self.lag, 0
        while self._under_way:
            self._land_due(force=True)
            self._settle()
        self.lag = lag

    def obey(self) -> None:
        """Carry out what was decided about units, at once and with success."""
        self.land()
        settled = {event.cause for event in self.log.events if isinstance(event.body, EffectVerified)}
        for event in list(self.log.events):
            body = event.body
            if isinstance(body, Decided) and body.mode == "act" and event.id not in settled:
                self._carry_out(event, body)
        self.land()

    def fail(self, decision: str, target: str, error: str) -> None:
        """Let an act fail."""
        self._append(EffectFailed(decision=decision, target=target, error=error), cause=decision)
        self._settle()

    def _carry_out(self, event: Recorded, decided: Decided) -> None:
        unit = decided.target
        bodies: list[Event] = []
        match decided.action:
            case StartUnit(generation=generation):
                bodies = _birth(unit, generation)
            case RestartUnit(generation=generation):
                ended = WorkerExited(unit=unit, generation=generation, pid=generation, signal=15)
                bodies = [ended, *_birth(unit, generation + 1)]
            case StopUnit(generation=generation):
                bodies = [WorkerExited(unit=unit, generation=generation, pid=generation, signal=15)]
            case ContinueUnit():
                pass
            case _:
                return
        for body in (*bodies, EffectVerified(decision=event.id, target=unit)):
            self._append(body, cause=event.id)
        self._settle()

    def _append(self, *bodies: Event, source: str = NODE, cause: str = "") -> int:
        self.now += 1
        entries = []
        for body in bodies:
            self._count += 1
            entries.append(entry(envelope(f"e{self._count}", self.now, source, body, cause)))
        return self.log.take(entries).positions[0]

    def _settle(self) -> None:
        while self._seen < len(self.log.events):
            event = self.log.events[self._seen]
            self._seen += 1
            for decider in self._deciders:
                decisions = decider.take(event)
                if decisions:
                    self._send(decisions)
            self._land_due()

    def _send(self, decisions: Sequence[Decided]) -> None:
        fence = Expect(LEASE, self.epoch)
        batch = [
            entry(envelope(decision_id(decided), self.now + 1, NODE, decided), fence) for decided in decisions
        ]
        self._under_way.append((len(self.log.events) + self.lag, batch))

    def _land_due(self, force: bool = False) -> None:
        while self._under_way and (force or self._under_way[0][0] <= len(self.log.events)):
            self.now += 1
            self.log.take(self._under_way.popleft()[1])
            force = False

    def source(self) -> Iterator[Sequence[Recorded]]:
        """Yield the log as replay reads it."""
        yield list(self.log.events)


def _birth(unit: str, generation: int) -> list[Event]:
    pool = unit
    nonce = f"{unit}{generation}"
    return [
        WorkerStartOrdered(unit=unit, pool=pool, generation=generation, nonce=nonce),
        WorkerStarted(unit=unit, pool=pool, generation=generation, pid=generation, start=1, nonce=nonce),
    ]


def unit(
    name: str, generation: int = 1, status: str = "S", memory: int = 100, beat_ms: int = -1
) -> UnitSample:
    """One sample of a unit."""
    return UnitSample(name, generation, status, 0, memory, 1, 1, 0, beat_ms)


def queue(pending: int, in_flight: int = 0, pulls: int = 1) -> QueueSample:
    """One sample of the queue."""
    return QueueSample("q", pending, in_flight, pulls, 0)

"""A queue at work, minute by minute: so many workers, each with its own pace, kind of task, failures and memory."""

from typing import Any

from msgspec import Struct

from actors.elves.flow_elf import FlowElf
from events.decisions import Decided
from events.observations import HostSample, Sampled
from events.settings import QueueSettings, WorkerSettings
from events.tasks import TaskFailed, TaskFinished, TaskStarted, TaskSubmitted
from tests.elves import Given, queue, sample, settings


class Hand(Struct):
    """One worker: tasks a minute, milliseconds for each, their kind, how many of ten fail, its memory in percent."""

    pace: float = 12.0
    ms: int = 1000
    kind: str = ""
    failing: int = 0
    memory: int = 10
    owed: float = 0.0
    done: int = 0


class Mill(Given):
    """The Flow elf and a pool of living workers `w-1`, `w-2` … on the queue `q`, in which `pending` tasks wait."""

    def __init__(self, workers: int = 4, **changes: Any) -> None:
        names = tuple(f"w-{number}" for number in range(1, workers + 1))
        pool = WorkerSettings(name="w", queue="q", units=names, memory_limit=1000, launch="1")
        given: dict[str, Any] = {"queues": (QueueSettings(name="q"),), "workers": (pool,)}
        super().__init__(FlowElf(), settings(**(given | changes)))
        self.hands = {name: Hand() for name in names}
        self.pending = 50
        self.pulls = 0
        self.in_flight = workers
        self.cpu = 300
        self.log: list[Decided] = []
        self._task = 0
        for name in names:
            self.born(name, pool="w")

    def run(self, minutes: float) -> "Mill":
        """Let the mill run; a look at it every 5 seconds."""
        for _ in range(round(minutes * 12)):
            for name, hand in self.hands.items():
                if self.mind.own.units.get(name).alive:
                    hand.owed += hand.pace / 12
                while hand.owed >= 1:
                    hand.owed -= 1
                    self._do(name, hand)
            units = tuple(sample(name, memory=10 * hand.memory) for name, hand in self.hands.items())
            seen = Sampled(
                full=False,
                units=units,
                queues=(queue(self.pending, self.in_flight, self.pulls),),
                host=HostSample(self.cpu, 8_000, 16_000, 4),
            )
            self.say(seen, s=5)
            self.log += self.then()
        return self

    def _do(self, name: str, hand: Hand) -> None:
        self._task += 1
        task = f"t{self._task}"
        self.say(TaskSubmitted(task=task, queue="q", kind=hand.kind), source="client.c")
        common: dict[str, Any] = {"task": task, "queue": "q", "unit": name, "generation": 1, "attempt": 1}
        self.say(TaskStarted(**common, pid=1, nonce="n"), source="worker.w")
        hand.done += 1
        common |= {"claim": len(self.events), "service_ms": hand.ms}
        if hand.done % 10 < hand.failing:
            self.say(TaskFailed(**common, kind="error", error="no"), source="worker.w")
        else:
            self.say(TaskFinished(**common), source="worker.w")

    def said(self, rule: str) -> list[Decided]:
        """Return what was decided by a rule."""
        return [decided for decided in self.log if decided.rule == rule]

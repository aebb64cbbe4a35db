"""A long history as a node writes it: tasks, ticks, crashes, and what the real policies decide on them."""

import random
from collections import deque
from collections.abc import Iterator
from typing import Any

from actors.elves.deliberation import Mind, decision_id, deliberate, fold, is_trigger, new_mind
from actors.policies import POLICIES
from events.codec import decode, encode
from events.decisions import Decided, StartUnit
from events.envelope import Recorded
from events.event import Event
from events.log import entry, envelope
from events.observations import (
    LeaseTaken,
    NodeStarted,
    QueueSample,
    Sampled,
    UnitSample,
    WorkerExited,
    WorkerReady,
)
from events.outcomes import EffectStarted, EffectVerified, WorkerStarted, WorkerStartOrdered
from events.settings import QueueSettings, Settings, SettingsAdopted, WorkerSettings
from events.tasks import TaskFailed, TaskFinished, TaskStarted, TaskSubmitted

START = 1_767_225_600_000_000
NODE = "node.bench"
POOLS = ("enhanced_task", "intelligent_pm", "async_result", "simple_task")
PAGE = 4_000
TASKS_A_SECOND = 8
TICK_S = 5
CRASH_S = 61


class History:
    """Says events one after the other; after each, every elf folds it and decides as in the node."""

    def __init__(self, *, decide: bool = True) -> None:
        self.position = 0
        self.now = START
        self._random = random.Random(7)
        self._page: list[Recorded] = []
        self._minds: list[tuple[Any, Mind[Any]]] = [(p, new_mind(p)) for p in POLICIES] if decide else []
        self._todo: deque[tuple[Any, list[Decided]]] = deque()
        self._generations = dict.fromkeys(POOLS, 0)
        self._tasks = 0
        self._in_flight = {policy.name: 0 for policy in POLICIES}

    def pages(self, count: int) -> Iterator[list[Recorded]]:
        """Yield at least `count` events in pages."""
        self._open()
        second = 0
        while self.position < count:
            second += 1
            self.now += 1_000_000
            self._second(second)
            while len(self._page) >= PAGE:
                page, self._page = self._page[:PAGE], self._page[PAGE:]
                yield page
        if self._page:
            yield self._page

    def _open(self) -> None:
        workers = tuple(
            WorkerSettings(name=name, queue=f"q_{name}", units=(name,), memory_limit=500_000_000)
            for name in POOLS
        )
        queues = tuple(QueueSettings(name=f"q_{name}") for name in POOLS)
        settings = Settings(node="bench", workers=workers, queues=queues)
        self.say(LeaseTaken(holder="bench"), NODE)
        self.say(NodeStarted(node="bench", release="1", pure_zone="z", pid=1, boot="b", python="3"), NODE)
        self.say(SettingsAdopted(origin="file", digest="s", settings=settings), NODE)
        if not self._minds:
            for name in POOLS:
                self._start(name, 1, "d0")

    def _second(self, second: int) -> None:
        for number in range(TASKS_A_SECOND):
            self._task(POOLS[number % len(POOLS)])
        if second % TICK_S == 0:
            self._tick(full=second % 60 == 0)
        if second % CRASH_S == 0:
            name = self._random.choice(POOLS)
            body = WorkerExited(
                unit=name, generation=self._generations[name], pid=1000, signal=9, at=self.now
            )
            self.say(body, NODE)

    def _task(self, pool: str) -> None:
        self._tasks += 1
        task, queue, generation = f"01k{self._tasks:013x}", f"q_{pool}", self._generations[pool]
        payload = {"path": f"events/module_{self._tasks % 97}.py", "results": "examples/data/results"}
        self.say(
            TaskSubmitted(task=task, queue=queue, kind="compile_and_test", payload=payload), "client.cli"
        )
        for attempt in (1, 2):
            started = TaskStarted(
                task=task,
                queue=queue,
                unit=pool,
                generation=generation,
                pid=1000,
                attempt=attempt,
                nonce=f"{self._tasks:012x}",
                delivery=f"$JS.ACK.LOG.{queue}.1.{self.position}.{self._tasks}.{self.now}.0",
            )
            self.say(started, f"worker.{pool}")
            claim = self.position
            if attempt == 1 and self._tasks % 50 == 0:
                failed = TaskFailed(
                    task=task,
                    queue=queue,
                    unit=pool,
                    generation=generation,
                    attempt=attempt,
                    claim=claim,
                    kind="error",
                    error="ValueError: 3 tests failed",
                )
                self.say(failed, f"worker.{pool}")
                continue
            finished = TaskFinished(
                task=task,
                queue=queue,
                unit=pool,
                generation=generation,
                attempt=attempt,
                claim=claim,
                result={"passed": 17, "failed": 0, "seconds": 0.25, "report": f"results/{task}.json"},
                service_ms=250,
            )
            self.say(finished, f"worker.{pool}")
            return

    def _tick(self, *, full: bool) -> None:
        names = POOLS if full else self._random.sample(POOLS, 2)
        units = tuple(
            UnitSample(
                name, self._generations[name], "S", 125, self._random.randrange(40, 90) << 20, 4, 2, 1, 900
            )
            for name in names
        )
        queues = tuple(QueueSample(f"q_{name}", self._random.randrange(130), 1, 1, 0) for name in names)
        self.say(Sampled(full=full, units=units, queues=queues), NODE)

    def say(self, body: Event, source: str, id: str = "", cause: str = "") -> Recorded:
        """Append one event, let every elf fold it and carry out what is decided."""
        event = self._append(body, source, id, cause)
        self._settle()
        return event

    def _append(self, body: Event, source: str, id: str = "", cause: str = "") -> Recorded:
        self.position += 1
        self.now += 150
        said = entry(envelope(id or f"{self.position:024x}", self.now, source, body, cause))
        event = decode(self.position, said.subject, encode(said.envelope))
        self._page.append(event)
        for policy, mind in self._minds:
            fold(policy, mind, event)
            if self.position >= self._in_flight[policy.name] and is_trigger(policy, event):
                decisions = deliberate(policy, mind, self.position)
                if decisions:
                    self._todo.append((policy, decisions))
                    # Until its last decision is read the elf decides nothing else, as in the node.
                    self._in_flight[policy.name] = 1 << 62
        return event

    def _settle(self) -> None:
        """Write decisions and what the executor says about them."""
        while self._todo:
            policy, decisions = self._todo.popleft()
            last = len(decisions) - 1
            written = []
            for number, decided in enumerate(decisions):
                if number == last:
                    self._in_flight[policy.name] = self.position + 1
                written.append(self._append(decided, NODE, decision_id(decided)))
            for event in written:
                body = event.body
                if isinstance(body, Decided) and isinstance(body.action, StartUnit):
                    self._start(body.target, body.action.generation, event.id)

    def _start(self, unit: str, generation: int, decision: str) -> None:
        self._generations[unit] = generation
        ordered = WorkerStartOrdered(
            unit=unit, pool=unit, generation=generation, nonce="n", decision=decision
        )
        started = WorkerStarted(unit=unit, pool=unit, generation=generation, pid=1000, start=1, nonce="n")
        self._append(EffectStarted(decision=decision, target=unit), NODE, cause=decision)
        self._append(ordered, NODE, cause=decision)
        self._append(started, NODE, cause=decision)
        self._append(EffectVerified(decision=decision, target=unit, detail="runs"), NODE, cause=decision)
        self._append(WorkerReady(unit=unit, generation=generation, pid=1000), f"worker.{unit}")

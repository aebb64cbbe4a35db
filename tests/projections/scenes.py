"""Logs to read: every event in order, at one second a step, by the writers that write such events in life."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from events.codec import CATALOGUE, decode
from events.decisions import (
    AnyAction,
    Candidate,
    ClearAlert,
    Decided,
    QuarantineUnit,
    RaiseAlert,
    RestartUnit,
)
from events.envelope import Recorded
from events.event import Event
from events.log import MemoryLog, entry, envelope
from events.observations import (
    ClockStepped,
    DeciderResumed,
    HistoryPurged,
    HistorySealed,
    IntentSet,
    KeeperReplaced,
    LeaseTaken,
    LogRotated,
    NodeStarted,
    NodeStopped,
    NodeStopping,
    OrphanReaped,
    Quarantined,
    QueueSample,
    Resumed,
    Sampled,
    StoodBy,
    UnitSample,
    WorkerExited,
    WorkerReady,
)
from events.outcomes import (
    Checkpointed,
    EffectFailed,
    EffectStarted,
    EffectVerified,
    StepDone,
    WorkerStarted,
    WorkerStartOrdered,
)
from events.settings import Settings, SettingsAdopted, WorkerSettings
from events.tasks import (
    Evidence,
    ResultSalvaged,
    TaskCancelled,
    TaskDied,
    TaskDropped,
    TaskFailed,
    TaskFinished,
    TaskMoved,
    TaskReleased,
    TaskStarted,
    TaskSubmitted,
)
from projections.warehouse import Warehouse
from tests.golden.write import struct_of

START = 1_767_225_600_000_000
"""2026-01-01 00:00:00 UTC in microseconds."""


class Scene:
    """A log in the making. `say` appends one event and returns its position."""

    def __init__(self) -> None:
        self.log = MemoryLog()

    @property
    def events(self) -> Sequence[Recorded]:
        """Everything said so far."""
        return self.log.events

    def say(self, body: Event, source: str = "worker.w1", id: str = "", second: float | None = None) -> int:
        """Append an event at its second: its position, unless told."""
        position = len(self.log.events) + 1
        time = START + int((position if second is None else second) * 1e6)
        self.log.take([entry(envelope(id or f"e{position}", time, source, body))])
        return position

    def raw(self, subject: str, data: bytes) -> int:
        """Append bytes as they are."""
        position = len(self.log.events) + 1
        self.log.events.append(decode(position, subject, data))
        return position

    def submit(self, task: str, queue: str = "q", **fields: Any) -> int:
        """A client asks for a task."""
        return self.say(TaskSubmitted(task=task, queue=queue, **fields), "client.c1")

    def start(
        self, task: str, unit: str = "w-1", attempt: int = 1, queue: str = "q", generation: int = 1
    ) -> int:
        """A runner claims a task; the position is the claim."""
        body = TaskStarted(
            task=task,
            queue=queue,
            unit=unit,
            generation=generation,
            pid=100 + attempt,
            attempt=attempt,
            nonce="n",
        )
        return self.say(body)

    def finish(self, task: str, claim: int, unit: str = "w-1", attempt: int = 1, queue: str = "q") -> int:
        """A runner says the result under a claim."""
        return self.say(
            TaskFinished(
                task=task, queue=queue, unit=unit, generation=1, attempt=attempt, claim=claim, service_ms=1500
            )
        )

    def fail(self, task: str, claim: int, unit: str = "w-1", attempt: int = 1, queue: str = "q") -> int:
        """A runner says that the attempt under a claim went wrong."""
        body = TaskFailed(
            task=task,
            queue=queue,
            unit=unit,
            generation=1,
            attempt=attempt,
            claim=claim,
            kind="error",
            error="boom",
        )
        return self.say(body)

    def decide(self, action: AnyAction, target: str = "w-1", **fields: Any) -> str:
        """An elf decides; the id of the decision."""
        position = len(self.log.events) + 1
        known = {"elf": "healing", "rule": "crash", "reason": "crashed", "text": f"{target} crashed"}
        known |= {"policy": "healing", "version": "1.0", "settings": "s1"}
        second = fields.pop("second", None)
        here = {
            "trigger": position - 1,
            "as_of": position - 1,
            "epoch": self._epoch(),
            "ordinal": 0,
            "size": 1,
        }
        body = Decided(action=action, target=target, **(known | here | fields))
        self.say(body, "node.n1", id=f"d{position:04x}", second=second)
        return f"d{position:04x}"

    def _epoch(self) -> int:
        leases = [event.position for event in self.log.events if isinstance(event.body, LeaseTaken)]
        return leases[-1] if leases else 0


def everything(scene: Scene | None = None) -> Scene:
    """Return a short log in which every table gets rows, with one restart that worked."""
    from tests.projections.agent_scenes import story

    scene = scene or Scene()
    say, node = scene.say, "node.n1"
    say(NodeStarted(node="n1", release="0.1.0", pure_zone="z1", pid=10, boot="b1", python="3.11"), node)
    epoch = say(LeaseTaken(holder="n1"), node)
    pool = WorkerSettings(name="w", queue="q", units=("w-1", "w-2"), memory_limit=1000)
    say(SettingsAdopted(origin="file", digest="s1", settings=Settings(node="n1", workers=(pool,))), node)
    say(WorkerStartOrdered(unit="w-1", pool="w", generation=1, nonce="n1"), node)
    say(WorkerStarted(unit="w-1", pool="w", generation=1, pid=101, start=5, nonce="n1"), node)
    say(WorkerReady(unit="w-1", generation=1, pid=101))
    scene.submit("t1", kind="thumb", priority="high", complexity=3)
    claim = scene.start("t1")
    sample = UnitSample("w-1", 1, "S", 125, 5_000_000, 3, 2, 1, 250)
    say(Sampled(full=True, units=(sample,), queues=(QueueSample("q", 4, 1, 2, 0),)), node)
    scene.finish("t1", claim)
    say(WorkerExited(unit="w-1", generation=1, pid=101, signal=9, at=START + 11_000_000), node)
    act: dict[str, Any] = {
        "epoch": epoch,
        "candidates": (Candidate(name="restart", terms={"cost": 1.0}), Candidate(name="wait", why_not="no")),
    }
    done = scene.decide(RestartUnit(generation=2), cost=1, inputs={"signal": 9, "pid": 101}, **act)
    say(EffectStarted(decision=done, target="w-1"), node)
    say(WorkerStartOrdered(unit="w-1", pool="w", generation=2, nonce="n2", decision=done), node)
    say(WorkerStarted(unit="w-1", pool="w", generation=2, pid=102, start=9, nonce="n2"), node)
    say(StepDone(decision=done, target="w-1", step="start", ok=True, detail="pid 102", took_ms=12), node)
    say(EffectVerified(decision=done, target="w-1", detail="alive"), node)
    scene.decide(RaiseAlert(cause="crashes", severity="warning"), epoch=epoch)
    scene.decide(ClearAlert(cause="crashes"), epoch=epoch)
    lost = scene.decide(QuarantineUnit(until=START + 3_600_000_000), "w-2", epoch=epoch, cost=2)
    say(EffectFailed(decision=lost, target="w-2", error="gone", step="stop"), node)
    say(IntentSet(target="w-2", intent="stop", reason="maintenance"), "operator.ann")
    say(OrphanReaped(pid=77, code=0), node)
    say(ClockStepped(step_ms=-7000), node)
    say(KeeperReplaced(node="n1", pid=9), node)
    say(LogRotated(unit="w-1", segment="w-1.log.000001.4096.gz", start=0, stop=4096, size=99), node)
    say(StoodBy(node="n1", reason="disk full", free=4096), node)
    say(Resumed(node="n1", free=1 << 30), node)
    say(Checkpointed(elf="healing", as_of=20, digest="abc"), node)
    scene.submit("t2")
    say(TaskMoved(task="t2", queue="q", to="r"), node)
    scene.submit("t2", "r")
    scene.submit("t3")
    say(TaskCancelled(task="t3", queue="q", reason="not needed"), "client.c1")
    scene.submit("t4")
    scene.fail("t4", scene.start("t4"))
    given = scene.start("t4", attempt=2)
    say(TaskReleased(task="t4", queue="q", unit="w-1", generation=1, attempt=2, claim=given))
    scene.start("t4", attempt=2)
    say(TaskDied(task="t4", queue="q", unit="w-1", attempts=1, kind="crash", error="died with its worker"))
    scene.submit("t5")
    last = Evidence(unit="w-1", generation=1, pid=101, signal=11, memory=5_000_000, lines=("one", "two"))
    words: dict[str, Any] = {"kind": "crash", "error": "it died alone", "deaths": 4, "evidence": last}
    say(TaskDied(task="t5", queue="q", unit="w-1", attempts=4, **words))
    scene.submit("t6")
    say(TaskDied(task="t6", queue="q", unit="w-1", attempts=1, kind="error", error="no such file"))
    say(TaskDropped(task="t6", queue="q", reason="known"), "client.c1")
    say(ResultSalvaged(task="t4", queue="q", unit="w-1", generation=1, attempt=1, result=4))
    bad = scene.raw("log.worker.w1.what.x", b"\xff not json")
    scene.raw(
        "log.node.n9.dreamt.x",
        b'{"id":"x","time":1767225700000000,"source":"node.n9","body":{"type":"dreamt"}}',
    )
    say(HistorySealed(first=1, last=9, head="0f" * 16, sha256="ab" * 32, size=1_000), node)
    say(HistoryPurged(below=9, bound="segments", messages=8), node)
    say(Quarantined(position=bad, subject="log.worker.w1.what.x", reason="no JSON", sample="ff"), node)
    say(DeciderResumed(elf="flow", after=9, error="KeyError"), node)
    story(scene)
    told = {type(event.body) for event in scene.events} | {NodeStopping, NodeStopped}
    for kind in (kind for kind in CATALOGUE if kind not in told):
        # What no scene tells yet is at least there once, with every field.
        say(struct_of(kind, full=True), node)
    say(NodeStopping(node="n1", reason="asked"), node)
    say(NodeStopped(node="n1", reason="asked"), node)
    return scene


@cache
def _empty() -> bytes:
    """A warehouse that has taken nothing: making the views takes four times as long as opening them."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "empty.duckdb"
        Warehouse.open(path).close()
        return path.read_bytes()


def stored(path: Path, events: Sequence[Recorded], batch: int = 500) -> Warehouse:
    """Return a new warehouse that has taken these events."""
    assert not path.exists()
    path.write_bytes(_empty())
    warehouse = Warehouse.open(path)
    for start in range(0, len(events), batch):
        warehouse.add(events[start : start + batch])
    return warehouse


def asked(warehouse: Warehouse) -> Callable[..., list[dict[str, Any]]]:
    """Return a query function over a warehouse: rows as dicts by column name."""

    def ask(sql: str, parameters: Sequence[object] = ()) -> list[dict[str, Any]]:
        cursor = warehouse.cursor()
        try:
            found = cursor.execute(sql, list(parameters))
            names = [column[0] for column in found.description or []]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        finally:
            cursor.close()

    return ask

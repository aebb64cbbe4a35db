"""The views of workers and their processes."""

from events.decisions import (
    QuarantineUnit,
    RestartUnit,
    StartUnit,
    StopUnit,
)
from events.observations import (
    IntentSet,
    LeaseTaken,
    Sampled,
    UnitSample,
    WorkerExited,
    WorkerReady,
)
from events.outcomes import EffectVerified, WorkerStarted, WorkerStartOrdered
from events.settings import Settings, SettingsAdopted, WorkerSettings
from tests.projections.conftest import Ask, Tell
from tests.projections.scenes import START, Scene


def process(
    scene: Scene, unit: str, generation: int, pid: int, decision: str = "", ready: bool = True
) -> None:
    """Start a generation."""
    pool = unit.split("-")[0]
    scene.say(
        WorkerStartOrdered(unit=unit, pool=pool, generation=generation, nonce="n", decision=decision),
        "node.n1",
    )
    started = WorkerStarted(unit=unit, pool=pool, generation=generation, pid=pid, start=1, nonce="n")
    scene.say(started, "node.n1")
    if ready:
        scene.say(WorkerReady(unit=unit, generation=generation, pid=pid))


def with_pools(scene: Scene, **units: tuple[str, ...]) -> None:
    """Adopt settings with pools on a queue of their name; a pool `plain` has none."""
    pools = tuple(
        WorkerSettings(name=name, queue="" if name == "plain" else "q", units=own, memory_limit=10**9)
        for name, own in units.items()
    )
    scene.say(LeaseTaken(holder="n1"), "node.n1")
    scene.say(
        SettingsAdopted(origin="file", digest="d", settings=Settings(node="n1", workers=pools)), "node.n1"
    )


def states(ask: Ask) -> dict[str, str]:
    return {row["name"]: row["state"] for row in ask("SELECT name, state FROM workers")}


def test_the_states_of_workers(tell: Tell) -> None:
    scene = Scene()
    names = tuple(f"w-{number}" for number in range(1, 11))
    with_pools(scene, w=names, plain=("plain-1",))
    process(scene, "plain-1", 1, 50, ready=False)
    for number, name in enumerate(names[1:], 1):
        process(scene, name, 1, 100 + number, ready=name != "w-3")
    sample = UnitSample("w-4", 1, "T", 0, 1, 1, 1, 0, 0)
    scene.say(Sampled(full=False, units=(sample,)), "node.n1")
    scene.say(IntentSet(target="w-5", intent="quiet"), "operator.ann")
    scene.say(IntentSet(target="w-6", intent="stop"), "operator.ann")
    scene.decide(StopUnit(generation=1), "w-6")
    scene.decide(RestartUnit(generation=1), "w-7")
    for name in ("w-8", "w-9", "w-10"):
        scene.say(WorkerExited(unit=name, generation=1, pid=1, code=1), "node.n1")
    scene.decide(QuarantineUnit(until=START + 10**10), "w-9")
    scene.decide(StartUnit(generation=2), "w-10")
    process(scene, "gone-1", 1, 900)
    scene.say(WorkerExited(unit="gone-1", generation=1, pid=900), "node.n1")
    ask = tell(scene)
    assert states(ask) == {
        "plain-1": "running",
        "w-1": "stopped",
        "w-2": "running",
        "w-3": "starting",
        "w-4": "suspended",
        "w-5": "quiet",
        "w-6": "stopping",
        "w-7": "restarting",
        "w-8": "backoff",
        "w-9": "quarantined",
        "w-10": "starting",
        "gone-1": "stopped",
    }
    scene.say(WorkerExited(unit="w-6", generation=1, pid=105, signal=15), "node.n1")
    scene.say(EffectVerified(decision=scene.events[-1].id, target="w-6"), "node.n1")
    scene.say(IntentSet(target="w", intent="run", restart=True), "operator.ann")
    later = states(tell(scene))
    assert (later["w-9"], later["w-4"]) == ("backoff", "suspended")


def test_a_worker_in_figures(tell: Tell) -> None:
    scene = Scene()
    with_pools(scene, w=("w-1",))
    process(scene, "w-1", 1, 101)
    scene.submit("a")
    scene.finish("a", scene.start("a"))
    scene.submit("b")
    scene.fail("b", scene.start("b"))
    frame = (UnitSample("w-1", 1, "S", 999, 5, 1, 1, 0, 0),)
    scene.say(Sampled(full=True, units=frame), "node.n1")
    scene.say(WorkerExited(unit="w-1", generation=1, pid=101, signal=9), "node.n1")
    process(scene, "w-1", 2, 102)
    up = len(scene.events) - 1
    ask = tell(scene)
    (row,) = ask("FROM workers")
    assert (row["cpu_percent"], row["memory_bytes"]) == (None, None), (
        "a sample of another generation holds no more"
    )
    sample = UnitSample("w-1", 2, "S", 125, 7_000_000, 3, 2, 1, 40)
    scene.say(Sampled(full=False, units=(sample,)), "node.n1")
    last = scene.say(Sampled(full=False), "node.n1")
    (row,) = tell(scene)("FROM workers")
    shown = {
        name: row[name] for name in ("pool", "pid", "generation", "cpu_percent", "memory_bytes", "in_flight")
    }
    assert shown == {
        "pool": "w",
        "pid": 102,
        "generation": 2,
        "cpu_percent": 12.5,
        "memory_bytes": 7_000_000,
        "in_flight": 1,
    }
    assert (row["tasks_processed"], row["errors"], row["tasks_per_hour"], row["restarts"]) == (1, 1, 1, 1)
    assert (row["uptime_s"], row["memory_limit_bytes"]) == (float(last - up), 10**9)


def test_generations(tell: Tell) -> None:
    scene = Scene()
    process(scene, "w-1", 1, 101)
    scene.say(WorkerExited(unit="w-1", generation=1, pid=101, code=3, at=START + 4_500_000), "node.n1")
    process(scene, "w-1", 2, 102, decision="d1", ready=False)
    again = WorkerStarted(unit="w-1", pool="w", generation=2, pid=102, start=1, nonce="n", adopted=True)
    scene.say(again, "node.n1")
    scene.say(WorkerStartOrdered(unit="w-1", pool="w", generation=3, nonce="n"), "node.n1")
    rows = tell(scene)("FROM generations ORDER BY generation")
    assert [(row["pid"], row["state"], row["code"], row["adopted"]) for row in rows] == [
        (101, "exited", 3, False),
        (102, "started", None, True),
        (None, "ordered", None, False),
    ]
    assert (rows[0]["ended"] - rows[0]["started"]).total_seconds() == 2.5
    assert rows[1]["decision"] == "d1"

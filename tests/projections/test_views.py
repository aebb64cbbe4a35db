"""The views of events, decisions, alerts and nodes: what each says of a log whose story is known."""

from events.decisions import (
    ClearAlert,
    ContinueUnit,
    Defer,
    RaiseAlert,
    RestartUnit,
    StopUnit,
)
from events.observations import (
    LeaseTaken,
    NodeStarted,
)
from events.outcomes import EffectFailed, EffectStarted, EffectVerified
from projections import definitions
from tests.projections.conftest import Tell
from tests.projections.scenes import START, Scene, everything


def test_every_view_answers_and_says_its_question(tell: Tell) -> None:
    ask = tell(everything())
    empty = tell(Scene())
    quiet = set()
    for name in definitions.views():
        if not ask(f"FROM {name}"):
            quiet.add(name)
        if name != "kpi_targets":
            assert empty(f"SELECT count(*) AS n FROM {name}")[0]["n"] in (0, 1)
        assert "?" in definitions.questions()[name], f"say above {name} which question it answers"
    assert quiet == {"stale_decisions", "ignored_ends", "reused_ids"}


def test_events_as_promised(tell: Tell) -> None:
    ask = tell(everything())
    columns = [row["column_name"] for row in ask("DESCRIBE events")][:8]
    assert columns == ["seq", "time", "type", "source", "entity", "causation", "correlation", "body"]
    first = ask("SELECT type, entity, body->>'$.release' AS release FROM events WHERE seq = 1")
    assert first == [{"type": "node_started", "entity": "n1", "release": "0.1.0"}]
    unread = ask(
        "SELECT type, body IS NULL AS none FROM events WHERE type IN ('malformed', 'dreamt') ORDER BY seq"
    )
    assert unread == [{"type": "malformed", "none": True}, {"type": "dreamt", "none": False}]


def test_decisions_and_what_came_of_them(tell: Tell) -> None:
    scene = Scene()
    good = scene.decide(RestartUnit(generation=1), cost=4)
    scene.say(EffectStarted(decision=good, target="w-1"), "node.n1")
    scene.say(EffectVerified(decision=good, target="w-1", detail="pid 7"), "node.n1")
    bad = scene.decide(StopUnit(generation=1), cost=2)
    scene.say(EffectFailed(decision=bad, target="w-1", error="still there", step="kill"), "node.n1")
    open_ = scene.decide(ContinueUnit(generation=1))
    scene.say(EffectStarted(decision=open_, target="w-1"), "node.n1")
    scene.decide(RestartUnit(generation=1), mode="advise", cost=3)
    scene.decide(Defer(wanted="restart_unit", until=START), cost=0)
    ask = tell(scene)
    rows = ask("SELECT choice, outcome, outcome_detail, mode FROM decisions ORDER BY seq")
    assert [tuple(row.values()) for row in rows] == [
        ("restart_unit", "verified", "pid 7", "act"),
        ("stop_unit", "failed", "still there", "act"),
        ("continue_unit", "started", None, "act"),
        ("restart_unit", "none", None, "advise"),
        ("defer", "none", None, "act"),
    ]
    assert [row["choice"] for row in ask("FROM interventions")] == [
        "restart_unit",
        "stop_unit",
        "continue_unit",
    ]
    spent = ask("SELECT elf, cost, refunded FROM mana_spent ORDER BY seq")
    assert spent == [
        {"elf": "healing", "cost": 4, "refunded": 2.0},
        {"elf": "healing", "cost": 2, "refunded": 0.0},
    ]


def test_alerts_open_count_and_close(tell: Tell) -> None:
    scene = Scene()
    up, down = RaiseAlert(cause="jam", severity="warning"), ClearAlert(cause="jam")
    again = RaiseAlert(cause="jam", severity="critical", again=True)
    scene.decide(down, "q")
    for action in (up, again, down, down, up):
        scene.decide(action, "q")
    scene.decide(up, "r")
    scene.decide(RaiseAlert(cause="jam", severity="info"), "s", mode="observe")
    rows = tell(scene)("SELECT target, severity, count, closed IS NULL AS open FROM alerts ORDER BY opened")
    assert [tuple(row.values()) for row in rows] == [
        ("q", "critical", 2, False),
        ("q", "warning", 1, True),
        ("r", "warning", 1, True),
    ]


def test_a_decision_of_an_epoch_that_was_over_is_stale(tell: Tell) -> None:
    scene = Scene()
    old = scene.say(LeaseTaken(holder="a"), "node.a")
    scene.decide(RaiseAlert(cause="c", severity="info"), epoch=old)
    new = scene.say(LeaseTaken(holder="b", previous=old), "node.b")
    scene.decide(RaiseAlert(cause="c", severity="info"), "late", epoch=old)
    scene.decide(RaiseAlert(cause="c", severity="info"), "fresh", epoch=new)
    ask = tell(scene)
    assert [row["stale"] for row in ask("SELECT stale FROM decisions ORDER BY seq")] == [False, True, False]
    assert [row["target"] for row in ask("SELECT target FROM alerts ORDER BY opened")] == ["w-1", "fresh"]


def test_epochs_know_their_node(tell: Tell) -> None:
    scene = Scene()
    body = {"pure_zone": "z", "boot": "b", "python": "3.11"}
    scene.say(NodeStarted(node="a", release="1", pid=1, **body), "node.a")
    first = scene.say(LeaseTaken(holder="a"), "node.a")
    second = scene.say(LeaseTaken(holder="b", previous=first), "node.b")
    scene.say(NodeStarted(node="b", release="2", pid=2, **body), "node.b")
    rows = tell(scene)("SELECT epoch, node, release, pid, until IS NULL AS current FROM nodes ORDER BY epoch")
    assert [tuple(row.values()) for row in rows] == [(first, "a", "1", 1, False), (second, "b", "2", 2, True)]

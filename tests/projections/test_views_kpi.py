"""The indicators, each beside the figure that was worked out by hand."""

import datetime as dt
from typing import Any

import pytest

from events.agents import AgentSample
from events.decisions import RaiseAlert, ScoreAlert, VerifyAgent
from events.jobs import JobFinished
from events.observations import LeaseTaken, Sampled
from events.outcomes import EffectVerified
from events.settings import AgentSettings, Settings, SettingsAdopted
from events.tasks import TaskDied
from tests.projections import agent_scenes as told
from tests.projections.conftest import Ask, Tell
from tests.projections.scenes import START, Scene

HOUR = 3600.0
DAY = 24 * HOUR


def opened(zone: str = "UTC", **kpi: float) -> Scene:
    """A node leads from midnight on, with two agents in its settings."""
    scene = Scene()
    scene.say(LeaseTaken(holder="n1"), "node.n1", second=0)
    agents = (AgentSettings(name="CC01"), AgentSettings(name="CC02", wip=2))
    settings = Settings(node="n1", timezone=zone, agents=agents, kpi=kpi)
    scene.say(SettingsAdopted(origin="file", digest="s", settings=settings), "node.n1", second=0)
    return scene


def tick(scene: Scene, second: float, **fields: Any) -> int:
    """Let the forest's time pass."""
    return scene.say(Sampled(full=True, **fields), "node.n1", second=second)


def indicators(ask: Ask, day: str, view: str = "kpi_daily") -> dict[str, tuple[Any, Any, int]]:
    """Return value, met and n by name."""
    rows = ask(f"SELECT name, value, met, n FROM {view} WHERE day = CAST(? AS DATE)", [day])
    return {row["name"]: (row["value"], row["met"], row["n"]) for row in rows}


def job(scene: Scene, second: float, ok: bool, kind: str = "types", outcome: Any = "done") -> None:
    """A job ran."""
    body = JobFinished(job="check", decision="d", kind=kind, ok=ok, outcome=outcome, code=0 if ok else 1)
    scene.say(body, "node.n1", second=second)


def test_without_data_nothing_is_met_or_missed(tell: Tell) -> None:
    scene = opened()
    tick(scene, 60)
    rows = tell(scene)("SELECT name, value, met, n, target FROM kpi_daily ORDER BY place")
    assert [row["name"] for row in rows] == [
        "completion_rate",
        "response_s",
        "error_rate",
        "type_safety",
        "load_spread",
        "single_point_share",
        "recovery_s",
        "alert_precision",
    ]
    assert {(row["value"], row["met"], row["n"]) for row in rows} == {(None, None, 0)}
    assert [row["target"] for row in rows] == [0.95, 1800, 0.02, 1, 20, 0.5, 14400, 0.8]


def test_completion_response_and_errors_of_tasks(tell: Tell) -> None:
    scene = opened(error_rate=0.3)
    for number in range(4):
        scene.submit(f"t{number}")  # seconds 3 to 6
    claims = [scene.start(f"t{number}") for number in range(3)]  # 7 to 9
    scene.finish("t0", claims[0])  # 10: 7 s after it was asked for
    scene.fail("t1", claims[1])
    again = scene.start("t1", attempt=2)
    scene.finish("t1", again)  # 13: 9 s
    scene.say(TaskDied(task="t2", queue="q", unit="w-1", attempts=1, kind="error", error="no"))
    tick(scene, 60)
    found = indicators(tell(scene), "2026-01-01")
    assert found["completion_rate"] == (pytest.approx(2 / 3), False, 3)
    assert found["response_s"] == (8.0, True, 2)
    assert found["error_rate"] == (0.5, False, 4)


def test_spread_is_of_busy_time_in_the_time_that_an_agent_was_there(tell: Tell) -> None:
    scene = opened()
    told.join(scene, "CC01", second=0)
    told.join(scene, "CC02", wip=2, second=0)
    work = [("a", "CC01", 0, 6), ("b", "CC02", 0, 6), ("c", "CC02", 1, 7)]
    claims = {}
    for task, agent, start, _ in work:
        scene.submit(task, told.QUEUE)
        told.assign(scene, task, agent, second=start * HOUR)
        claims[task] = told.claim(scene, task, agent, second=start * HOUR)
    for task, agent, _, stop in work:
        told.finish(scene, task, agent, claims[task], second=stop * HOUR)
    tick(scene, 12 * HOUR)
    ask = tell(scene)
    loads = {row["agent"]: row["load"] for row in ask("FROM agent_days")}
    # 6 of 12 hours in one slot; 12 of 24 in two.
    assert loads == {"CC01": pytest.approx(50.0, abs=0.1), "CC02": pytest.approx(50.0, abs=0.1)}
    found = indicators(ask, "2026-01-01")
    assert found["load_spread"] == (pytest.approx(0.0, abs=0.1), True, 2)
    assert found["single_point_share"] == (pytest.approx(12 / 18), False, 3)


def test_who_was_there_for_less_than_half_the_day_is_no_part_of_the_spread(tell: Tell) -> None:
    scene = opened()
    told.join(scene, "CC01", second=0)
    told.join(scene, "CC02", second=7 * HOUR)
    tick(scene, 12 * HOUR)
    assert indicators(tell(scene), "2026-01-01")["load_spread"] == (None, None, 0)


def test_work_over_midnight_counts_on_both_days_and_so_does_what_runs(tell: Tell) -> None:
    scene = opened()
    told.join(scene, "CC01", second=0)
    scene.submit("a", told.QUEUE)
    told.assign(scene, "a", "CC01", second=23 * HOUR)
    claimed = told.claim(scene, "a", "CC01", second=23 * HOUR)
    told.finish(scene, "a", "CC01", claimed, second=26 * HOUR)
    scene.submit("b", told.QUEUE)
    told.assign(scene, "b", "CC01", second=30 * HOUR)
    told.claim(scene, "b", "CC01", second=30 * HOUR)
    tick(scene, 34 * HOUR)
    rows = tell(scene)(
        "SELECT day, busy_s / 3600 AS busy, up_s / 3600 AS up, work_s / 3600 AS work FROM agent_days"
    )
    days = {row["day"]: (row["busy"], round(row["up"], 2), row["work"]) for row in rows}
    assert days == {dt.date(2026, 1, 1): (1.0, 24.0, 0.0), dt.date(2026, 1, 2): (6.0, 10.0, 3.0)}


def test_an_outage_lasts_until_the_first_task_done_rightly(tell: Tell) -> None:
    scene = opened()
    for agent in ("CC01", "CC02"):
        told.join(scene, agent, second=0)
        told.mark(scene, agent, "down", second=HOUR)
    check = scene.decide(VerifyAgent(), "CC01", second=2 * HOUR)
    scene.say(EffectVerified(decision=check, target="CC01"), "node.n1", second=3 * HOUR)
    tick(scene, 9 * HOUR)
    ask = tell(scene)
    rows = ask(
        "SELECT agent, took_s / 3600 AS hours, recovered IS NULL AS lasts FROM recoveries ORDER BY agent"
    )
    assert [tuple(row.values()) for row in rows] == [("CC01", 2.0, False), ("CC02", 8.0, True)]
    assert indicators(ask, "2026-01-01")["recovery_s"] == (5 * HOUR, False, 2)


def test_forecasts_and_type_checks(tell: Tell) -> None:
    scene = opened()
    for verdict in ("right", "right", "right", "wrong", "averted", "missed"):
        alert = scene.decide(RaiseAlert(cause="overload_forecast", severity="warning"), verdict, elf="wisdom")
        scored: Any = verdict
        scene.decide(ScoreAlert(alert=alert, verdict=scored), verdict, elf="wisdom")
    job(scene, 100, ok=True)
    job(scene, 101, ok=False, kind="report")
    job(scene, 102, ok=False, outcome="interrupted")
    tick(scene, 200)
    ask = tell(scene)
    found = indicators(ask, "2026-01-01")
    assert found["alert_precision"] == (0.75, False, 4)
    assert found["type_safety"] == (1.0, True, 1)
    rows = ask('SELECT target, "right", verdict FROM alerts ORDER BY seq')
    assert ("right", True, "right") in [tuple(row.values()) for row in rows]
    assert ("averted", None, "averted") in [tuple(row.values()) for row in rows]
    assert ("wrong", False, "wrong") in [tuple(row.values()) for row in rows]


def test_days_are_those_of_the_zone_and_windows_look_back(tell: Tell) -> None:
    scene = opened("Asia/Tokyo")
    for number, hour in enumerate((1, 16, 16)):
        scene.submit(f"t{number}")
        claim = scene.start(f"t{number}")
        end = scene.fail if number == 2 else scene.finish
        end(f"t{number}", claim)
        # The scene's clock gives each event its second; the ends are moved to the hour that counts.
        event = scene.log.events[-1]
        scene.log.events[-1] = type(event)(
            **{name: getattr(event, name) for name in event.__struct_fields__}
            | {"time": START + int(hour * HOUR * 1e6)}
        )
    tick(scene, 17 * HOUR)
    ask = tell(scene)
    assert [row["day"] for row in ask("SELECT day FROM days")] == [dt.date(2026, 1, 1), dt.date(2026, 1, 2)]
    assert indicators(ask, "2026-01-01")["error_rate"] == (0.0, True, 1)
    assert indicators(ask, "2026-01-02")["error_rate"] == (0.5, False, 2)
    week = ask(
        "SELECT value, n FROM kpi_rolling WHERE name = 'error_rate' AND days = 7 ORDER BY day DESC LIMIT 1"
    )
    assert week == [{"value": pytest.approx(1 / 3), "n": 3}]


def test_what_an_agent_says_of_others_work_counts_for_nothing(tell: Tell) -> None:
    scene = opened()
    told.join(scene, "CC01", second=0)
    told.join(scene, "CC02", second=0)
    scene.submit("a", told.QUEUE)
    told.assign(scene, "a", "CC01")
    told.claim(scene, "a", "CC02")
    ask = tell(scene)
    assert ask("SELECT state, agent FROM tasks") == [{"state": "assigned", "agent": "CC01"}]
    claimed = told.claim(scene, "a", "CC01")
    told.finish(scene, "a", "CC02", claimed)
    ask = tell(scene)
    assert ask("SELECT state, agent FROM tasks") == [{"state": "running", "agent": "CC01"}]
    assert len(ask("FROM ignored_ends")) == 1
    told.assign(scene, "a", "CC02", lease=2, previous="CC01")
    second = told.claim(scene, "a", "CC02", lease=2, attempt=2)
    told.finish(scene, "a", "CC01", claimed)
    told.finish(scene, "a", "CC02", second, attempt=2)
    tick(scene, 100, agents=(AgentSample("CC02", 10, 0, -1, True),))
    ask = tell(scene)
    assert ask("SELECT state, agent, attempts, lease FROM tasks") == [
        {"state": "done", "agent": "CC02", "attempts": 2, "lease": 2}
    ]
    outcomes = ask("SELECT agent, lease, outcome, previous FROM assignments ORDER BY seq")
    assert [tuple(row.values()) for row in outcomes] == [
        ("CC01", 1, "lost", None),
        ("CC02", 2, "done", "CC01"),
    ]
    (row,) = ask("SELECT tasks_processed, current_tasks, completion_rate FROM agents WHERE name = 'CC02'")
    assert tuple(row.values()) == (1, 0, 1.0)
    score = ask("SELECT score, capacity FROM load_state WHERE unit = 'CC02'")
    (response,) = ask("SELECT response_time_s FROM agents WHERE name = 'CC02'")
    wanted = 5 * response["response_time_s"] / 60
    assert score == [{"score": pytest.approx(wanted), "capacity": pytest.approx(100 - wanted)}]

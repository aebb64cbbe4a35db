"""A node that goes on from eight recorded days: an overload is foreseen, and why others are not is said."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from actors.refill import refill
from actors.simulator import Choice, Job, Player, Scenario
from actors.simulator.engine import Engine
from actors.simulator.scribe import ScribeBalancer
from events.decisions import Abstain, Decided, RaiseAlert, ScoreAlert
from events.envelope import Recorded
from projections import anchor
from projections.warehouse import Warehouse
from tests.archive.folder import elf
from tests.real_agent import RealAgent, agents
from tests.real_node import RealNode, real_node

SLOT_S, HOUR_S, DAY_S, DAYS = 300, 3_600, 86_400, 8
FOREST = """
[limits]
agent_suspect_s = 60

[[queue]]
name = "simulated"
serve = "dispatch"

[[agent]]
name = "CC01"
skills = ["daily"]
wip = 20

[[agent]]
name = "CC02"
skills = ["new"]
wip = 20
"""


def history(now: float) -> list[Recorded]:
    """Return eight days until the last whole slot of five minutes, decided by the elf itself.

    CC01 has little to do but in an hour and a half of every day that begins twenty minutes after this time of the day:
    a long task, behind which others pile up. CC02 came ten hours ago.
    """
    end, young = DAYS * DAY_S, 10 * HOUR_S
    jobs = [Job(arrival=at, size=5.0, kind="daily") for at in range(300, end, 600)]
    jobs += [Job(arrival=at, size=5.0, kind="new") for at in range(end - young + 300, end, 600)]
    for peak in range(1200, end, DAY_S):
        jobs.append(Job(arrival=peak, size=1.5 * HOUR_S, kind="daily"))
        jobs += [Job(arrival=peak + 300.0 * number, size=5.0, kind="daily") for number in range(1, 13)]
    scenario = Scenario(
        jobs=tuple(sorted(jobs, key=lambda job: job.arrival)),
        players=(
            Player(name="CC01", skills=("daily",), wip=20),
            Player(name="CC02", skills=("new",), wip=20, outages=((0.0, end - young),)),
        ),
        choices=(),
        begin=(int(now) // SLOT_S * SLOT_S - end) * 1_000_000,
        tick_s=SLOT_S,
    )
    scribe = ScribeBalancer(scenario, Choice(policy="pull_best"))
    Engine(scenario, scribe).run()
    stops = scenario.begin + (end - 1) * 1_000_000
    scribe.events[:] = [event for event in scribe.events if event.time < stops]
    scribe.close(stops)
    return scribe.events


def leave(data: Path, events: list[Recorded]) -> None:
    """Make a data folder as a node leaves it."""
    data.mkdir()
    with Warehouse.open(data / "warehouse.duckdb") as warehouse:
        warehouse.add(events)
        refill(data / "nats" / "store", 1, iter(warehouse.rows(0)))
        anchor.write(anchor.path_in(data), warehouse.anchor)
    (data / "lock").touch()


@pytest.mark.slow
async def test_an_overload_is_foreseen_by_a_node_that_has_seen_the_days_before(tmp_path: Path) -> None:
    await asyncio.to_thread(leave, tmp_path / "data", history(time.time()))
    async with real_node(tmp_path, FOREST) as node:
        async with agents(RealAgent(node, "CC01", wip=20)):
            raised = RaiseAlert(cause="overload_forecast", severity="warning")
            _, daily = await node.saw(Decided, target="CC01", action=raised)
            facts = daily.inputs
            assert (daily.elf, daily.rule, facts["method"]) == ("wisdom", "overload", "profile")
            assert facts["peak"] > facts["limit"] == 85.0 > facts["load"]
            assert facts["precision"] >= 0.8
            assert "CC01 has a load of 29 and will be over 85 within the hour" in daily.text
            _, trend = await node.saw(Decided, target="CC02", action=Abstain(about="overload_forecast"))
            assert trend.inputs["method"] == "trend"
            assert trend.text == "no forecast for CC02: 0 validated forecasts, 4 needed"
            # What nobody foretold on the days before is said now.
            missed = ScoreAlert(alert="", verdict="missed")
            assert len(node.all(Decided, target="CC01", action=missed)) >= 7
            await told(node)
        assert await node.stop() == 0
        code, out, err = await elf("replay", "--data", str(node.data))
        assert code == 0, out + err


async def told(node: RealNode) -> None:
    """The alert is open, the load of the past hours can be asked for, and the forecast waits for its verdict."""
    data = ("--json", "--data", str(node.data))
    code, out, err = await elf("alert", "list", *data)
    assert code == 0, err
    assert ("overload_forecast", "CC01") in {(row["cause"], row["target"]) for row in json.loads(out)}
    busy = "SELECT count(DISTINCT hour) AS hours, sum(done) AS done FROM load_hours WHERE unit = 'CC01'"
    code, out, err = await elf("sql", busy, *data)
    assert code == 0, err
    (row,) = json.loads(out)
    assert row["hours"] >= (DAYS - 1) * 20
    assert row["done"] > 1000
    code, out, err = await elf("sql", "SELECT verdict, alert FROM forecasts WHERE target = 'CC01'", *data)
    assert code == 0, err
    assert {row["verdict"] for row in json.loads(out)} >= {"missed"}

"""A simulation as an ordinary log."""

from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from actors.audit import replay as audit
from actors.elves.balance_elf import BalanceElf
from actors.faces.console.source import LogSource
from actors.place import Place
from actors.policies import POLICIES
from actors.simulator import Choice, Player, ScenarioError, simulate, simulate_one
from events.decisions import AssignTask, Decided
from events.observations import Sampled
from events.tasks import TaskDied, TaskFinished, TaskSubmitted
from projections.warehouse import Warehouse
from tests.faces.console import Elf
from tests.simulator.test_engine import mixed


@pytest.mark.parametrize("policy", ["pull_best", "seed", "jsq"])
def test_the_log_says_what_the_run_without_one_gave_and_replays_equal(policy: str, tmp_path: Path) -> None:
    scenario, choice = mixed(150), Choice(policy=policy)
    plain = simulate_one(scenario, choice)
    logged = simulate_one(scenario, choice, tmp_path / "log")
    assert (logged.mean, logged.p99, logged.decisions) == (plain.mean, plain.p99, plain.decisions)
    with LogSource(Place(tmp_path / "log")) as source:
        events = [event for chunk in source.chunks() for event in chunk]
        report = audit(source.chunks)
    assert report.divergences == []
    assert report.equal == report.decisions >= plain.decisions
    kinds = [type(event.body) for event in events]
    assert (kinds.count(TaskSubmitted), kinds.count(TaskFinished)) == (150, 150)
    given = [event.body for event in events if isinstance(event.body, Decided)]
    assert sum(isinstance(one.action, AssignTask) for one in given) == plain.decisions
    assert [event.time for event in events] == sorted(event.time for event in events)


def test_an_agent_with_several_places_has_them_in_the_log_too(tmp_path: Path) -> None:
    # Alone: what waits for its turn at one agent would go to another that is free before long.
    one = replace(mixed(1).players[0], wip=3)
    scenario, choice = replace(mixed(60), players=(one,)), Choice(policy="pull_best")
    plain = simulate_one(scenario, choice)
    assert plain.mean != simulate_one(replace(scenario, players=(replace(one, wip=1),)), choice).mean
    logged = simulate_one(scenario, choice, tmp_path / "log")
    assert (logged.mean, logged.p99, logged.decisions) == (plain.mean, plain.p99, plain.decisions)


def test_a_log_may_begin_when_it_is_told_to_and_tick_as_that_of_a_node(tmp_path: Path) -> None:
    scenario, choice = mixed(60), Choice(policy="pull_best")
    plain = simulate_one(scenario, choice)
    begun = scenario.begin + 86_400_000_000
    logged = simulate_one(replace(scenario, begin=begun, tick_s=60.0), choice, tmp_path / "log")
    assert (logged.mean, logged.p99, logged.decisions) == (plain.mean, plain.p99, plain.decisions)
    with LogSource(Place(tmp_path / "log")) as source:
        events = [event for chunk in source.chunks() for event in chunk]
        assert audit(source.chunks).divergences == []
    ticks = [event.time for event in events if isinstance(event.body, Sampled)]
    assert events[0].time == begun
    assert max(after - before for before, after in pairwise(ticks)) <= 60_000_000


def test_no_elf_but_balance_decides_in_a_simulated_log(tmp_path: Path) -> None:
    simulate_one(mixed(60), Choice(policy="pull_best"), tmp_path / "log")
    with LogSource(Place(tmp_path / "log")) as source:
        report = audit(source.chunks, policies=[p for p in POLICIES if p.name != BalanceElf.name])
    assert (report.decisions, report.divergences) == (0, [])


def test_what_was_given_up_is_dead_in_the_tables(tmp_path: Path) -> None:
    scenario = mixed(30)
    failing = tuple(Player(name=one.name, error_rate=1.0) for one in scenario.players)
    changed = replace(scenario, players=failing, choices=scenario.choices[:1], max_attempts=2)
    result = simulate(changed, tmp_path / "log").results[0]
    assert result.given_up == 30
    with Warehouse.open(tmp_path / "log" / "warehouse.duckdb", read_only=True) as warehouse:
        rows = warehouse.cursor().execute("SELECT state, count(*) FROM tasks GROUP BY state").fetchall()
        died = sum(isinstance(event.body, TaskDied) for page in warehouse.events() for event in page)
    assert rows == [("dead", 30)]
    assert died == 30


def test_a_used_folder_is_refused_before_anything_is_played(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    scenario = mixed(5)
    with pytest.raises(ScenarioError, match="expected a new or an empty folder"):
        simulate(replace(scenario, choices=scenario.choices[:1]), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_other_commands_read_the_log(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    elf = Elf(capsys)
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(
        'load = 0.7\npolicies = ["pull_best", "seed"]\n[generator]\ntasks = 60\nkinds = 3\n'
        '[[agent]]\nname = "CC01"\n[[agent]]\nname = "CC02"\noutages = [["20%", "40%"]]\n'
    )
    told = elf("simulate", str(scenario), "--json", "--log", str(tmp_path / "logs"))
    assert told.code == 0, told
    assert [one["policy"] for one in told.json["results"]] == ["pull_best", "seed"]
    assert all(one["done"] == 60 for one in told.json["results"])
    data = str(tmp_path / "logs" / "pull_best")
    assert elf("replay", "--json", "--data", data).json["divergences"] == []
    asked = "SELECT count(*) AS n FROM tasks WHERE state = 'done'"
    assert elf("sql", asked, "--json", "--data", data).json == [{"n": 60}]
    assert "t5" in elf("why", "t5", "--data", data).out

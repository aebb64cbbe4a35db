"""What a log tells about policies that were not in force."""

import json
import math
from pathlib import Path

import pytest
from msgspec.structs import replace

from actors.other_choices import other_choices
from actors.recorded_work import Recording, learned_speeds, recorded
from actors.simulator import Choice, Job, Player, Scenario
from actors.simulator.engine import Engine
from actors.simulator.record import write_log
from actors.simulator.scribe import ScribeBalancer
from actors.what_if import CannotSay, calibrate, closed_loop, enough
from events.envelope import Recorded
from projections.anchor import path_in
from tests.faces.console import Elf
from tests.simulator.test_engine import mixed

FIFO, BEST = Choice(policy="pull_fifo"), Choice(policy="pull_best")


def log_of(scenario: Scenario, choice: Choice) -> list[Recorded]:
    """Play a scenario in its own log."""
    scribe = ScribeBalancer(scenario, choice)
    Engine(scenario, scribe).run()
    scribe.close(scribe.events[-1].time)
    return scribe.events


def recording_of(events: list[Recorded]) -> Recording:
    """Return what the log comes to."""
    found = recorded([events])
    assert found is not None
    return found


@pytest.fixture(scope="module")
def events() -> list[Recorded]:
    """A log of 400 tasks under the order of age, with the failures of the seed."""
    return log_of(mixed(400), FIFO)


def test_arrivals_sizes_speeds_outages_and_errors_come_back_from_the_log(events: list[Recorded]) -> None:
    scenario, found = mixed(400), recording_of(events)
    assert [job.arrival for job in found.scenario.jobs] == pytest.approx(
        [job.arrival for job in scenario.jobs], abs=1e-5
    )
    assert [job.kind for job in found.scenario.jobs] == [job.kind for job in scenario.jobs]
    assert not any(map(math.isnan, found.ended))
    speeds = {player.name: player.speed for player in found.scenario.players}
    assert speeds["CC01"] / speeds["CC02"] == pytest.approx(1.4, rel=0.15)
    assert speeds["CC03"] / speeds["CC02"] == pytest.approx(0.6, rel=0.15)
    players = {player.name: player for player in found.scenario.players}
    assert players["CC03"].error_rate == pytest.approx(0.2, abs=0.08)
    assert players["CC01"].outages == ()
    (window,) = players["CC02"].outages
    # What an agent that was idle did before it was found away nobody knows: half a minute is the most it can be off.
    assert window == pytest.approx(scenario.players[1].outages[0], abs=31)
    assert found.choices == ((0.0, FIFO),)


def test_simulating_what_was_in_force_gives_what_was_recorded(events: list[Recorded]) -> None:
    found = calibrate(recording_of(events))
    assert found.tasks == 400
    assert found.problem == ""
    assert found.simulated_mean == pytest.approx(found.recorded_mean, rel=0.1)


def test_a_log_that_the_simulator_does_not_reproduce_is_refused(events: list[Recorded]) -> None:
    found = recording_of(events)
    slower = replace(found, ended=tuple(end * 1.5 for end in found.ended))
    assert "expected the simulator to give the recorded mean" in calibrate(slower).problem


def test_too_short_a_log_cannot_say() -> None:
    short = recorded([log_of(mixed(40), FIFO)])
    with pytest.raises(CannotSay, match="expected at least 200 tasks that agents ended, got 40"):
        enough(short)
    with pytest.raises(CannotSay, match="got 0"):
        enough(recorded([]))


def test_the_policy_in_force_changes_no_choice_and_another_one_does(events: list[Recorded]) -> None:
    same = other_choices(lambda: iter([events]), FIFO)
    assert (same.same, same.choices) == (same.choices, same.choices)
    assert same.choices >= 400
    other = other_choices(lambda: iter([events]), BEST)
    assert other.same + other.agent + other.task + other.nothing == same.choices
    assert other.task > 20
    example = next(one for one in other.examples if one.change == "task")
    assert example.task != example.other_task


def test_a_policy_that_changes_on_the_way_is_simulated_as_it_was() -> None:
    jobs = tuple(Job(arrival=float(n), size=2.0 + n % 7, kind=str(n % 7)) for n in range(300))
    scenario = Scenario(jobs=jobs, players=(Player(name="a"), Player(name="b")), choices=())
    early, late = replace(scenario, jobs=jobs[:150]), recording_of(log_of(scenario, FIFO))
    assert early.jobs[-1].arrival == 149
    turned = replace(late, choices=((0.0, FIFO), (150.0, BEST)))
    assert calibrate(late).problem == ""
    assert calibrate(turned).simulated_mean < 0.9 * calibrate(late).simulated_mean
    assert closed_loop(late, BEST).mean < closed_loop(late, FIFO).mean


def test_speeds_are_told_apart_from_kinds() -> None:
    rows = [
        (kind, agent, size / speed)
        for kind, size in (("short", 100.0), ("long", 10_000.0))
        for agent, speed in (("fast", 2.0), ("slow", 1.0))
        for _ in range(200 if (kind == "long") == (agent == "fast") else 20)
    ]
    speeds = learned_speeds(rows)
    assert speeds["fast"] / speeds["slow"] == pytest.approx(2.0, rel=0.1)


def test_elf_replay_tells_what_another_policy_would_have_done(
    events: list[Recorded], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "log"
    write_log(events, folder)
    before = path_in(folder).read_bytes()
    elf = Elf(capsys, folder)
    said = elf("replay", "--policy", "pull_best", "--set", "patience=1", "--json")
    assert said.code == 0
    found = json.loads(said.out)
    assert (found["policy"], found["parameters"]) == ("pull_best", {"patience": 1.0})
    assert found["in_force"]["policy"] == "pull_fifo"
    assert found["other"]["done"] == found["in_force"]["done"] == 400
    assert found["other"]["mean"] != found["in_force"]["mean"]
    assert found["changes"]["choices"] > 400
    assert "instead" in elf("replay", "--policy", "jsq").out
    assert path_in(folder).read_bytes() == before


def test_wrong_policies_and_parameters_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_log(log_of(mixed(40), FIFO), tmp_path / "log")
    elf = Elf(capsys, tmp_path / "log")
    assert "expected a distribution policy, got 'best'" in elf.no(2, "replay", "--policy", "best")
    assert "expected a parameter of pull_best" in elf.no(2, "replay", "--policy", "pull_best", "--set", "x=1")
    assert "expected --set NAME=NUMBER" in elf.no(2, "replay", "--policy", "jsq", "--set", "x")
    assert "got 40; try later" in elf.no(5, "replay", "--policy", "pull_best")

"""scenario.toml: what it means, and one line for what is wrong with it."""

import gzip
from pathlib import Path

import pytest

from actors.simulator import Scenario, ScenarioError
from actors.simulator.scenario_file import read_scenario
from tests.faces.console import ROOT, Elf

AGENT = '[[agent]]\nname = "a"\n'
MADE = "load = 0.5\n[generator]\ntasks = 200\n"


def read(folder: Path, text: str) -> Scenario:
    (folder / "scenario.toml").write_text(text)
    return read_scenario(folder / "scenario.toml")


def test_the_example_can_be_read() -> None:
    scenario = read_scenario(ROOT / "examples" / "scenario.toml")
    assert [player.name for player in scenario.players] == ["CC01", "CC02", "CC03"]
    assert len(scenario.jobs) == 4000
    assert min(job.complexity for job in scenario.jobs) == 10
    assert max(job.complexity for job in scenario.jobs) == 50


def test_arrivals_are_stretched_to_the_load(tmp_path: Path) -> None:
    scenario = read(
        tmp_path,
        MADE + AGENT + '[[agent]]\nname = "b"\nspeed = 0.5\nerror_rate = 0.5\noutages = [["0%", "50%"]]\n',
    )
    horizon = scenario.horizon
    ((start, end),) = scenario.players[1].outages
    assert start == 0
    assert end == pytest.approx(horizon / 2)
    capacity = sum(player.capacity(horizon) for player in scenario.players)
    assert capacity == pytest.approx(1 + 0.5 * 0.5 * 0.5)
    assert sum(job.size for job in scenario.jobs) / (capacity * horizon) == pytest.approx(0.5)


def test_outages_by_chance_have_the_mean_times_that_were_asked_for(tmp_path: Path) -> None:
    text = 'load = 0.5\n[generator]\ntasks = 20000\nmean_size_s = 600\n[[agent]]\nname = "a"\n'
    scenario = read(tmp_path, text + "outages = { up_s = 14400, down_s = 3600 }\n")
    player = scenario.players[0]
    assert player.away(scenario.horizon) / scenario.horizon == pytest.approx(0.2, abs=0.03)
    ends = [0.0, *(end for _, end in player.outages)]
    assert all(start > before for (start, _), before in zip(player.outages, ends, strict=False))


def test_a_daily_profile_keeps_its_hours(tmp_path: Path) -> None:
    scenario = read(tmp_path, "load = 0.5\n[generator]\ntasks = 4000\nprofile = [0, 1, 3, 0]\n" + AGENT)
    parts = [0, 0, 0, 0]
    for job in scenario.jobs:
        parts[int(job.arrival // 21_600) % 4] += 1
    assert parts[2] / parts[1] == pytest.approx(3, rel=0.2)
    assert parts[0] + parts[3] <= 1


def test_columns_of_a_csv_trace(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "t.csv.gz", "wt") as file:
        file.write(
            "when,in,out,model,state,prio\n"
            "2026-01-01 00:00:10.5,100,10,m,ok,high\n"
            "2026-01-01 00:00:00.5,300,20,m,ok,low\n"
            "2026-01-01 00:00:05.5,900,1,n,gone,low\n"
        )
    scenario = read(
        tmp_path,
        '[trace]\nfile = "t.csv.gz"\n[trace.columns]\narrival = "when"\nkey = ["model", "in"]\npriority = "prio"\n'
        'size = { in = 0.01, out = 0.1, constant = 1.0 }\nbuckets = { in = 10.0 }\nwhere = { state = ["ok"] }\n'
        + AGENT,
    )
    found = [(job.arrival, job.size, job.kind, job.priority) for job in scenario.jobs]
    assert found == [(0.0, 6.0, "m/2", "low"), (10.0, 3.0, "m/2", "high")]


def test_lines_of_a_workload_log_and_of_json(tmp_path: Path) -> None:
    line = "{} {} -1 {} 1 -1 -1 -1 60 -1 1 7 8 -1 1 1 -1 -1\n"
    (tmp_path / "t.swf").write_text("; UnixStartTime: 0\n" + line.format(1, 5, 50) + line.format(2, 9, 0))
    scenario = read(tmp_path, 'mean_size_s = 600\n[trace]\nfile = "t.swf"\n' + AGENT)
    assert [(job.size, job.kind) for job in scenario.jobs] == [(600.0, "7/8/60")]
    (tmp_path / "t.jsonl").write_text('{"arrival": 1500, "size": 2}\n\n{"arrival": 500, "size": 4}\n')
    scenario = read(tmp_path, '[trace]\nfile = "t.jsonl"\ncolumns = { arrival_unit_s = 0.001 }\n' + AGENT)
    assert [(job.arrival, job.size) for job in scenario.jobs] == [(0.0, 4.0), (1.0, 2.0)]


WRONG = [
    (MADE, "expected at least one [[agent]], got none"),
    (AGENT, "expected [trace] or [generator], got neither"),
    (MADE + '[trace]\nfile = "x.csv"\n' + AGENT, "expected [trace] or [generator], got both"),
    ("[generator]\ntasks = 5\n" + AGENT, "expected generator.rate or load, got neither"),
    ('policies = ["best"]\n' + MADE + AGENT, "expected one of pull_best"),
    (
        "parameters = { pull_best = { patience = -1 } }\n" + MADE + AGENT,
        "patience: expected a number between",
    ),
    ("parameters = { pull_best = { speed = 1 } }\n" + MADE + AGENT, "expected a parameter of pull_best"),
    ("parameters = { jsq = { patience = 1 } }\n" + MADE + AGENT, "parameters.jsq: expected one of pull_best"),
    (MADE + AGENT + "speed = 0\n", "agent[0].speed: expected a number from 1e-06 to 1e+06, got 0"),
    (MADE + AGENT + "error_rate = 1.5\n", "agent[0].error_rate: expected a number from 0 to 1, got 1.5"),
    (MADE + AGENT + 'speed = "fast"\n', "agent[0].speed: expected float, got str"),
    (MADE + AGENT + "pace = 1\n", "unknown field pace"),
    (MADE + AGENT + AGENT, "expected another name for each agent, got 'a' twice"),
    (MADE + AGENT + 'outages = [["x%", "5%"]]\n', "expected seconds or a share"),
    (MADE + AGENT + "outages = [[9, 5]]\n", "expected windows one after the other"),
    (MADE + AGENT + "outages = { up_s = 0, down_s = 1 }\n", "agent[0].outages.up_s: expected a number"),
    ("detection_s = nan\n" + MADE + AGENT, "detection_s: expected a number from 0"),
    ("complexity = [50, 10]\n" + MADE + AGENT, "complexity: expected two numbers"),
    ('load = 0.5\n[generator]\nsize = "huge"\n' + AGENT, "generator.size: invalid enum value 'huge'"),
    ("load = 0.5\n[generator]\nprofile = [0, 0]\n" + AGENT, "generator.profile: expected weights"),
    ("load = 0.5\nload = 1\n", "expected TOML, got"),
    ('[trace]\nfile = "none.csv"\n' + AGENT, "none.csv, got: no such file or directory"),
    ('[trace]\nfile = "t.txt"\n' + AGENT, "expected a trace that ends in .csv"),
    ('[trace]\nfile = "t.csv"\n' + AGENT, "t.csv:3: expected a number in size, got 'x'"),
    ('[trace]\nfile = "short.csv"\n' + AGENT, "short.csv:3: expected 2 values"),
    ('[trace]\nfile = "t.csv"\ncolumns = { size = "s" }\n' + AGENT, "t.csv:2: expected a column 's'"),
    ('[trace]\nfile = "t.jsonl"\n' + AGENT, "t.jsonl:2: expected one JSON object"),
    ('[trace]\nfile = "t.swf"\n' + AGENT, "t.swf:2: expected 18 fields"),
    ('[trace]\nfile = "date.csv"\n' + AGENT, "date.csv:2: expected seconds or a date and time in arrival"),
    ('[trace]\nfile = "minus.csv"\n' + AGENT, "minus.csv:2: expected a size of at least 0 seconds"),
    ('[trace]\nfile = "broken.csv.gz"\n' + AGENT, "broken.csv.gz, got: not a gzipped file"),
    ('[trace]\nfile = "ok.csv"\nskip = 9\n' + AGENT, "trace.skip: expected fewer than the 2 tasks"),
]


@pytest.mark.parametrize(("text", "expected"), WRONG, ids=[expected[:40] for _, expected in WRONG])
def test_what_is_wrong_is_said_in_one_line(
    text: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in {
        "t.txt": "",
        "t.csv": "arrival,size\n1,2\n2,x\n",
        "ok.csv": "arrival,size\n1,2\n2,3\n",
        "short.csv": "arrival,size\n1,2\n2\n",
        "date.csv": "arrival,size\nyesterday,2\n",
        "minus.csv": "arrival,size\n1,-2\n",
        "t.jsonl": '{"arrival": 1, "size": 2}\n[1]\n',
        "t.swf": "; header\n1 2 3\n",
        "broken.csv.gz": "arrival,size\n",
    }.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "scenario.toml").write_text(text)
    line = Elf(capsys).no(2, "simulate", str(tmp_path / "scenario.toml"))
    assert expected in line
    assert "\n" not in line
    assert line.startswith((str(tmp_path), "expected"))
    with pytest.raises(ScenarioError):
        read_scenario(tmp_path / "scenario.toml")


def test_a_missing_scenario_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = Elf(capsys).no(2, "simulate", str(tmp_path / "none.toml"))
    assert "no such file or directory" in line

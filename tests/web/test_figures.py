"""The catalogue of metrics: documented, bounded, as the official library reads it."""

import re
from pathlib import Path
from typing import Any, get_args

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from actors.faces.web.figures import CATALOGUE, MODES, MOST, OTHER, SEVERITIES, STATES, registry_of
from actors.pulse import Answers
from actors.vitals import Vitals
from events.decisions import Mode, Severity

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"\| `([a-z_]+)` \| (gauge|counter) \| ?(.*?) ?\| (.{5,}) \|")
VITALS = Vitals(
    answers=Answers(3, 1.5, (("roster", 75.0),), ()),
    role="leader",
    position=12,
    epoch=3,
    written=7,
    connected=True,
    ending="",
    lags={"roster": 4},
    disk_free=10,
    disk_reserve=5,
)


def page(workers: int = 1, queues: int = 1, agents: int = 1) -> dict[str, Any]:
    """Return a page as status has it."""
    return {
        "node": {"started": 5.0},
        "paused": False,
        "workers": [
            {
                "name": f"w{number:04}",
                "pool": f"p{number % 300:03}",
                "state": "running",
                "pid": 1,
                "cpu_percent": 50.0,
                "memory_bytes": 100,
                "memory_limit_bytes": 200,
                "uptime_s": float(number),
                "tasks_processed": 2,
                "errors": 1,
                "restarts": 0,
            }
            for number in range(workers)
        ],
        "queues": [
            {
                "name": f'q{number:04}"\n\\',
                "pending": 1,
                "in_flight": 0,
                "unfinished": 1,
                "oldest_age_s": float(number),
                "submitted": 3,
                "ended": 2,
            }
            for number in range(queues)
        ],
        "agents": [
            {
                "name": f"a{number:04}",
                "state": "alive",
                "current_tasks": 1,
                "load_score": 3.5,
                "error_rate": 0.25,
                "response_time_s": 4.0,
                "tasks_processed": 9,
                "errors": 1,
            }
            for number in range(agents)
        ],
        "elves": [{"name": "flow", "mana": 80, "mode": "act"}],
        "alerts": [{"severity": "critical"}, {"severity": "never heard of"}],
    }


def samples(**counts: int) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return samples by name and values of labels, read back from the text."""
    text = generate_latest(registry_of(VITALS, page(**counts), "1")).decode()
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def documented() -> dict[str, tuple[str, tuple[str, ...], str]]:
    """Return type, labels and meaning of every metric on the page."""
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    return {
        name: (kind, tuple(re.findall(r"`(\w+)`", labels)), meaning)
        for name, kind, labels, meaning in ROW.findall(text)
    }


def test_every_metric_is_documented_and_nothing_else() -> None:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    process = {sample.name for family in registry.collect() for sample in family.samples}
    found = documented()
    assert {figure.name: (figure.kind, figure.labels, figure.help) for figure in CATALOGUE} == {
        name: told for name, told in found.items() if not name.startswith("process_")
    }
    assert {name for name in found if name.startswith("process_")} == process
    told = {name for name, _ in samples()} - {"elf_node_answered"}
    assert told <= set(found)


def test_names_follow_the_conventions() -> None:
    for figure in CATALOGUE:
        assert re.fullmatch(r"elf_[a-z][a-z_]*[a-z]", figure.name)
        assert figure.name.endswith("_total") == (figure.kind == "counter"), figure
        assert not re.search(r"_(ms|percent|kb|mb|minutes|hours|count|sum|bucket)(_|$)", figure.name), figure
        assert set(figure.labels) <= {
            *MOST,
            *("elf", "mode", "state", "severity", "reader", "version", "python"),
        }
    assert set(MODES) == set(get_args(Mode))
    assert set(SEVERITIES) == set(get_args(Severity))


def test_states_are_those_that_the_commands_page_names() -> None:
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    words = text.partition("Worker states:")[2].partition("\n\n")[0]
    assert set(STATES) == set(re.findall(r"`(\w+)`", words))


def test_labels_are_bounded_and_the_rest_is_summed_up_as_other() -> None:
    found = samples(workers=1000, queues=150, agents=150)
    memory = {labels: value for (name, labels), value in found.items() if name == "elf_worker_memory_bytes"}
    assert {worker for _, worker in memory} == {*(f"w{number:04}" for number in range(200)), OTHER}
    assert len({pool for pool, _ in memory}) <= MOST["pool"] + 1
    assert sum(memory.values()) == 100 * 1000
    oldest = {
        labels[0]: value for (name, labels), value in found.items() if name.endswith("oldest_age_seconds")
    }
    assert (len(oldest), oldest[OTHER]) == (101, 149.0)
    assert found["elf_agent_tasks_total", (OTHER,)] == 50 * 9
    assert found["elf_agent_load_score", (OTHER,)] == 3.5
    assert found["elf_workers", ("running",)] == 1000
    assert found["elf_open_alerts", (OTHER,)] == 1
    assert len(found) < 5000


def test_strange_names_come_back_as_they_were() -> None:
    assert ("elf_queue_pending_tasks", ('q0000"\n\\',)) in samples()


def test_without_an_answer_of_the_actors_health_is_still_told() -> None:
    text = generate_latest(registry_of(VITALS, None, "1")).decode()
    found = {s.name: s.value for family in text_string_to_metric_families(text) for s in family.samples}
    assert (found["elf_node_alive"], found["elf_node_answered"], found["elf_node_hung_actors"]) == (0, 0, 1)
    assert "elf_workers" not in found

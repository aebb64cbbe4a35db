"""The house keeps its rules, and each rule notices when it is broken."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests import layout

ROOT = Path(__file__).parents[1]
Rule = Callable[[Path], list[str]]
RULES: list[Rule] = [
    layout.floors,
    layout.elves,
    layout.purity,
    layout.standalone,
    layout.nats_is_data,
    layout.top_level,
    layout.test_folders,
    layout.sizes,
    layout.packages,
    layout.locks,
]
BREACHES: list[tuple[Rule, str, str, str]] = [
    (
        layout.floors,
        "events/a.py",
        "from projections.load import fold",
        "events/a.py imports projections.load",
    ),
    (
        layout.floors,
        "projections/load.py",
        "def f():\n    import actors",
        "projections/load.py imports actors",
    ),
    (layout.floors, "actors/node.py", "import cli", "actors/node.py imports cli"),
    (layout.floors, "actors/node.py", "from . import bus", "actors/node.py imports .bus"),
    (layout.floors, "cli.py", "from elf_forest.events import codec", "cli.py imports elf_forest.events"),
    (
        layout.elves,
        "actors/elves/flow_elf.py",
        "from actors.elves import time_elf",
        "actors/elves/flow_elf.py imports actors.elves.time_elf",
    ),
    (
        layout.elves,
        "actors/elves/__init__.py",
        "from actors.elves.time_elf import decide",
        "actors/elves/__init__.py imports actors.elves.time_elf",
    ),
    (layout.purity, "events/a.py", "import time", "events/a.py imports time"),
    (layout.purity, "events/a.py", "from os.path import join", "events/a.py imports os.path"),
    (layout.purity, "projections/load.py", "import duckdb", "projections/load.py imports duckdb"),
    (
        layout.purity,
        "projections/load.py",
        "from projections.warehouse import rebuild",
        "projections/load.py imports projections.warehouse",
    ),
    (
        layout.purity,
        "actors/elves/flow_elf.py",
        "from actors import bus",
        "actors/elves/flow_elf.py imports actors.bus",
    ),
    (
        layout.purity,
        "actors/elves/flow_elf.py",
        "from datetime import datetime\nt = datetime.now()",
        "actors/elves/flow_elf.py:2 reads the clock",
    ),
    (layout.standalone, "actors/keeper.py", "import msgspec", "actors/keeper.py imports msgspec"),
    (
        layout.standalone,
        "actors/handler_host.py",
        "from events import codec",
        "actors/handler_host.py imports events.codec",
    ),
    (layout.nats_is_data, "nats/__init__.py", "", "nats/__init__.py"),
    (layout.nats_is_data, "nats/more/streams.json", "{}", "nats/more"),
    (layout.top_level, "__init__.py", "", "__init__.py"),
    (layout.top_level, "setup.py", "", "setup.py"),
    (layout.test_folders, "tests/actors/test_a.py", "", "tests/actors"),
    (layout.sizes, "actors/node.py", "x = 1\n" * 401, "actors/node.py has 401 lines"),
    (layout.sizes, "actors/node.py", "def f():\n" + "    x = 1\n" * 60, "actors/node.py:1 f has 61 lines"),
    (layout.sizes, "actors/utils.py", "", "actors/utils.py does not name its trade"),
    (layout.packages, "actors/faces/web.py", "", "elf_forest.actors.faces is not listed"),
    (
        layout.locks,
        "requirements/run.txt",
        "--index-url https://packages.example/simple",
        "run.txt: --index-url https://packages.example/simple",
    ),
    (
        layout.locks,
        "requirements/run.txt",
        "a @ file:///a.whl --hash=sha256:00",
        "run.txt: a @ file:///a.whl --hash=sha256:00",
    ),
    (layout.locks, "requirements/run.txt", "pykka==4.5.0", "run.txt: pykka==4.5.0"),
]
SOUND = {
    "pyproject.toml": '[tool.setuptools]\npackages = ["elf_forest", "elf_forest.actors",'
    ' "elf_forest.actors.elves", "elf_forest.events", "elf_forest.examples", "elf_forest.nats",'
    ' "elf_forest.projections"]',
    "requirements/run.txt": "pykka==4.5.0 \\\n    --hash=sha256:00\n    # via elf-forest\n",
    "nats/server.conf": "",
    "events/a.py": "from datetime import datetime\nfrom events import codec",
    "projections/load.py": "from events.a import A",
    "projections/warehouse.py": "import duckdb, os\nfrom projections.load import fold",
    "actors/elves/flow_elf.py": "from actors.elves import Policy\nfrom projections import load\nt = load.now",
    "actors/keeper.py": "import os, socket",
    "actors/node.py": "import time\nfrom actors.elves import flow_elf\n" + "x = 1\n" * 398,
    "tests/__init__.py": "",
    "cli.py": "from actors import node\ndef f():\n" + "    x = 1\n" * 59,
    "__main__.py": "from cli import main",
}


def build(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.smoke
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_the_rule(rule: Rule) -> None:
    assert rule(ROOT) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_sound_tree_has_no_finding(rule: Rule, tmp_path: Path) -> None:
    assert rule(build(tmp_path, SOUND)) == []


@pytest.mark.parametrize(
    ("rule", "name", "text", "finding"),
    BREACHES,
    ids=[f"{breach[0].__name__}-{number}" for number, breach in enumerate(BREACHES)],
)
def test_a_breach_is_found(rule: Rule, name: str, text: str, finding: str, tmp_path: Path) -> None:
    assert finding in rule(build(tmp_path, SOUND | {name: text}))


def test_every_rule_has_a_breach() -> None:
    assert {breach[0] for breach in BREACHES} == set(RULES)

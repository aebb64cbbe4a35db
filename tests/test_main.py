"""The folder runs as an application from anywhere, and runners start without the command line's libraries."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.smoke

SAY = "import sys\ndef main() -> int:\n    print({name!r}, *sys.argv[1:], {heavy})\n    return 7\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The real __main__.py beside a command line and a runner that only say who they are."""
    place = tmp_path / "site" / "elf_forest"
    (place / "actors").mkdir(parents=True)
    shutil.copy(ROOT / "__main__.py", place)
    (place / "cli.py").write_text(
        "import cyclopts\n" + SAY.format(name="cli", heavy="'cyclopts' in sys.modules")
    )
    (place / "actors" / "__init__.py").touch()
    (place / "actors" / "runner.py").write_text(SAY.format(name="runner", heavy="'cyclopts' in sys.modules"))
    console = place / "actors" / "faces" / "console"
    console.mkdir(parents=True)
    (console / "node_process.py").write_text(SAY.format(name="node", heavy="'cyclopts' in sys.modules"))
    return place


def answer(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([sys.executable, *command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 7, done.stderr
    return done.stdout.strip()


def test_it_runs_from_another_folder(folder: Path, tmp_path: Path) -> None:
    assert answer(folder / "__main__.py", "status", cwd=tmp_path) == "cli status True"


def test_it_runs_as_an_installed_module_beside_files_of_the_same_names(folder: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "cli.py").write_text("raise ImportError('a stranger')")
    assert answer("-m", "elf_forest", "status", cwd=site) == "cli status True"


def test_it_runs_in_an_isolated_interpreter(folder: Path, tmp_path: Path) -> None:
    assert answer("-I", folder / "__main__.py", "status", cwd=tmp_path) == "cli status True"


def test_it_runs_through_a_symbolic_link(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "elf.py"
    link.symlink_to(folder / "__main__.py")
    assert answer(link, "status", cwd=tmp_path) == "cli status True"


def test_a_runner_starts_without_the_command_line(folder: Path, tmp_path: Path) -> None:
    assert answer(folder / "__main__.py", "runner", "w1", cwd=tmp_path) == "runner runner w1 False"


def test_so_does_a_node(folder: Path, tmp_path: Path) -> None:
    assert answer(folder / "__main__.py", "node-process", cwd=tmp_path) == "node node-process False"

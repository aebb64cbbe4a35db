"""What people install: one folder with its data, and a command that starts."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.layout import PROJECT

ROOT = Path(__file__).parents[1]
pytestmark = [pytest.mark.slow, pytest.mark.smoke]


def run(*command: str | Path, cwd: Path) -> str:
    """Run one program without the variables that let it find the checkout; its output is in the failure."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ELF_"))}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from the sdist, out of a copy: a build leaves its folders beside the sources."""
    place = tmp_path_factory.mktemp("wheel")
    copy, out = place / "source", place / "out"
    copy.mkdir()
    for name in PROJECT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", "data"))
        elif source.is_file():
            shutil.copy(source, copy / name)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, copy, cwd=place)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """A fresh environment with the wheel; its dependencies are those of the running one."""
    home = wheel.parents[1] / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    options = ("install", "--quiet", "--no-deps", "--no-index", "--no-compile")
    run(sys.executable, "-m", "pip", "--python", python, *options, wheel, cwd=home)
    library = Path(
        run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip()
    )
    (library / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home


def test_the_wheel_has_one_top_level_folder(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert tops == {"elf_forest", "elf_forest-0.1.0.dist-info"}


def test_the_wheel_has_the_sources_and_data_and_nothing_else(wheel: Path) -> None:
    expected = {"cli.py", "__main__.py"}
    for folder, suffixes in {
        "events": {".py"},
        "projections": {".py", ".sql"},
        "actors": {".py", ".js", ".css", ".html", ".svg", ".tcss", ".txt"},
        "nats": {".conf", ".json", ".md"},
        "examples": {".py", ".toml", ".jsonl", ".service", ".md"},
    }.items():
        files = [
            path
            for path in (ROOT / folder).rglob("*")
            if path.suffix in suffixes and "data" not in path.parts
        ]
        expected.update(path.relative_to(ROOT).as_posix() for path in files)
    with ZipFile(wheel) as archive:
        shipped = {
            name.removeprefix("elf_forest/") for name in archive.namelist() if name.startswith("elf_forest/")
        }
    assert shipped == expected
    assert {"nats/server.conf", "nats/streams.json", "examples/forest.toml"} <= shipped
    assert any(name.startswith("projections/") and name.endswith(".sql") for name in shipped)


def test_the_installed_command_starts(installed: Path, tmp_path: Path) -> None:
    by_name = run(installed / "bin" / "elf", "--help", cwd=tmp_path)
    by_module = run(installed / "bin" / "python", "-m", "elf_forest", "--help", cwd=tmp_path)
    assert "node" in by_name
    assert "node" in by_module


def test_installed_modules_have_one_name(installed: Path, tmp_path: Path) -> None:
    program = (
        "import sys; from elf_forest.__main__ import main\n"
        "sys.argv[1:] = ['--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "import events.codec, projections, actors\n"
        "print(*(m.__file__ for m in (events.codec, projections, actors)))\n"
        "print(*sorted(m for m in sys.modules if m.startswith('elf_forest')))"
    )
    *_, files, names = run(installed / "bin" / "python", "-c", program, cwd=tmp_path).splitlines()
    assert all(str(installed) in file for file in files.split())
    assert names == "elf_forest elf_forest.__main__"

"""How units are launched: what is started, and what their environment holds and what not."""

import json
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from actors.nats_server import ACK_WAIT_S
from actors.units import Launch, launch_of
from tests.actors.forests import A, B, forest_of

ROOT = Path(__file__).resolve().parents[2]
SHOW = "import json, os; print(json.dumps([dict(os.environ), os.getcwd()]))"
NODE = {"PATH": os.environ["PATH"], "HOME": "/home/x", "SECRET": "s3cret", "LANG": "ja_JP.UTF-8"}


def spec_of(launch: Launch) -> dict[str, object]:
    assert launch.argv[:3] == (sys.executable, "-E", "-u")
    assert launch.argv[3:6] == (str(ROOT / "__main__.py"), "runner", "--spec")
    spec = json.loads(launch.argv[6])
    assert isinstance(spec, dict)
    return spec


def test_a_plain_program_starts_as_written_with_a_clean_environment_and_its_own(tmp_path: Path) -> None:
    text = B.replace("['true']", json.dumps([sys.executable, "-c", SHOW])) + "cwd = 'in'\n"
    text += "env = { TOKEN = 'x-${SECRET}', LANG = 'C.UTF-8' }\n[node]\ntimezone = 'Asia/Tokyo'\n"
    (tmp_path / "in").mkdir()
    forest = forest_of(tmp_path, text, NODE)

    launch = launch_of(forest, "b", marker="n1:b:3:f00d", environ=NODE)

    done = subprocess.run(
        launch.argv, env=launch.env, cwd=launch.cwd, capture_output=True, text=True, check=True, timeout=30
    )
    seen, folder = json.loads(done.stdout)
    seen.pop("LC_CTYPE", None)  # Python's own doing under the C locale
    assert seen == {
        "PATH": os.environ["PATH"],
        "HOME": "/home/x",
        "LANG": "C.UTF-8",
        "TZ": "Asia/Tokyo",
        "PYTHONUNBUFFERED": "1",
        "TOKEN": "x-s3cret",
        "ELF_UNIT": "n1:b:3:f00d",
        "ELF_NOTIFY": launch.notify,
    }
    assert launch.notify == str(tmp_path.resolve() / "data" / "run" / "notify" / "b")
    assert folder == str((tmp_path / "in").resolve())
    assert launch.kind == "plain"
    assert launch.log == str(tmp_path.resolve() / "data" / "logs" / "b.log")


def test_without_a_home_or_path_of_the_node_a_unit_still_gets_them(tmp_path: Path) -> None:
    launch = launch_of(forest_of(tmp_path, B), "b", environ={})

    assert launch.env["PATH"] == os.defpath
    assert (launch.env["HOME"], launch.env["LANG"], launch.env["TZ"]) == ("/", "C.UTF-8", "UTC")


def test_a_task_worker_starts_a_runner_that_is_told_everything_but_secrets(tmp_path: Path) -> None:
    text = A.replace("name = 'q'", "name = 'q'\ntimeout_s = 5\nmax_attempts = 2\nage_s = 30")
    text += "batch = 10\nconcurrency = 2\nstop_wait_s = 3\nmax = 2\nenv = { TOKEN = '${SECRET}' }\n"
    text += f"python = '{sys.executable}'\n"
    forest = forest_of(tmp_path, text, NODE)

    launch = launch_of(forest, "a-2", generation=7, environ=NODE)

    assert spec_of(launch) == {
        "unit": "a-2",
        "generation": 7,
        "pool": "a",
        "queue": "q",
        "call": "m:f",
        "exec": [],
        "python": sys.executable,
        "cwd": str(tmp_path.resolve()),
        "batch": 10,
        "concurrency": 2,
        "timeout_s": 5.0,
        "max_attempts": 2,
        "deaths": 3,
        "age_s": 30.0,
        "stop_wait_s": 3.0,
        "ack_wait_s": ACK_WAIT_S,
        "spool": str(tmp_path.resolve() / "data" / "spool" / "a-2.jsonl"),
        "logs": str(tmp_path.resolve() / "data" / "logs"),
        "redact": [],
        "prefix": [],
    }
    assert launch.kind == "call"
    assert launch.env["TOKEN"] == "s3cret"
    assert not [word for word in launch.argv if "s3cret" in word]


def test_an_exec_worker_and_what_confines_its_programs(tmp_path: Path) -> None:
    text = A.replace("call = 'm:f'", "exec = ['./tool', '--fast']")
    text += "rlimits = { nofile = 64, core = -1 }\nuser = 'nobody'\n"
    forest = forest_of(tmp_path, text)

    launch = launch_of(forest, "a", data=tmp_path / "elsewhere")

    spec = spec_of(launch)
    prlimit, setpriv = shutil.which("prlimit"), shutil.which("setpriv")
    nobody = pwd.getpwnam("nobody")
    ids = [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--init-groups", "--inh-caps=-all"]
    assert spec["prefix"] == [prlimit, "--core=unlimited", "--nofile=64", "--", setpriv, *ids, "--"]
    assert launch.env["HOME"] == nobody.pw_dir
    assert (spec["exec"], spec["call"]) == ([str(tmp_path.resolve() / "tool"), "--fast"], "")
    assert spec["spool"] == str(tmp_path / "elsewhere" / "spool" / "a.jsonl")
    assert spec["python"] == sys.executable
    assert launch.kind == "exec"
    assert launch.log == str(tmp_path / "elsewhere" / "logs" / "a.log")


@pytest.mark.parametrize(("most", "units"), [(1, ["b"]), (2, ["b-1", "b-2"])])
def test_a_unit_has_a_number_only_where_there_may_be_several(
    most: int, units: list[str], tmp_path: Path
) -> None:
    forest = forest_of(tmp_path, B + f"max = {most}\n")

    assert [Path(launch_of(forest, unit).log).stem for unit in units] == units
    with pytest.raises(LookupError, match=f"expected a unit of forest.toml, got 'b-{most + 1}'"):
        launch_of(forest, f"b-{most + 1}")

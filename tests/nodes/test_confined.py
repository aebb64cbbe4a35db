"""Workers as other users and within limits, in a real node: plain, called and executed."""

import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.process import descendants
from events.tasks import TaskFinished
from tests.real_node import RealNode, real_node

NOBODY = pwd.getpwnam("nobody").pw_uid
HANDLER = """
import os, resource, sys
import beside
def look(task):
    return [os.getuid(), os.environ["HOME"], resource.getrlimit(resource.RLIMIT_NOFILE)[0], beside.NAME]
"""
PROGRAM = """
import json, os, resource
print(json.dumps([os.getuid(), os.environ["HOME"], resource.getrlimit(resource.RLIMIT_NOFILE)[0]]))
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may read, unlike those of pytest."""
    folder = Path(tempfile.mkdtemp(prefix="elf-open-"))
    folder.chmod(0o755)
    (folder / "seen.py").write_text(HANDLER)
    (folder / "program.py").write_text(PROGRAM)
    (folder / "path").mkdir()
    (folder / "path" / "beside.py").write_text("NAME = 'from PYTHONPATH'\n")
    # A module of this name in the runner's path would end the runner.
    (folder / "path" / "msgspec.py").write_text("raise ImportError('not the real one')\n")
    yield folder
    shutil.rmtree(folder)


def uid_of(pid: int) -> int:
    return os.stat(f"/proc/{pid}").st_uid


def name_of(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


async def test_plain_called_and_executed_as_another_user(tmp_path: Path, open_folder: Path) -> None:
    assert os.geteuid() == 0, "another user is impossible here: the tests do not run as root"
    small = f'cwd = "{open_folder}"\nuser = "nobody"\nrlimits = {{ nofile = 99 }}\nstop_wait_s = 2\n'
    path = f'env = {{ PYTHONPATH = "{open_folder}/path", PYTHONHOME = "" }}\n'
    toml = (
        '[[queue]]\nname = "q"\n[[queue]]\nname = "r"\n'
        f'[[worker]]\nname = "p"\ncommand = ["sleep", "1000"]\n{small}'
        f'[[worker]]\nname = "c"\nqueue = "q"\ncall = "seen:look"\n{small}{path}'
        f'[[worker]]\nname = "e"\nqueue = "r"\nexec = ["{sys.executable}", "program.py"]\n{small}'
    )
    async with real_node(tmp_path, toml) as node:
        plain, caller = await node.runs("p"), await node.runs("c")
        await node.submit("q", [("t1", None)])
        await node.submit("r", [("t2", None)])
        results = await node.wait(lambda _: len(done := finished(node)) == 2 and done, what="two results")
        home = pwd.getpwnam("nobody").pw_dir
        assert results == {
            "t1": [NOBODY, home, 99, "from PYTHONPATH"],
            "t2": [NOBODY, home, 99],
        }
        assert uid_of(plain.pid) == NOBODY
        assert name_of(plain.pid) == "sleep"
        (host,) = descendants(caller.pid)
        assert (uid_of(caller.pid), uid_of(host)) == (0, NOBODY)


def finished(node: RealNode) -> dict[str, object]:
    """Return results by task."""
    return {body.task: body.result for _, body in node.all(TaskFinished)}

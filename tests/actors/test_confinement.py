"""Users, limits and shares of the processors: as arguments, on a real process, and where they are impossible."""

import os
import pwd
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from actors import config_rules, confinement
from actors.config_errors import ConfigErrors
from actors.confinement import cpu_base, cpu_group, prefix_of, too_high
from tests.actors.forests import B, forest_of

SHOW = "import os, resource; print(os.getuid(), os.getgroups(), *resource.getrlimit(resource.RLIMIT_NOFILE))"
NOBODY = pwd.getpwnam("nobody")


def shown(prefix: tuple[str, ...], program: str = SHOW) -> str:
    return subprocess.run(
        [*prefix, sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd="/"
    ).stdout.strip()


def test_a_process_runs_as_its_user_within_its_limits() -> None:
    groups = os.getgrouplist("nobody", NOBODY.pw_gid)
    assert shown(prefix_of({"nofile": 77}, "nobody")) == f"{NOBODY.pw_uid} {groups} 77 77"
    capabilities = shown(prefix_of({}, "nobody"), "print(open('/proc/self/status').read())")
    assert "CapEff:\t0000000000000000" in capabilities
    assert "CapInh:\t0000000000000000" in capabilities


def test_nothing_asked_for_is_nothing_in_the_way() -> None:
    assert prefix_of({}, "") == ()
    assert prefix_of({}, pwd.getpwuid(os.geteuid()).pw_name) == ()


def test_unlimited_and_the_old_name_of_nofile() -> None:
    assert prefix_of({"core": -1, "ofile": 9}, "")[1:] == ("--core=unlimited", "--nofile=9", "--")


def test_a_process_enters_its_group_before_it_is_the_program(tmp_path: Path) -> None:
    procs = tmp_path / "cgroup.procs"
    procs.touch()
    pid = shown(prefix_of({"nofile": 50}, "nobody", tmp_path), "import os; print(os.getpid())")
    assert procs.read_text() == f"{pid}\n"


def tree(
    folder: Path, inner: str, controllers: str = "cpu memory", subtree: str = "", procs: str = ""
) -> None:
    """Write a cgroup as the kernel shows it."""
    group = folder / inner
    group.mkdir(parents=True, exist_ok=True)
    (group / "cgroup.controllers").write_text(controllers)
    (group / "cgroup.subtree_control").write_text(subtree)
    (group / "cgroup.procs").write_text(procs)


def look(folder: Path, own: str) -> Path | None:
    mounts, membership = folder / "mountinfo", folder / "membership"
    mounts.write_text(
        f"30 23 0:26 / {folder}/fs rw,nosuid - cgroup2 cgroup2 rw\n31 23 0:27 / /x rw - tmpfs t rw\n"
    )
    membership.write_text(f"4:cpu:/old\n0::/{own}\n")
    return cpu_base(mounts, membership)


def test_a_delegated_service_makes_its_groups_above_its_leaf(tmp_path: Path) -> None:
    tree(tmp_path, "fs", procs="1")
    tree(tmp_path, "fs/elf.service")
    tree(tmp_path, "fs/elf.service/node", procs="17")
    base = look(tmp_path, "elf.service/node")
    assert base == tmp_path / "fs" / "elf.service"
    group = cpu_group(base, "f.a-1", 1.5)
    assert (base / "cgroup.subtree_control").read_text() == "+cpu"
    assert group == base / "elf.f.a-1"
    assert (group / "cpu.max").read_text() == "150000 100000\n"
    assert (cpu_group(base, "f.a-1", 0.25) / "cpu.max").read_text() == "25000 100000\n"


def test_without_the_controller_or_with_processes_beside_it_there_is_no_group(tmp_path: Path) -> None:
    tree(tmp_path, "fs", procs="1")
    tree(tmp_path, "fs/a", procs="17")
    assert look(tmp_path, "a") is None
    tree(tmp_path, "fs/a", controllers="memory")
    assert look(tmp_path, "a") is None
    tree(tmp_path, "fs/a", subtree="cpu", procs="17")
    assert look(tmp_path, "a") == tmp_path / "fs" / "a"
    (tmp_path / "none").write_text("")
    assert cpu_base(tmp_path / "none", tmp_path / "none") is None


def refused(folder: Path, more: str) -> str:
    with pytest.raises(ConfigErrors) as caught:
        forest_of(folder, B + more)
    (line,) = str(caught.value).splitlines()
    return line


def test_what_this_machine_cannot_do_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config_rules, "cpu_base", lambda: None)
    line = refused(tmp_path, "cpu_limit = 0.5\n")
    assert "workers[0].cpu_limit: expected a cgroup (version 2) with the cpu controller" in line
    monkeypatch.setattr(config_rules, "cpu_base", lambda: tmp_path)
    assert forest_of(tmp_path, B + "cpu_limit = 0.5\n").workers[0].cpu_limit == 0.5
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY.pw_uid)
    assert forest_of(tmp_path, B + "user = 'nobody'\n").workers[0].user == "nobody"
    line = refused(tmp_path, "user = 'daemon'\n")
    assert 'workers[0].user: expected a node that runs as root, got "daemon"; try leaving user out' in line
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10, 20))
    assert too_high("nofile", -1) == too_high("nofile", 21) == 20
    assert too_high("nofile", 20) is None
    line = refused(tmp_path, "rlimits = { nofile = 21 }\n")
    assert "workers[0].rlimits.nofile: expected at most this node's own limit of 20, got 21" in line


def test_missing_tools_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert "workers[0].rlimits: expected prlimit on PATH, got none" in refused(
        tmp_path, "rlimits = { cpu = 9 }\n"
    )
    assert "workers[0].user: expected setpriv on PATH, got none" in refused(tmp_path, "user = 'nobody'\n")
    with pytest.raises(FileNotFoundError, match="expected prlimit of util-linux on PATH"):
        confinement.tool("prlimit")

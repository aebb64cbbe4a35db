"""A supervisord.conf as it is found in the wild becomes a forest that runs, and what it lost is said line by line."""

import os
import shutil
from pathlib import Path

import pytest

from actors.config_reader import read_forest
from actors.supervisord_forest import Imported
from actors.supervisord_reader import Unreadable
from tests.faces.console import Elf, running, until

HERE = Path(__file__).parent
ENVIRON = {"PATH": "/usr/bin:/bin"}
UNSET = "is not set here; try setting it and importing again"
UNQUOTED = (
    "expected a command whose quotes end, got no closing quotation;"
    " supervisord cuts a command at ' ;', try a script of its own"
)


@pytest.fixture
def elf(capsys: pytest.CaptureFixture[str]) -> Elf:
    """The command line."""
    return Elf(capsys)


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """Return the shop's configuration in a folder of its own."""
    shutil.copy(HERE / "supervisord.conf", tmp_path)
    shutil.copytree(HERE / "conf.d", tmp_path / "conf.d")
    (tmp_path / "site").mkdir()
    return tmp_path / "supervisord.conf"


def told(folder: Path, text: str) -> list[str]:
    """Import a configuration and return its notes."""
    path = folder / "s.conf"
    path.write_text(text)
    return [str(note).replace(str(path), "s.conf") for note in Imported(path, ENVIRON).notes]


def test_twenty_programs_are_imported_and_run(conf: Path, elf: Elf) -> None:
    target = conf.with_name("forest.toml")
    done = elf("import", str(conf), "--output", str(target), "--json")
    assert done.code == 0, done
    assert (done.json["programs"], done.json["workers"]) == (20, 21)
    assert target.stat().st_mode & 0o777 == 0o600  # it holds what looks like a secret
    again = elf("import", str(conf), "--output", str(target))
    assert (again.code, again.err.partition(", ")[2]) == (2, "got one; try --output another.toml\n")
    text = target.read_text().replace("[node]\n", "[node]\nsample_s = 0.2\n") + "\n[web]\nenabled = false\n"
    with running(conf.parent, text) as node:
        elf.data = node.data
        wanted = [unit for it in read_forest(node.config).workers for unit in it.units()[: it.min]]
        assert len(wanted) == 20
        until(lambda: set(wanted) <= set(alive(elf)), f"{wanted} to run")
        web = Path(f"/proc/{alive(elf)['web_02']}")
        assert (web / "cmdline").read_text().split("\0")[:2] == ["sleep", "1002"]
        env = dict(pair.split("=", 1) for pair in (web / "environ").read_text().split("\0") if pair)
        assert (env["PORT"], env["DEBUG"], env["APP_ENV"]) == ("8002", "0", "production")
        assert env["SHELL_PATH"] == f"/opt/bin:{os.environ['PATH']}"
        assert (web / "cwd").resolve() == conf.parent / "site"
        seen = conf.parent / "site" / "seen"
        until(lambda: seen.exists() and seen.read_text(), "the words of report")
        assert seen.read_text() == f"production 100% {conf.parent / 'site'}\n"
        assert elf("worker", "scale", "logger", "1").code == 0
        until(lambda: "logger" in alive(elf), "logger to run")


def alive(elf: Elf) -> dict[str, int]:
    """Return who runs, with its pid."""
    rows = elf("status", "--json").json["workers"]
    return {row["name"]: row["pid"] for row in rows if row["state"] == "running"}


def test_what_was_lost_is_said_in_japanese_too(conf: Path, elf: Elf) -> None:
    said = elf("import", str(conf), "--output", str(conf.with_name("forest.toml")), "--lang", "ja")
    assert "プログラム 20、ワーカー 21" in said.out
    assert "[program:mailer] umask: ワーカーの umask はノードのもの / 対処: " in said.out


def test_each_thing_that_was_lost_is_said_with_its_line(conf: Path) -> None:
    imported = Imported(conf, ENVIRON)
    said = [str(note).replace(str(conf.parent), "") for note in imported.notes]
    lines = conf.read_text().splitlines()
    for wanted, text in (
        ("port=127.0.0.1:9001", None),
        ("user=nobody-of-this-name", "no user nobody-of-this-name on this machine"),
        ("umask=022", "a worker has the node's umask"),
        ("directory=/no/such/folder", "no folder /no/such/folder"),
        ("exitcodes=0,2", "is started again"),
        ("command=tail -f", "no shell reads it, | is an argument"),
        ("stdout_syslog=true", "data/logs/ticker.log"),
        ("[program:needs-a-token]", "left out: command: NOWHERE_SET is not set here"),
        ("programs=mailer", "there is no program ghost"),
        ("[eventlistener:memmon]", "stands in the log"),
        ("[fcgi-program:php]", "no socket is opened"),
        ("files = conf.d", "no file matches nowhere/*.ini"),
        ("stdout_logfile=/dev/stdout", "data/logs/web_01.log"),
        ("    SECRET_KEY", None),
    ):
        number = next(at for at, line in enumerate(lines, 1) if line.startswith(wanted))
        if text:
            assert any(f"supervisord.conf:{number}: " in note and text in note for note in said), (
                wanted,
                text,
            )
    assert any("SECRET_KEY looks like a secret" in note for note in said)
    by_name = {made.table["name"]: made.table for made in imported.workers}
    assert by_name["database-proxy"]["stop_signal"] == "INT"
    assert by_name["web_01"]["after"] == ["database-proxy", "cache"]
    assert by_name["web_01"]["restart"] == {"burst": 11}
    assert by_name["queue"]["max"] == 2
    assert by_name["tenant_3"]["command"] == ["sleep", "1023"]
    assert by_name["indexer"]["env"]["INDEX"] == "a,b;c"
    assert by_name["migrate"]["min"] == 0
    assert 'log_size = "20MiB"' in imported.text
    assert "steady_s = 5" in imported.text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("command=x\n", "s.conf:1: expected a section such as [program:web] first, got 'command=x'"),
        ("[program:a]\ncommand=sleep 1\nnonsense\n", "s.conf:3: expected key=value or [section]"),
        ("[supervisord]\n", "s.conf: expected at least one section [program:name], got none"),
        ("", "s.conf: expected at least one section [program:name], got none"),
        ("[include]\nfiles=%(ENV_NO)s/x\n", "s.conf:2: NO is not set here; try setting it"),
        ("[include]\n[program:a]\ncommand=sleep 1\n", "s.conf:1: expected files = "),
    ],
)
def test_what_is_not_supervisord_s_is_refused_with_its_line(tmp_path: Path, text: str, wanted: str) -> None:
    with pytest.raises(Unreadable) as caught:
        told(tmp_path, text)
    assert wanted in str(caught.value).replace(str(tmp_path / "s.conf"), "s.conf")
    (tmp_path / "s.conf").write_bytes(b"[program:a]\ncommand=\xff\n")
    with pytest.raises(Unreadable, match=r":2: expected UTF-8 text, got the byte 0xff"):
        Imported(tmp_path / "s.conf", ENVIRON)


def test_programs_that_cannot_be_are_left_out_and_the_others_stay(tmp_path: Path) -> None:
    text = """
[program:good]
command=sleep 1
startsecs=soon
stopsignal=FLY
autostart=perhaps
colour=green
environment=A=1,B
[program:quoted]
command=bash -c 'sleep 1 ; sleep 2'
[program:none]
directory=/
[program:zero]
command=sleep 1
numprocs=0
[nonsense]
x=1
[program:percent]
command=date +%s
[program:number]
command=sleep %(program_name)d
"""
    said = told(tmp_path, text)
    assert [line for line in said if "left out" in line and "[program:" in line] == [
        "s.conf:7: [program:good] colour: supervisord has no such key, it is left out",
        f"s.conf:9: [program:quoted]: left out: {UNQUOTED}",
        "s.conf:11: [program:none]: left out: expected a command, got none; try command=…",
        "s.conf:13: [program:zero]: left out: expected numprocs of at least 1, got 0; try numprocs=1",
        f"s.conf:18: [program:percent]: left out: command: % alone, which is written %%, {UNSET}",
        f"s.conf:20: [program:number]: left out: command: program_name as a number {UNSET}",
    ]
    for wanted in (
        "s.conf:4: [program:good] startsecs: expected a whole number, got 'soon'; 1 is taken",
        "s.conf:5: [program:good] stopsignal: expected a signal such as TERM, got 'FLY'; TERM is taken",
        "s.conf:6: [program:good] autostart: expected true or false, got 'perhaps'; true is taken",
        's.conf:8: [program:good] environment: expected KEY="value",KEY="value", got \'B\'',
        "s.conf:16: [nonsense]: supervisord has no such section, it is left out",
    ):
        assert wanted in said
    target = tmp_path / "forest.toml"
    target.write_text(Imported(tmp_path / "s.conf", ENVIRON).text)
    assert [worker.name for worker in read_forest(target).workers] == ["good"]


def test_names_that_meet_are_told_apart(tmp_path: Path) -> None:
    names = ("a b", "a.b", "c]\nnumprocs=2\n[program:c", "c-1")
    text = "".join(f"[program:{name}]\ncommand=sleep 1\n" for name in names)
    told(tmp_path, text)
    target = tmp_path / "forest.toml"
    target.write_text(Imported(tmp_path / "s.conf", ENVIRON).text)
    assert [worker.name for worker in read_forest(target).workers] == ["a_b", "a_b_2", "c", "c-1_2"]


def test_no_file_and_no_folder_are_said(tmp_path: Path, elf: Elf) -> None:
    assert "no.conf, got: No such file" in elf.no(2, "import", str(tmp_path / "no.conf"))
    (tmp_path / "s.conf").write_text("[program:a]\ncommand=sleep 1\n")
    target = tmp_path / "no" / "forest.toml"
    assert "expected to use" in elf.no(2, "import", str(tmp_path / "s.conf"), "--output", str(target))

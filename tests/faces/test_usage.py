"""Wrong usage: one line that says what to do, and the exit code that scripts rely on."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faces.console import FOREST, PROGRAM, Elf

ID = "x" * 65


@pytest.fixture
def elf(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Elf:
    """The command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("ELF_DATA", "ELF_NATS", "ELF_LANG", "LANG"):
        monkeypatch.delenv(name, raising=False)
    return Elf(capsys)


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        ("nonsense", 2, 'unknown command "nonsense"; try elf --help'),
        ("statsu", 2, 'unknown command "statsu". Did you mean "status"?; try elf --help'),
        ("tasks --odd", 2, "unknown option"),
        ("tasks --limit x", 2, 'unable to convert "x" into int; try elf tasks --help'),
        ("tasks --limit 0", 2, "expected --limit of at least 1, got 0"),
        ("tasks --state odd", 2, 'Choose from: "waiting"'),
        ("task", 2, "try elf task --help"),
        ("submit", 2, "expected a queue, got none; try elf submit QUEUE --payload JSON, or --file"),
        ("submit q w", 2, "expected one queue, got also 'w'"),
        ("submit q --payload {x", 2, "expected JSON after --payload, got '{x'"),
        ("submit q --file none.jsonl", 2, "expected a file of tasks, got none.jsonl: No such file"),
        ("submit q --file none.jsonl --payload 1", 2, "expected either lines or one task"),
        ("submit q --priority urgent", 2, 'Choose from: "high", "middle", "low"'),
        ("submit --prio high", 2, "unknown option --prio; try elf submit --help"),
        ("top", 2, "expected a terminal, got a pipe; try elf status"),
        ("submit q --payload 1", 4, "expected a forest in data, got no secrets/client.json there"),
        ("status", 4, "try elf node --config forest.toml, or --data DIR"),
        ("status --nats http://x", 2, "expected an address like nats://127.0.0.1:4222, got 'http://x'"),
        ("status --nats nats://127.0.0.1:1", 2, "expected a user in the address"),
        (
            "status --nats nats://client:secret@127.0.0.1:1",
            4,
            "expected a running node at nats://127.0.0.1:1",
        ),
        ("sql --limit 0 SELECT", 2, "expected --limit of at least 1"),
        ("worker stop a/b", 4, "expected a forest"),
        ("worker signal a NONE", 2, "expected the name or number of a signal, got 'NONE'; try HUP or 1"),
        ("logs a", 1, "expected a worker with a log in data/logs, got 'a'; there is none yet"),
        ("logs ../a", 2, "expected worker of 1 to 64 letters"),
        (f"task {ID}", 2, "expected task id of 1 to 64 letters"),
        ("node --check --config none.toml", 2, "none.toml: expected a file"),
        ("log verify", 4, "expected a forest"),
        ("log export out", 4, "expected a forest"),
        ("replay --elf x", 4, "expected a forest"),
    ],
)
def test_one_line_and_a_code(elf: Elf, words: str, code: int, line: str) -> None:
    said = elf.no(code, *words.split())
    assert line in said
    assert len(said.splitlines()) == 1
    assert "secret@" not in said


def test_debug_shows_where_it_came_from(elf: Elf) -> None:
    with pytest.raises(Exception, match="expected a forest"):
        elf("status", "--debug")


def test_init_writes_a_configuration_that_is_fine_and_never_writes_over_one(elf: Elf) -> None:
    assert elf("init", "new").code == 0
    written = Path("new/forest.toml").read_bytes()
    assert (
        elf("node", "--check", "--config", "new/forest.toml").out
        == "new/forest.toml is fine: 2 workers, 1 queues\n"
    )
    assert elf.no(2, "init", "new") == "expected no forest.toml in new, got one; try another folder"
    assert Path("new/forest.toml").read_bytes() == written


def test_check_names_every_error_of_a_configuration(elf: Elf) -> None:
    Path("forest.toml").write_text(FOREST + '\n[[queue]]\nname = "sums"\nmax_attempt = 1\n')
    lines = elf.no(2, "node", "--check").splitlines()
    assert len(lines) == 2
    assert all(line.startswith("forest.toml:") for line in lines)
    said = elf("node", "--check", "--json")
    assert (said.code, said.json) == (2, {"ok": False, "workers": 0, "queues": 0, "errors": lines})


def test_check_as_json(elf: Elf) -> None:
    Path("forest.toml").write_text(FOREST)
    assert elf("node", "--check", "--json").json == {"ok": True, "workers": 3, "queues": 2, "errors": []}


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("nonsense", "expected a JSON object, got: JSON is malformed"),
        ("[1]", "expected 'object', got 'array'"),
        ('{"queue":"q","prio":"high"}', "expected a known key, got 'prio'; try priority"),
        ('{"queue":"q","priority":"urgent"}', "expected priority high, middle or low, got 'urgent'"),
        ('{"queue":3}', "expected 'str', got 'int' - at '$.queue'"),
        ('{"queue":"q","payload":"\udce9"}', "expected a JSON object, got"),
    ],
)
def test_a_bad_line_is_named_by_file_and_line(elf: Elf, line: str, wrong: str) -> None:
    Path("tasks.jsonl").write_bytes(b'{"queue":"q"}\n\n' + line.encode(errors="surrogateescape") + b"\n")
    first, last = elf.no(2, "submit", "--file", "tasks.jsonl").splitlines()
    assert first.startswith(f"tasks.jsonl:3: {wrong}")
    assert last == "nothing was submitted"


def test_lines_come_from_standard_input(elf: Elf, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in (("-",), ("q", "-"), ("--file", "-")):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"{\n")))
        assert elf.no(2, "submit", *words).startswith("standard input:1: expected a JSON object")


def test_a_byte_order_mark_is_no_part_of_the_first_line(elf: Elf) -> None:
    Path("tasks.jsonl").write_bytes(b'\xef\xbb\xbf{"queue":"q"}\r\n\xef\xbb\xbf{"queue":"q"}\n')
    assert elf.no(2, "submit", "--file", "tasks.jsonl").startswith("tasks.jsonl:2: ")


def test_no_lines_are_no_tasks(elf: Elf) -> None:
    Path("tasks.jsonl").write_text("\n\n")
    assert (
        elf.no(2, "submit", "--file", "tasks.jsonl") == "expected at least one task, got none in tasks.jsonl"
    )


def test_many_bad_lines_are_counted(elf: Elf) -> None:
    Path("tasks.jsonl").write_text("x\n" * 30)
    lines = elf.no(2, "submit", "--file", "tasks.jsonl").splitlines()
    assert len(lines) == 22
    assert lines[20:] == ["and 10 more lines", "nothing was submitted"]


def test_the_folder_is_found_where_a_node_has_been(elf: Elf, tmp_path: Path) -> None:
    Path("forest.toml").write_text('[node]\ndata = "here"\n')
    assert "expected a forest in here," in elf.no(4, "status")
    Path("data").mkdir()
    Path("data/node.json").write_text(json.dumps({}))
    assert "expected a forest in data," in elf.no(4, "status")
    assert f"expected a forest in {tmp_path / 'else'}," in elf.no(
        4, "status", "--data", str(tmp_path / "else")
    )


def test_a_configuration_that_somebody_is_at_work_on_still_names_the_folder(elf: Elf) -> None:
    Path("forest.toml").write_text('\ufeff[node]\n  data = "here"\n')
    assert "expected a forest in here," in elf.no(4, "status")
    Path("forest.toml").write_text('[node]\n  data = "here"\nx =\n')
    assert "expected a forest in here," in elf.no(4, "status")
    Path("forest.toml").unlink()
    Path("examples/data").mkdir(parents=True)
    Path("examples/data/node.json").write_text(json.dumps({}))
    Path("examples/forest.toml").write_text("x =\n")
    assert "expected a forest in examples/data," in elf.no(4, "status")


@pytest.mark.parametrize(
    ("words", "language", "code", "line"),
    [
        (
            "node",
            "C",
            2,
            "forest.toml: expected a file that can be read, got no such file or directory; try elf init",
        ),
        ("node", "ja_JP.UTF-8", 2, "forest.toml: 期待: 読めるファイル / 実際: ファイルやフォルダがない"),
        ("node -c b.toml --data c", "C", 1, "expected an empty folder or a node's own in"),
        ("node-process", "C", 2, "expected elf node, got elf node-process; try elf node --help"),
    ],
)
def test_a_node_that_cannot_start_says_so_as_commands_do(
    tmp_path: Path, words: str, language: str, code: int, line: str
) -> None:
    (tmp_path / "b.toml").write_text(FOREST)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "thesis.txt").touch()
    done = subprocess.run(
        [*PROGRAM, *words.split()], capture_output=True, text=True, cwd=tmp_path, env={"LANG": language}
    )
    assert (done.returncode, done.stdout) == (code, ""), done
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_environment_names_the_folder(elf: Elf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELF_DATA", "from_env")
    assert "expected a forest in from_env," in elf.no(4, "status")


def test_the_terminal_dashboard_names_the_extra_it_needs(elf: Elf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textual", None)  # as an import finds it that finds nothing
    assert elf.no(2, "top") == "expected the extra ui, got a bare install; try pip install 'elf-forest[ui]'"


def test_a_node_names_the_folder_that_no_command_finds_by_itself_and_the_tasks_of_its_configuration(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from actors.faces.console.node_process import _welcome

    monkeypatch.chdir(tmp_path)
    for data in ("data", "other"):
        (tmp_path / data).mkdir()
        (tmp_path / data / "node.json").write_text("{}")
    for name, data in (("forest", "data"), ("agents", "other")):
        (tmp_path / f"{name}.toml").write_text(
            f'[node]\ndata = "{data}"\n[[queue]]\nname = "q"\nserve = "dispatch"\n[[agent]]\nname = "A"\n'
        )
    (tmp_path / "agents.jsonl").write_text("")
    _welcome(Path("forest.toml"), None, "nats://here", "")
    usual = capsys.readouterr().err
    assert "--data" not in usual
    assert "submit q --payload" in usual
    _welcome(Path("agents.toml"), None, "nats://here", "")
    named = capsys.readouterr().err
    assert "agent run A --data other --exec COMMAND" in named
    assert "submit --file agents.jsonl --wait --data other" in named
    assert "why A --data other" in named

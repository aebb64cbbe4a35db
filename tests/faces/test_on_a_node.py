"""Every command against a real node with real workers, then against the folder it left."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faces.console import PROGRAM, Elf, Program, Said, running, until


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with running(tmp_path_factory.mktemp("forest")) as program:
        yield program


@pytest.fixture
def elf(capsys: pytest.CaptureFixture[str], node: Program, monkeypatch: pytest.MonkeyPatch) -> Elf:
    monkeypatch.setenv("LANG", "C")
    return Elf(capsys, node.data)


def worker(elf: Elf, name: str, state: str = "running", after: int = 0) -> dict[str, object]:
    """Wait until a worker is in a state, in a later generation than `after`; its row."""

    def look() -> dict[str, object] | None:
        rows = elf("status", "--json").json["workers"]
        row = next((row for row in rows if row["name"] == name), None)
        return row if row and row["state"] == state and row["generation"] > after else None

    found = until(look, f"{name} to be {state}")
    assert found
    return found


def test_the_node_says_what_to_do_next(node: Program) -> None:
    words = node.words()
    assert f"data      {node.data}" in words
    assert "elf submit sums --payload '\"hello\"' --wait" in words
    assert "elf why adder" in words


def test_the_process_that_was_started_is_the_node_without_what_only_commands_need(
    elf: Elf, node: Program
) -> None:
    assert node.process
    assert elf("status", "--json").json["node"]["pid"] == node.process.pid
    mapped = Path(f"/proc/{node.process.pid}/cmdline").read_bytes().split(b"\0")
    assert mapped[2:4] == [b"node-process", os.fsencode(node.config)]
    pid = worker(elf, "ticker")["pid"]
    inherited = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"ELF_UNIT=" in inherited
    assert b"ELF_NODE_ORDER" not in inherited
    assert b"MALLOC_CONF" not in inherited


def test_status_has_the_promised_shape(elf: Elf) -> None:
    worker(elf, "ticker")
    page = elf("status", "--json").json
    node = "id version pid role position nats_url web_url started data"
    row = (
        "name pool pid generation state cpu_percent memory_bytes memory_limit_bytes tasks_processed errors"
        " tasks_per_hour uptime_s restarts mark"
    )
    queue = "name pending in_flight oldest_age_s arrival_per_min done_per_min"
    assert set(node.split()) <= set(page["node"])
    assert all(set(row.split()) <= set(found) for found in page["workers"])
    assert [found["name"] for found in page["workers"]] == ["adder", "sleeper", "ticker"]
    assert all(set(queue.split()) <= set(found) for found in page["queues"])
    elf_row = "name mode mana capacity doing deferred last next watching proposals"
    assert all(set(elf_row.split()) <= set(found) for found in page["elves"])
    assert {"agents", "mana_total", "actions", "alerts", "proposals", "next_reminder", "next_job"} <= set(
        page
    )
    action = "time elf rule choice target text decision mode"
    assert all(set(action.split()) == set(found) for found in page["actions"])


def test_status_for_people_in_two_languages(elf: Elf) -> None:
    worker(elf, "ticker")
    english, japanese = elf("status").out, elf("status", "--lang", "ja").out
    assert re.search(r"^worker +state +CPU +memory +tasks/h", english, re.MULTILINE)
    assert re.search(r"^ticker +✔ running", english, re.MULTILINE)
    assert re.search(r"^healing +act +\d+% +started \w+ (just now|\d+ min ago)$", english, re.MULTILINE)
    assert re.search(r"^total +\d+%$", english, re.MULTILINE)
    assert re.search(r"^  [\d:.]+  healing  started ticker \(ticker is wanted and", english, re.MULTILINE)
    assert re.search(r"^ワーカー名 +状態 +CPU +メモリ +タスク/h", japanese, re.MULTILINE)
    assert re.search(r"^ticker +✔ 稼働中", japanese, re.MULTILINE)
    assert re.search(r"^  [\d:.]+  healing  ticker を起動: 稼働すべきだが停止中", japanese, re.MULTILINE)
    assert re.search(r"^healing +実行 +\d+% +\w+ を起動\((たった今|\d+分前)\)$", japanese, re.MULTILINE)


def test_mana(elf: Elf) -> None:
    page = elf("mana", "--json").json
    assert [found["name"] for found in page["elves"]] == ["flow", "time", "balance", "healing", "wisdom"]
    assert "healing" in elf("mana").out


def test_one_task_with_its_result(elf: Elf) -> None:
    assert elf("submit", "sums", "--payload", "[1, 2, 3]", "--wait").out == "6\n"
    said = elf("submit", "sums", "--payload", "[4]", "--id", "own-id", "--type", "sum", "--wait", "--json")
    assert said.json == {"ids": ["own-id"], "tasks": [{"id": "own-id", "state": "done", "result": 4}]}
    found = elf("task", "own-id", "--json").json
    wanted = {
        "id": "own-id",
        "state": "done",
        "queue": "sums",
        "type": "sum",
        "attempts": 1,
        "worker": "adder",
    }
    assert wanted.items() <= found.items()
    assert (found["result"], found["error"]) == (4, None)
    assert [event["type"] for event in found["events"]] == ["task_submitted", "task_started", "task_finished"]
    assert elf("task", "own-id").out.startswith("task  own-id\nstate  done\nqueue  sums (sum)\n")
    line = elf.no(1, "submit", "sums", "--payload", "[4]", "--id", "own-id")
    assert line.startswith("expected ids that are new, got own-id (last event: task_finished at position")


def test_a_fresh_task_is_shown_at_once(elf: Elf) -> None:
    for number in range(5):
        name = f"fresh-{number}"
        assert elf("submit", "slow", "--id", name).out == f"{name}\n"
        assert elf("task", name, "--json").json["state"] in ("waiting", "running")
        assert elf("task", "cancel", name).code == 0


def test_a_failing_task_is_code_1_with_its_error(elf: Elf) -> None:
    said = elf("submit", "sums", "--payload", '["a"]', "--id", "bad", "--wait")
    assert said.code == 1
    assert said.out == ""
    assert said.err.startswith("bad dead: ")
    found = elf("task", "bad", "--json").json
    assert found["state"] == "dead"
    assert "TypeError" in found["error"]


def test_lines_from_a_file_each_with_its_end(elf: Elf, tmp_path: Path) -> None:
    lines = [{"queue": "sums", "payload": [n, n], "id": f"line-{n}"} for n in range(20)]
    path = tmp_path / "tasks.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in [*lines, {"type": "sums", "payload": [1]}]))
    said = elf("submit", "--file", str(path), "--wait")
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert said.code == 0
    assert said.err == "21 of 21 done\n"
    assert {row["id"]: row["result"] for row in rows if row["id"].startswith("line-")} == {
        f"line-{n}": 2 * n for n in range(20)
    }
    path.write_text('{"queue":"sums","payload":[1],"id":"good"}\n{"queue":"summs"}\n')
    wrong = elf.no(2, "submit", "--file", str(path))
    assert wrong == f"{path}:2: expected a queue of this forest, got 'summs'; try sums\nnothing was submitted"
    assert "expected a task of this forest, got 'good'; try elf tasks" in elf.no(1, "task", "good")


def test_waiting_may_end_before_the_task(elf: Elf) -> None:
    said = elf("submit", "slow", "--id", "long", "--wait", "--wait-timeout", "0.3", "--json")
    assert said.code == 5
    assert said.json == {"ids": ["long"], "tasks": [{"id": "long", "state": "unfinished"}]}
    assert said.err == "expected 1 tasks to end within 0.3 s, got 0; try elf tasks\n"
    assert elf("task", "cancel", "long", "--reason", "enough", "--json").json["id"] == "long"
    assert "expected a task that has not ended, got long: task_cancelled" in elf.no(
        1, "task", "cancel", "long"
    )
    assert "expected a task of this forest, got 'nope'" in elf.no(1, "task", "cancel", "nope")
    until(lambda: elf("task", "long", "--json").json["state"] == "cancelled", "the task to be cancelled")


def test_tasks_by_state_and_queue(elf: Elf) -> None:
    assert elf("submit", "sums", "--payload", "[1]", "--id", "listed", "--wait").code == 0
    until(
        lambda: elf("tasks", "--queue", "sums", "--json").json[0]["state"] == "done", "the tables to follow"
    )
    rows = elf("tasks", "--state", "done", "--queue", "sums", "--json").json
    assert "listed" in [row["id"] for row in rows]
    assert {(row["state"], row["queue"]) for row in rows} == {("done", "sums")}
    assert len(elf("tasks", "-n", "1", "--json").json) == 1
    assert re.search(r"^listed +sums +done +adder +1", elf("tasks").out, re.MULTILINE)


def test_sql_in_three_forms(elf: Elf) -> None:
    query = "SELECT 1 AS number, 'a,b' AS text, [1, 2] AS list"
    assert elf("sql", query).out == "number  text  list\n     1  a,b   [1,2]\n"
    assert elf("sql", query, "--format", "csv").out == 'number,text,list\n1,"a,b","[1,2]"\n'
    assert elf("sql", "SELECT 0.125::DOUBLE AS x, 2.0::DOUBLE AS y").out == "    x  y\n0.125  2\n"
    assert elf("sql", query, "--json").json == [{"number": 1, "text": "a,b", "list": [1, 2]}]
    many = elf("sql", "SELECT * FROM range(10)", "--limit", "3")
    assert (len(many.out.splitlines()), many.err) == (
        4,
        "more rows than 3; try --limit or a LIMIT in the query\n",
    )


@pytest.mark.parametrize(
    "query", ["DELETE FROM log", "SELECT 1; SELECT 2", "COPY log TO '/tmp/x'", "SELECT * FROM nope"]
)
def test_sql_that_is_no_question_is_refused(elf: Elf, query: str) -> None:
    assert len(elf.no(2, "sql", query).splitlines()) <= 2


def test_a_worker_does_what_people_say(elf: Elf) -> None:
    before = worker(elf, "ticker")
    said = elf("worker", "restart", "ticker", "--reason", "new release", "--json").json
    assert (said["worker"], said["intent"]) == ("ticker", "restart")
    again = worker(elf, "ticker", after=int(str(before["generation"])))
    assert again["pid"] != before["pid"]
    assert elf("worker", "stop", "ticker").out.startswith("ticker: stop (position ")
    assert worker(elf, "ticker", "stopped")["pid"] is None
    elf("worker", "start", "ticker")
    worker(elf, "ticker")
    rows = elf("sql", "SELECT intent FROM intents WHERE target = 'ticker' ORDER BY seq", "--json").json
    assert [row["intent"] for row in rows][-3:] == ["run", "stop", "run"]
    line = elf.no(2, "worker", "stop", "tickr")
    assert line == "expected a worker or a pool, got 'tickr'; try ticker"


def test_signals_and_logs(elf: Elf, node: Program) -> None:
    generation = int(str(worker(elf, "ticker")["generation"]))
    until(lambda: elf("logs", "ticker").out.count("tick 2\n") == generation, "its last generation to write")
    assert elf("logs", "ticker", "-n", "1").out == "tick 2\n"
    assert elf("worker", "signal", "ticker", "HUP").out == "ticker: SIGHUP\n"
    until(lambda: "hup heard" in elf("logs", "ticker").out, "the worker to hear the signal")
    assert "expected a unit, got 'nope'" in elf.no(1, "worker", "signal", "nope", "HUP")
    assert elf.no(1, "logs", "tickr").endswith("try ticker")
    with subprocess.Popen(
        [*PROGRAM, "logs", "ticker", "-f"], cwd=node.folder, stdout=subprocess.PIPE
    ) as following:
        assert following.stdout
        assert following.stdout.readline() == b"tick 1\n"
        following.send_signal(signal.SIGINT)
        assert following.wait(60) == 130


def test_why_of_task_worker_and_decision(elf: Elf, monkeypatch: pytest.MonkeyPatch) -> None:
    assert elf("submit", "sums", "--payload", "[1]", "--id", "asked", "--wait").code == 0
    told = elf("why", "asked", "--json").json
    assert (told["kind"], told["id"]) == ("task", "asked")
    assert len(told["lines"]) >= 3
    worker(elf, "ticker")
    assert "ticker" in elf("why", "ticker").out.splitlines()[0]
    (row,) = elf("sql", "SELECT * FROM decisions WHERE target = 'ticker' ORDER BY seq LIMIT 1", "--json").json
    decision = row.get("id") or row["decision"]
    assert elf("why", decision[:12], "--json").json["kind"] == "decision"
    told = elf("why", "ticker", "--lang", "ja").out
    assert re.search(
        r"^ワーカー ticker:稼働中.*を判断:ticker: 稼働すべきだが停止中$.* は成功: プロセス \d+ が稼働$",
        told,
        re.MULTILINE | re.DOTALL,
    )
    assert "expected a task, worker or decision of this forest, got 'nope'" in elf.no(1, "why", "nope")
    monkeypatch.setenv("ELF_LANG", "ja")
    assert "ticker is wanted and does not run" in elf("why", "ticker", "--json").out


def test_the_log_is_whole_and_replays_equal(elf: Elf, tmp_path: Path) -> None:
    found = elf("log", "verify", "--json").json
    assert {"events", "first", "last", "head", "ok", "damage"} <= set(found)
    assert (found["ok"], found["damage"], found["first"]) == (True, [], 1)
    assert found["events"] == found["last"]
    assert any("anchor" in proof["by"] for proof in found["proofs"])
    report = elf("replay", "--json").json
    assert report["decisions"] >= 3
    assert (report["equal"], report["divergences"]) == (report["decisions"], [])
    assert elf("replay").out.startswith(f"{report['events']:,}"[:1])
    assert elf.no(2, "replay", "--elf", "heling").endswith("try healing")
    assert elf("replay", "--elf", "healing", "--from", "1", "--to", "20").code == 0
    moment = elf("replay", "--until", "12", "--json").json
    assert moment["position"] == 12
    assert elf.no(2, "replay", "--until", "soon").startswith("expected a position or a time after --until")
    assert elf("replay", "--until", "2030-01-01T00:00", "--json").json["position"] >= report["events"]
    path = tmp_path / "log.jsonl"
    count = elf("log", "export", str(path), "--to", "50", "--json").json["events"]
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["position"] for row in rows] == list(range(1, 51))
    assert count == 50
    assert rows[0]["event"]["body"]["type"] == "lease_taken"
    assert "expected a new file" in elf.no(2, "log", "export", str(path))


def test_tail_shows_the_last_and_follows(elf: Elf, node: Program) -> None:
    rows = [json.loads(line) for line in elf("log", "tail", "-n", "3", "--json").out.splitlines()]
    assert len(rows) == 3
    assert [row["position"] for row in rows] == list(range(rows[0]["position"], rows[0]["position"] + 3))
    elf("submit", "sums", "--payload", "[1]", "--wait")
    some = elf(
        "log", "tail", "-n", "2", "--filter", "log.*.*.task.sums.*.submitted", "--json"
    ).out.splitlines()
    assert {json.loads(line)["event"]["body"]["type"] for line in some} == {"task_submitted"}
    command = [*PROGRAM, "log", "tail", "-f", "-n", "0", "--filter", "log.*.*.task.sums.>", "--json"]
    with subprocess.Popen([*command, "--data", str(node.data)], stdout=subprocess.PIPE) as following:
        assert following.stdout
        os.set_blocking(following.stdout.fileno(), False)
        heard: list[str] = []

        def look() -> bool:
            elf("submit", "sums", "--payload", "[2]", "--wait")
            assert following.stdout
            heard.extend(line.decode() for line in following.stdout.readlines())
            return len(heard) >= 3

        until(look, "the followed events")
        following.send_signal(signal.SIGINT)
        assert following.wait(60) == 130
    positions = [json.loads(line)["position"] for line in heard]
    assert positions == sorted(set(positions))


def test_doctor_finds_everything_in_order(elf: Elf, node: Program) -> None:
    said = elf("doctor", "--json")
    checks = {check["name"]: check for check in said.json["checks"]}
    assert (said.code, said.json["ok"]) == (0, True), said
    assert {"python", "nats-server", "pidfd", "subreaper", "data", "free space", "holes", "secrets"} <= set(
        checks
    )
    assert checks["node"]["level"] == checks["keeper"]["level"] == checks["actors"]["level"] == "ok"
    assert "adder" in checks["keeper"]["text"]
    (node.data / "secrets" / "client.json").chmod(0o644)
    try:
        bad = elf("doctor")
        assert bad.code == 1
        assert re.search(
            r"^fail secrets +expected mode 0600.*; try chmod 600 .*client.json$", bad.out, re.MULTILINE
        )
    finally:
        (node.data / "secrets" / "client.json").chmod(0o600)


def test_an_address_is_enough(
    elf: Elf, node: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    known = json.loads((node.data / "secrets" / "client.json").read_text())
    address = known["url"].replace("nats://", f"nats://client:{known['password']}@")
    page = elf("status", "--json", "--nats", address, data=False).json
    assert page["node"]["id"] == "t"
    assert elf.no(2, "logs", "ticker", "--nats", address, data=False).startswith("expected a data folder")


def test_output_ends_quietly_when_nobody_reads_on(node: Program) -> None:
    with subprocess.Popen(
        [*PROGRAM, "sql", "SELECT * FROM range(100000)", "-n", "20000", "--data", str(node.data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as reading:
        assert reading.stdout
        assert reading.stderr
        reading.stdout.readline()
        reading.stdout.close()
        assert reading.wait(60) == 0
        assert b"Traceback" not in reading.stderr.read()


def answers(elf: Elf) -> list[Said]:
    """What a folder says of itself, node or not."""
    asked = ("SELECT id, state, attempts FROM tasks ORDER BY id", "SELECT count(*) AS n FROM decisions")
    said = [elf("sql", query, "--json") for query in asked]
    return [*said, elf("tasks", "--json", "-n", "1000"), elf("why", "ticker", "--json")]


def test_the_stopped_folder_answers_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "C")
    with running(tmp_path) as program:
        elf = Elf(capsys, program.data)
        worker(elf, "ticker")
        worker(elf, "adder")
        assert elf("submit", "sums", "--payload", "[1, 2]", "--id", "kept", "--wait").out == "3\n"
        until(lambda: elf("task", "kept", "--json").json["state"] == "done", "the tables to follow")
        alive = answers(elf)
        assert program.stop() == 0
        stopped = answers(elf)
        assert [said.json for said in stopped[:3]] == [said.json for said in alive[:3]]
        assert stopped[3].json["lines"][: len(alive[3].json["lines"])] == alive[3].json["lines"]
        assert elf("task", "kept", "--json").json["result"] == 3
        verdict = elf("log", "verify", "--json").json
        assert (verdict["ok"], verdict["source"]) == (True, str(program.data / "warehouse.duckdb"))
        assert elf("replay", "--json").json["divergences"] == []
        assert "node_stopped" in elf("log", "tail", "-n", "1").out
        assert elf("log", "export", str(tmp_path / "log.jsonl"), "--json").json["events"] == verdict["events"]
        assert "got no answer; try elf node" in elf.no(4, "status")
        assert elf("doctor").code == 0
        anchor = program.data / "anchor.json"
        kept = json.loads(anchor.read_text())
        anchor.write_text(json.dumps(kept | {"position": kept["position"] + 5}))
        lost = elf("log", "verify")
        assert lost.code == 3
        assert f"damaged from {kept['position'] + 1} to {kept['position'] + 5}: lost" in lost.out
        anchor.write_text(json.dumps(kept | {"head": "0" * 32}))
        changed = elf("log", "verify", "--json")
        assert (changed.code, changed.json["ok"]) == (3, False)
        assert changed.json["damage"][0]["what"].startswith("changed: ")
        anchor.write_text(json.dumps(kept))

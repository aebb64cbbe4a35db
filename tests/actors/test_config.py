"""What is right in forest.toml is read whole, and what policies read of it changes only when it should."""

import sys
from pathlib import Path

import msgspec
import pytest

from tests.actors.forests import GOOD, A, B, forest_of


def test_a_good_file_is_read_with_its_defaults(tmp_path: Path) -> None:
    forest = forest_of(tmp_path, GOOD)

    a, b = forest.workers
    assert (a.call, a.queue, a.cwd, a.max, a.stop_signal) == (
        "pkg.mod:run",
        "q1",
        str(tmp_path.resolve()),
        1,
        "TERM",
    )
    assert (b.command, b.after) == (("python3", "-V"), ("a",))
    assert forest.node.data == str(tmp_path.resolve() / "data")
    assert forest.log.sync == "always"


def test_every_name_of_the_whole_product_is_accepted(tmp_path: Path) -> None:
    forest = forest_of(
        tmp_path,
        GOOD
        + """
max = 4
memory_limit = "500MB"
stop_signal = "SIGINT"
night = { from = "22:00", to = "06:00", max = 1 }
managed_config = [{ path = "b.toml", check = ["true"] }]
notice_file = "b.notice"
rlimits = { nofile = 4096 }
restart = { burst = 3 }
env = { HOME = "${HOME}", LITERAL = "$5" }
[log]
sync = "1h30m"
redact = ['token=\\S+']
[[agent]]
name = "CC01"
skills = ["design", "review"]
priorities = ["high", "middle"]
fallback = 1
wip = 2
restart = ["ssh", "cc01", "restart"]
owner = "a person"
[policy]
distribution = "pull_best"
parameters = { weight = 0.9 }
[[reminder]]
worker = "a"
when = "月曜 10:00"
text = "週次集計"
[[job]]
name = "watch"
every = "weekly mon 10:00"
command = ["true"]
kind = "types"
on_failure = "escalate"
[notify.task_elder]
webhook = "http://127.0.0.1:1/x"
[github]
repo = "owner/name"
token_env = "GITHUB_TOKEN"
[web]
host = "::1"
port = 0
[[elf]]
name = "healing"
mode = "advise"
rules = { memory = "act" }
mana = { capacity = 50 }
[kpi]
targets = { "完了率" = 0.95 }
""",
        {"HOME": "/root"},
    )

    worker = forest.workers[1]
    assert (worker.memory_limit, worker.stop_signal, worker.units()) == (
        500_000_000,
        "INT",
        ("b-1", "b-2", "b-3", "b-4"),
    )
    assert worker.notice_file == str(tmp_path.resolve() / "b.notice")
    assert worker.night is not None
    assert (worker.night.start, worker.night.end) == ("22:00", "06:00")
    assert (worker.restart.burst, worker.restart.window_s) == (3, 600.0)
    assert forest.reminders[0].when == "月曜 10:00"
    assert forest.kpi.targets == {"完了率": 0.95}
    assert (
        forest.elves[0].mana.capacity,
        forest.elves[0].mana.start,
        forest.elves[0].mana.refill_per_hour,
    ) == (50, 50, 60)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("'500MB'", 500 * 10**6),
        ("'1GiB'", 2**30),
        ("'1.5 kib'", 1536),
        ("'2g'", 2 * 10**9),
        ("'7'", 7),
        ("4096", 4096),
    ],
)
def test_sizes_are_decimal_or_binary_as_written(text: str, size: int, tmp_path: Path) -> None:
    assert forest_of(tmp_path, B + f"memory_limit = {text}\n").workers[0].memory_limit == size


def test_relative_paths_count_from_the_files_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "conf"
    (inner / "bin").mkdir(parents=True)
    (inner / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.chdir("/")
    text = A + "python = 'bin/python'\ncwd = '..'\n" + B.replace("['true']", "['bin/tool', 'x/y']")

    a, b = forest_of(inner, text).workers

    assert a.python == str(inner.resolve() / "bin" / "python"), "the link of a virtual environment is kept"
    assert a.cwd == str(tmp_path.resolve())
    assert b.command == (str(inner.resolve() / "bin" / "tool"), "x/y")


def test_policies_read_limits_queues_first_units_and_five_elves(tmp_path: Path) -> None:
    forest = forest_of(
        tmp_path,
        GOOD + "min = 2\nmax = 3\n[limits]\nhigh_load = 70\n[[elf]]\nname = 'time'\nmode = 'observe'\n",
    )

    policy = forest.settings(b"key")

    assert (policy.node, policy.limits.high_load, policy.limits.queue_backlog) == ("n1", 70.0, 100)
    assert [(queue.name, queue.serve) for queue in policy.queues] == [("q1", "pull"), ("q2", "dispatch")]
    assert [worker.units for worker in policy.workers] == [("a",), ("b-1", "b-2")]
    assert policy.workers[1].after == ("a",)
    assert [(elf.name, elf.mode) for elf in policy.elves] == [
        ("flow", "act"),
        ("time", "observe"),
        ("balance", "act"),
        ("healing", "act"),
        ("wisdom", "act"),
    ]
    assert [elf.mana.refill_per_hour for elf in policy.elves] == [120, 120, 120, 60, 20]
    assert {(elf.mana.start, elf.mana.capacity) for elf in policy.elves} == {(80, 100)}
    assert msgspec.json.decode(msgspec.json.encode(policy), type=type(policy)) == policy


NEW_PROCESS = {
    "another function": ("m:f", "m:g"),
    "another variable": ("call =", "env = { B = 'x' }\ncall ="),
    "another time-out of its queue": ("name = 'q'\n", "name = 'q'\ntimeout_s = 5\n"),
    "another concurrency": ("call =", "concurrency = 2\ncall ="),
    "another time zone": ("[[queue]]", "[node]\ntimezone = 'Asia/Tokyo'\n[[queue]]"),
}
SAME_PROCESS = {
    "another memory limit": ("call =", "memory_limit = '1GB'\ncall ="),
    "another most": ("call =", "max = 5\ncall ="),
    "another signal": ("call =", "stop_signal = 'INT'\ncall ="),
    "another restart rule": ("call =", "restart = { burst = 9 }\ncall ="),
    "a comment": ("call =", "# words\ncall ="),
}


def test_what_a_plain_program_is_to_say_needs_no_new_process(tmp_path: Path) -> None:
    before = forest_of(tmp_path, B).settings(b"key").workers[0]
    after = forest_of(tmp_path, B + "ready_s = 60\nbeat_s = 5\n").settings(b"key").workers[0]
    assert (before.ready_s, before.beat_s, after.ready_s, after.beat_s) == (0, 0, 60, 5)
    assert after.launch == before.launch


@pytest.mark.parametrize(
    ("change", "new"),
    [(c, True) for c in NEW_PROCESS.values()] + [(c, False) for c in SAME_PROCESS.values()],
    ids=[*NEW_PROCESS, *SAME_PROCESS],
)
def test_the_launch_digest_changes_with_what_needs_a_new_process(
    change: tuple[str, str], new: bool, tmp_path: Path
) -> None:
    before = forest_of(tmp_path, A).settings(b"key").workers[0].launch
    after = forest_of(tmp_path, A.replace(*change)).settings(b"key").workers[0].launch

    assert (before != after) is new


def test_a_secret_counts_in_the_digest_and_cannot_be_guessed_from_it(tmp_path: Path) -> None:
    forest = forest_of(tmp_path, A + "env = { TOKEN = '${TOKEN}' }\n", {"TOKEN": "one"})

    first = forest.settings(b"key", {"TOKEN": "one"})

    assert forest.settings(b"key", {"TOKEN": "one"}) == first
    assert forest.settings(b"key", {"TOKEN": "two"}).workers[0].launch != first.workers[0].launch
    assert forest.settings(b"other key", {"TOKEN": "one"}).workers[0].launch != first.workers[0].launch
    assert b"TOKEN" not in msgspec.json.encode(first)

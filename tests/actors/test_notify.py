"""What plain programs say on their pipes: what is understood, what is only counted, and that nobody hangs on one."""

import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from actors.ear import Ear
from actors.executor_orders import Alive
from actors.notify_lines import LONGEST_LINE, LONGEST_WORDS, Lines, Said
from actors.notify_pipes import make_pipe, open_pipe, pipe_of
from actors.process import Identity, Process
from events.event import Event
from events.observations import WorkerReady, WorkerSpoke
from tests.victims import Bench, bench, ended, hold, until


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"READY\n", Said(ready=True, alive=True)),
        (b"BEAT\r\n", Said(alive=True)),
        (b"PROGRESS order-7\n", Said(alive=True, progress="order-7")),
        (b"STATUS serves 3 people\n", Said(alive=True, words="serves 3 people")),
        (b"STATUS one\nSTATUS two\nSTATUS\n", Said(alive=True, words="")),
        (b"\n \n", Said()),
        (b"READY other\nready\n\xff\x00\nWATCHDOG=1\n", Said(unheard=4)),
        (b"STATUS \xe6\x97\xa5\xe6\x9c\xac \xff\n", Said(alive=True, words="日本 \N{REPLACEMENT CHARACTER}")),
    ],
)
def test_four_words_are_understood_and_everything_else_is_counted(data: bytes, said: Said) -> None:
    assert Lines().take(data) == said


def test_a_line_may_come_in_pieces_and_an_endless_one_is_given_up_once() -> None:
    lines = Lines()
    assert lines.take(b"REA") == lines.take(b"") == Said()
    assert lines.take(b"DY\nBE") == Said(ready=True, alive=True)
    assert lines.take(b"AT\n") == Said(alive=True)
    assert lines.take(b"x" * (LONGEST_LINE + 1)) == Said(unheard=1)
    for _ in range(1000):
        assert lines.take(b"READY " * 1000) == Said()
    assert len(lines._rest) <= LONGEST_LINE
    # What follows the long line is a line of its own again.
    assert lines.take(b"READY\nBEAT\n") == Said(alive=True)


def test_of_a_flood_the_first_and_the_last_lines_are_read() -> None:
    said = Lines().take(b"READY\n" + b"BEAT\n" * 10_000 + b"STATUS last\n")
    assert said == Said(ready=True, alive=True, words="last", unheard=9_002, flood=True)


def test_words_are_one_short_line_without_secrets_and_without_what_steers_a_terminal() -> None:
    secret = [r"token=\S+"]
    said = Lines().take(
        b"STATUS a\x1b[31mb\xe2\x80\xaec\x07  token=s3cret" + b" d" * 500 + b"\nPROGRESS token=x\n", secret
    )
    assert said.words is not None
    assert said.words.startswith("a [31mb c *** d d")
    assert len(said.words) == LONGEST_WORDS
    assert said.progress == "***"


class Pen:
    """A journal that keeps what it is given."""

    def __init__(self) -> None:
        self.said: list[Event] = []

    def write(self, *bodies: Event, **_: Any) -> None:
        self.said += bodies


class Hearing:
    """An ear on a folder of its own."""

    def __init__(self, data: Path) -> None:
        self.data, self.pen = data, Pen()
        self.beats: list[tuple[str, int]] = []
        self.ear = Ear(data, cast(Any, self.pen), lambda *beat: self.beats.append(beat), lambda: ("s3cret",))

    def follow(self, **generations: int) -> None:
        self.ear.follow(
            {unit: Alive(number, Identity("boot", 100 + number, 1)) for unit, number in generations.items()}
        )

    def write(self, unit: str, text: str) -> None:
        pipe_of(self.data, unit).write_text(text)

    def words(self) -> list[str]:
        return [body.words for body in self.pen.said if isinstance(body, WorkerSpoke)]


@contextmanager
def hearing(data: Path) -> Iterator[Hearing]:
    made = Hearing(data)
    (data / "run").mkdir()
    try:
        yield made
    finally:
        made.ear.close()


def test_each_generation_is_heard_on_a_pipe_of_its_own_and_ready_is_written_once(tmp_path: Path) -> None:
    with hearing(tmp_path) as here:
        make_pipe(pipe_of(tmp_path, "a"))
        assert stat.S_IMODE(pipe_of(tmp_path, "a").stat().st_mode) == 0o600
        here.follow(a=1, none=1)
        here.write("a", "READY\nREADY\n")
        until(lambda: here.pen.said)
        old = os.open(pipe_of(tmp_path, "a"), os.O_RDWR)
        make_pipe(pipe_of(tmp_path, "a"))
        here.follow(a=2)
        here.write("a", "READY\nSTATUS my s3cret is safe\n")
        until(here.words)
        # What a leftover of the old generation says reaches nobody.
        os.write(old, b"STATUS old\n")
        os.close(old)
        here.write("a", "BEAT\n")
        until(lambda: len(here.beats) >= 3)
        assert here.pen.said == [
            WorkerReady(unit="a", generation=1, pid=101),
            WorkerReady(unit="a", generation=2, pid=102),
            WorkerSpoke(unit="a", generation=2, words="my *** is safe"),
        ]
        assert set(here.beats) == {("a", 1), ("a", 2)}


def test_words_that_change_all_the_time_are_written_rarely_and_garbage_harms_nobody(tmp_path: Path) -> None:
    with hearing(tmp_path) as here:
        for unit in ("loud", "calm"):
            make_pipe(pipe_of(tmp_path, unit))
        begun = time.monotonic()
        here.follow(loud=1, calm=1)
        for number in range(300):
            here.write("loud", f"STATUS {number}\nPROGRESS {number}\n" + "junk\n" * 50)
        here.write("calm", "STATUS fine\n")
        until(lambda: "fine" in here.words())
        seconds = time.monotonic() - begun
        assert 2 <= len(here.words()) <= 2 + seconds // 10


def test_only_a_fifo_is_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("READY\n")
    make_pipe(tmp_path / "run" / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "run" / "pipe")
    assert (
        open_pipe(tmp_path / "file") is open_pipe(tmp_path / "link") is open_pipe(tmp_path / "none") is None
    )


FLOOD = """
import os, sys
with open(os.environ["ELF_NOTIFY"], "w") as pipe:
    print("OPEN", flush=True)
    pipe.write("BEAT\\n" * 40_000)
print("THROUGH", flush=True)
sys.stdin = os.fdopen(os.open(sys.argv[1], os.O_RDONLY))
sys.stdin.read()
with open(os.environ["ELF_NOTIFY"], "w") as pipe:
    pipe.write("BEAT\\n")
print("AGAIN", flush=True)
"""


def test_nobody_hangs_on_a_pipe_while_no_node_reads_it(tmp_path: Path) -> None:
    with bench(tmp_path / "run") as run:
        keeper = run.keeper()
        path, gate = tmp_path / "run" / "notify" / "u", tmp_path / "gate"
        make_pipe(path)
        os.mkfifo(gate)
        env = {**run.request("u", []).env, "ELF_NOTIFY": str(path)}
        program = [sys.executable, "-I", "-S", "-c", FLOOD, str(gate)]
        process = hold(run.start(keeper, "u", program, env=env, notify=str(path)))
        # 200 KB through a pipe of 64 KiB: the keeper makes room.
        run.said("u", "THROUGH")
        _without(run)
        # Without a keeper the program itself holds its pipe open.
        gate.write_text("")
        run.said("u", "AGAIN")
        with process:
            assert ended(process)


def _without(run: Bench) -> None:
    """Kill the keeper, not its units."""
    process = Process.open(run.keepers[0].identity)
    assert process is not None
    with process:
        process.signal(9)
        assert ended(process)

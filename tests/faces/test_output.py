"""Tables line up in Japanese too, and nothing that a worker wrote can steer the terminal."""

from datetime import UTC, datetime

import pytest

from actors.faces.console.options import language
from actors.faces.console.output import clock, show_table, size, span, width
from actors.faces.console.words import say


def test_columns_line_up_with_double_width_letters(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(
        ["ワーカー名", "状態", "タスク/h"], [["a", "稼働中", 12], ["エルフ", "stopped", 3]], numbers=(2,)
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "ワーカー名  状態     タスク/h",
        "a           稼働中         12",
        "エルフ      stopped         3",
    ]
    assert len({width(line) for line in lines}) == 1


def test_control_letters_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(["error"], [["\x1b[2Jgone\nnext"]])
    assert capsys.readouterr().out == "error\n [2Jgone next\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.04, "0.0s"), (9.5, "9.5s"), (59, "59s"), (61, "1m 01s"), (7262, "2h 01m")],
)
def test_spans(seconds: float | None, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("bytes_", "text"), [(None, "-"), (512, "512 B"), (50 * 2**20, "50 MiB"), (3 * 2**30, "3.0 GiB")]
)
def test_sizes(bytes_: int | None, text: str) -> None:
    assert size(bytes_) == text


def test_times_are_local_whatever_they_come_as() -> None:
    moment = datetime(2026, 1, 1, 12, 30, 1, 250_000, UTC)
    micros = int(moment.timestamp() * 1e6)
    wanted = moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") + ".250"
    assert clock(micros) == clock(moment) == clock("2026-01-01T12:30:01.250000") == wanted
    assert clock(None) == "-"


def test_language_is_asked_for_or_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "ja_JP.UTF-8")
    monkeypatch.delenv("ELF_LANG", raising=False)
    assert language(None) == "ja"
    monkeypatch.setenv("ELF_LANG", "en")
    assert language(None) == "en"
    assert language("ja") == "ja"
    assert (say("state", "ja"), say("state", "en"), say("anything", "ja")) == ("状態", "state", "anything")

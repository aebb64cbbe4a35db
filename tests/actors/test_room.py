"""The watch over free space, step by step: when it stands by, when it goes on, when it helps the server up."""

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from actors.room import Room, Said
from events.observations import Resumed, StoodBy

Usage = namedtuple("Usage", "total used free")
MIB = 1 << 20


class Hands:
    """Hands that remember."""

    def __init__(self) -> None:
        self.did: list[object] = []
        self.said: list[Said] = []

    def write(self, body: StoodBy | Resumed, said: Said) -> None:
        self.did.append(body)
        self.said.append(said)

    def restart_server(self, by_force: bool) -> None:
        self.did.append(("restart", by_force))

    def limit(self, spare: int) -> None:
        self.did.append(("limit", spare))

    def resumed(self) -> None:
        self.did.append("resumed")


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Room, Hands]:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(80 * MIB, 0, 80 * MIB))
    hands = Hands()
    return Room(tmp_path, "n", hands), hands


def test_the_log_is_limited_and_ballast_lies_there_while_there_is_room(
    watch: tuple[Room, Hands], tmp_path: Path
) -> None:
    made, hands = watch
    assert made.reserve == 10 * MIB
    made._look(40 * MIB)
    made._look(39 * MIB)
    assert hands.did == [("limit", 35 * MIB)]
    assert (tmp_path / "ballast").stat().st_blocks * 512 >= made.reserve // 4


def test_it_stands_by_once_gives_the_ballast_up_and_comes_back_with_a_margin(
    watch: tuple[Room, Hands], tmp_path: Path
) -> None:
    made, hands = watch
    made._look(40 * MIB)
    hands.did.clear()
    made._look(9 * MIB)
    made._look(8 * MIB)
    assert made.standing_by
    assert hands.did == [StoodBy(node="n", reason="disk full", free=9 * MIB)]
    assert (tmp_path / "ballast").exists()
    made._look(MIB)
    assert not (tmp_path / "ballast").exists()
    # Room for the ballast must be there too.
    made._look(13 * MIB)
    assert len(hands.did) == 1
    made._look(16 * MIB)
    assert len(hands.did) == 1
    hands.said[0](True)
    made._look(16 * MIB)
    made._look(16 * MIB)
    assert hands.did[1:] == [Resumed(node="n", free=16 * MIB)]
    hands.said[-1](True)
    made._look(16 * MIB)
    assert hands.did[2:] == ["resumed"]
    assert not made.standing_by


def test_a_refused_word_is_said_again_and_a_silent_server_started_again(
    watch: tuple[Room, Hands], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, hands = watch
    now = 100.0
    monkeypatch.setattr("actors.room.time.monotonic", lambda: now)
    made._look(MIB)
    made._look(40 * MIB)
    now += 6
    made._look(40 * MIB)
    assert hands.did[1:] == [("restart", False)]
    hands.did.pop()
    hands.said[-1](False)
    made._look(40 * MIB)
    hands.said[-1](False)
    made._look(40 * MIB)
    assert [type(one) for one in hands.did] == [StoodBy, Resumed, Resumed]
    for expected in (True, True):
        made._look(40 * MIB)
        now += 6
        made._look(40 * MIB)
        assert hands.did[-1] == ("restart", expected)
    hands.said[-1](True)
    made._look(40 * MIB)
    assert hands.did[-1] == "resumed"

"""The anchor file: whole or absent, never guessed."""

import os
from pathlib import Path

import pytest

from projections import anchor
from projections.anchor import Anchor, AnchorUnreadable
from projections.chain import Chain


def an_anchor(position: int = 7) -> Anchor:
    return Anchor(position=position, head="ab" * 16, count=position, time=1)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = anchor.path_in(tmp_path)
    assert anchor.read(path) is None
    anchor.write(path, an_anchor())
    anchor.write(path, an_anchor(8))
    assert anchor.read(path) == an_anchor(8)
    assert os.listdir(tmp_path) == ["anchor.json"]


def test_an_anchor_says_what_its_chain_is(tmp_path: Path) -> None:
    chain = Chain()
    chain.push(1, b"x")
    made = anchor.of(chain, 5)
    anchor.write(tmp_path / "a", made)
    read = anchor.read(tmp_path / "a")
    assert read is not None
    assert Chain(read.position, bytes.fromhex(read.head), read.count) == chain


def test_a_write_that_dies_halfway_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = anchor.path_in(tmp_path)
    anchor.write(path, an_anchor())

    def die(handle: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", die)
    with pytest.raises(OSError, match="no space"):
        anchor.write(path, an_anchor(9))
    assert anchor.read(path) == an_anchor()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b'{"position":1}',
        b'{"position":1,"head":"zz","count":1,"time":1}',
        b'{"position":1,"head":"ab","count":1,"time":1}',
    ],
)
def test_a_file_that_holds_no_anchor_is_named(tmp_path: Path, raw: bytes) -> None:
    path = anchor.path_in(tmp_path)
    path.write_bytes(raw)
    with pytest.raises(AnchorUnreadable, match=str(path)):
        anchor.read(path)

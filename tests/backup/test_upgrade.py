"""Data folders of every recorded release live on: restored, upgraded, replayed, and a node works on them."""

import json
from pathlib import Path

import duckdb
import msgspec
import pytest

from actors.policies import POLICIES
from actors.upgrade import FOLDS, UpgradeRefused, survey
from tests.archive.folder import elf, verified, whole
from tests.archive.test_archive import seen
from tests.backup.test_backup import manifest, members
from tests.real_node import RealNode

RELEASES = sorted((Path(__file__).parents[1] / "releases").glob("*.tar"))


@pytest.fixture
async def restored(tmp_path: Path) -> Path:
    code, _, err = await elf("restore", RELEASES[0], tmp_path / "data")
    assert code == 0, err
    return tmp_path / "data"


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.stem)
async def test_a_recorded_release_is_restored_replayed_and_worked_on(release: Path, tmp_path: Path) -> None:
    found = manifest(members(release))
    data = tmp_path / "data"
    code, _, err = await elf("restore", release, data)
    assert code == 0, err
    code, _, err = await elf("upgrade", "--data", data)
    assert code == 0, err
    after = await verified(data)
    assert (after["ok"], after["last"], after["head"]) == (True, found["last"], found["head"])
    code, out, err = await elf("replay", "--json", "--data", data)
    assert code == 0, err
    report = json.loads(out)
    # What it decided is decided the same way today, even where a rule has a newer version.
    assert {item["class"] for item in report["divergences"]} <= {"version"}
    assert report["decisions"] > 0
    node = RealNode(tmp_path, "")
    node.name = found["node"]
    node.config.write_bytes((data / "forest.toml").read_bytes())
    try:
        await node.start()
        await seen(node, "idle")
        code, out, err = await elf("submit", "sums", "--payload", "[40, 2]", "--wait", "--data", data)
        assert (code, "42" in out) == (0, True), err + out
        high = ("--priority", "high", "--payload", "[6, 7]", "--wait", "--data", data)
        code, out, err = await elf("submit", "sums", *high)
        assert (code, "13" in out) == (0, True), err + out
        assert await node.stop() == 0
    finally:
        await node.clear()
    assert (await whole(data))[found["last"]].type == "lease_taken"
    assert (await verified(data))["ok"]


async def test_what_other_code_made_is_made_again_and_nothing_else(restored: Path) -> None:
    code, out, _ = await elf("upgrade", "--check", "--json", "--data", restored)
    assert (code, json.loads(out)["snapshots"]) == (0, [])
    (restored / "snapshots").mkdir()
    for name in ("healing", "roster", "of_another_release"):
        old = {"zone": "other", "position": 5, "digest": "", "mind": {}}
        (restored / "snapshots" / f"{name}.json").write_bytes(msgspec.json.encode(old))
    with duckdb.connect(str(restored / "warehouse.duckdb")) as connection:
        connection.execute("UPDATE meta SET value = 'other'")
    code, out, _ = await elf("upgrade", "--check", "--json", "--data", restored)
    plan = json.loads(out)
    assert (code, plan["tables"], plan["views"]) == (1, "rebuilt", "rebuilt")
    assert plan["snapshots"] == ["healing", "of_another_release", "roster"]
    assert json.loads((restored / "snapshots" / "roster.json").read_bytes())["zone"] == "other"
    code, _, err = await elf("upgrade", "--data", restored)
    assert code == 0, err
    code, out, _ = await elf("upgrade", "--check", "--json", "--data", restored)
    assert (code, json.loads(out)["tables"]) == (0, "kept")
    names = {path.stem for path in (restored / "snapshots").glob("*.json")}
    assert names == {*FOLDS, *(policy.name for policy in POLICIES)}
    assert (await verified(restored))["head"] == plan["head"]


async def test_lost_tables_are_filled_from_the_log(restored: Path) -> None:
    before = await verified(restored)
    (restored / "warehouse.duckdb").unlink()
    code, _, err = await elf("upgrade", "--data", restored)
    assert code == 0, err
    after = await verified(restored)
    assert (after["ok"], after["head"], len(after["proofs"])) == (True, before["head"], len(before["proofs"]))


async def test_a_folder_of_a_newer_release_is_refused(
    restored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from actors import version
    from actors.stopped_log import StoppedLog

    monkeypatch.setattr(version, "version", lambda: "0.0.9")
    with StoppedLog(restored) as log, pytest.raises(UpgradeRefused, match=r"0\.1\.0"):
        survey(log, lambda *_: None)


async def test_a_damaged_folder_is_not_upgraded(restored: Path) -> None:
    (lost, *_) = sorted((restored / "segments").glob("*.parquet"))
    lost.unlink()
    code, _, err = await elf("upgrade", "--data", restored)
    assert (code, len(err.splitlines())) == (3, 1), err


def test_recorded_releases_are_small_and_there_is_one() -> None:
    assert RELEASES
    assert [path.name for path in RELEASES if path.stat().st_size >= 300_000] == []

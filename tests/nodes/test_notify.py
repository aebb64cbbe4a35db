"""Plain programs that say more by their pipe, in shell and in Python, on a real node that is killed in between."""

import sys
from pathlib import Path

from actors.audit import replay
from events.decisions import RestartUnit, StartUnit, StopUnit
from events.observations import EvidenceTaken, WorkerExited, WorkerReady, WorkerSpoke
from events.outcomes import WorkerStarted
from tests.real_node import real_node
from tests.victims import until

SHOP = """
until [ -e go ]; do sleep 0.05; done
echo READY > "$ELF_NOTIFY"
while [ ! -e hang ]; do
  echo BEAT > "$ELF_NOTIFY"
  if [ -e away ] && [ ! -e said ]; then echo "STATUS alone" > "$ELF_NOTIFY"; touch said; fi
  sleep 0.1
done
rm hang
exec sleep 1000
"""
SITE = r"""
import os, time
pipe = open(os.environ["ELF_NOTIFY"], "w", buffering=1)
pipe.write("READY\n" + "x" * 100_000 + "\nfor shop: READY\nSTATUS my s3cret\tis 日本\x1b[2J\nPROGRESS page-7\n")
while True:
    pipe.write("BEAT\n")
    time.sleep(0.1)
"""


async def test_plain_programs_say_when_they_are_ready_that_they_live_and_what_they_do(tmp_path: Path) -> None:
    (tmp_path / "shop.sh").write_text(SHOP)
    (tmp_path / "site.py").write_text(SITE)
    toml = (
        '[log]\nredact = ["s3cret"]\n[limits]\nkill_gap_s = 0.1\n'
        '[[worker]]\nname = "shop"\ncommand = ["sh", "shop.sh"]\nready_s = 300\nbeat_s = 3\nstop_wait_s = 1\n'
        f'[[worker]]\nname = "site"\ncommand = ["{sys.executable}", "-I", "-S", "site.py"]\nready_s = 300\n'
        'after = ["shop"]\nstop_wait_s = 1\n'
        '[[worker]]\nname = "never"\ncommand = ["sleep", "1000"]\nready_s = 1\n'
    )
    async with real_node(tmp_path, toml) as node:
        shop = await node.runs("shop")
        late, why = await node.decided("not_ready", "never")
        assert why.action == StopUnit(generation=1)
        assert why.inputs["ready_s"] == 1.0
        _, again = await node.decided("crash", "never", late.position)
        assert (again.action, again.reason) == (StartUnit(generation=2), "backoff")
        assert (await node.worker("shop"))["state"] == "starting"
        assert node.all(WorkerStarted, unit="site") == []

        (tmp_path / "go").touch()
        ready, _ = await node.saw(WorkerReady, unit="shop", generation=1, pid=shop.pid)
        site = await node.runs("site")
        assert node.all(WorkerStarted, ready, unit="site")
        await node.saw(WorkerReady, unit="site", pid=site.pid)
        await node.saw(WorkerSpoke, unit="site", words="my *** is 日本 [2J", progress="page-7")
        row = await node.worker("site")
        assert (row["state"], row["words"], row["progress"]) == ("running", "my *** is 日本 [2J", "page-7")

        await node.kill9()
        (tmp_path / "away").touch()
        until((tmp_path / "said").exists)
        await node.start()
        await node.saw(WorkerSpoke, unit="shop", words="alone")
        rows = {row["name"]: row for row in (await node.status())["workers"]}
        assert (rows["shop"]["pid"], rows["site"]["pid"]) == (shop.pid, site.pid)
        assert (rows["shop"]["words"], rows["site"]["words"]) == ("alone", "my *** is 日本 [2J")
        assert (rows["shop"]["state"], rows["site"]["state"]) == ("running", "running")
        assert node.all(WorkerExited, unit="shop") == node.all(WorkerExited, unit="site") == []
        assert len(node.all(WorkerReady, unit="shop")) == len(node.all(WorkerReady, unit="site")) == 1

        (tmp_path / "hang").touch()
        silent, why = await node.decided("not_responding", "shop")
        assert why.action == RestartUnit(generation=1, evidence=True)
        assert why.inputs["beat_age_ms"] >= 9000
        await node.saw(EvidenceTaken, silent.position, unit="shop", generation=1)
        second = await node.runs("shop", 2)
        await node.saw(WorkerReady, unit="shop", generation=2, pid=second.pid)
        assert all(b"s3cret" not in event.data for event in node.events if event.type != "settings_adopted")
        events = node.events[:]
    report = replay(lambda: iter([events]))
    assert report.divergences == []
    assert report.equal == report.decisions > 0

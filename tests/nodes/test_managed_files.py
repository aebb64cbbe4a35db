"""A worker's own broken configuration is repaired by a real node; what it holds is nowhere in the log."""

import sys
import tomllib
from pathlib import Path

from events.decisions import ClearAlert, Decided, RepairFile
from events.observations import ManagedFileRepaired, ManagedFileSeen
from tests.real_node import real_node

CHECK = (
    "import sys, tomllib; d = tomllib.load(open(sys.argv[1], 'rb')); sys.exit(0 if d['port'] < 70000 else 3)"
)


async def test_a_broken_file_gets_back_what_worked_and_keeps_what_still_does(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('port = 80\ntoken = "s3cret-one"\nname = "a"\n')
    check = f'["{sys.executable}", "-c", "{CHECK}", "{{path}}"]'
    toml = (
        "[limits]\nhuman_edit_s = 0\n[[worker]]\n"
        'name = "a"\ncommand = ["sleep", "1000"]\n'
        f'[[worker.managed_config]]\npath = "own.toml"\ncheck = {check}\n'
    )
    async with real_node(tmp_path, toml) as node:
        await node.saw(ManagedFileSeen, ok=True, seconds=60)
        path.write_text('port = 99999\ntoken = "s3cret-two"\nname = "b"\nnonsense\n')
        _, seen = await node.saw(ManagedFileSeen, ok=False, seconds=60)
        assert seen.good
        decision, why = await node.decided("config_repair", "a", seconds=60)
        assert why.action == RepairFile(path=str(path), digest=seen.digest)
        assert why.cost == 10
        _, done = await node.saw(ManagedFileRepaired, seconds=60)
        assert done.restored == ("port",)
        assert tomllib.loads(path.read_text()) == {"port": 80, "token": "s3cret-two", "name": "b"}
        await node.saw(ManagedFileSeen, after=decision.position, ok=True, seconds=60)
        await node.decided("config_alert", "a", decision.position, seconds=60, reason="calm")
        kept = node.data / "managed" / "a" / done.kept
        assert kept.read_text().endswith("nonsense\n")
        assert kept.stat().st_mode & 0o777 == 0o600
        alerts = [body.action for _, body in node.all(Decided, rule="config_alert")]
        assert isinstance(alerts[-1], ClearAlert)
        assert not [event for event in node.events if b"s3cret" in event.data]

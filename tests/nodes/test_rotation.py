"""A node cuts the logs of its workers while they write; `elf logs` reads on across the cuts."""

import asyncio
import os
import sys
from pathlib import Path

from actors.log_parts import last_lines, parts_of
from events.observations import LogRotated, WorkerExited
from tests.real_node import ROOT, RealNode, real_node

WRITER = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; exec sleep 1000"
TOML = f'log_size = "20kB"\nlog_keep = 100\n[[worker]]\nname = "a"\ncommand = ["sh", "-c", "{WRITER}"]\n'


async def logs(node: RealNode, *words: str) -> list[str]:
    """Run `elf logs` and return its lines."""
    command = [sys.executable, str(ROOT / "__main__.py"), "logs", "a", *words, "--data", str(node.data)]
    done = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await done.communicate()
    assert done.returncode == 0
    return said.decode().splitlines()


async def test_a_log_is_cut_while_its_worker_writes(tmp_path: Path) -> None:
    async with real_node(tmp_path, TOML) as node:
        await node.runs("a")
        log = node.data / "logs" / "a.log"
        lines = [f"line {number}" for number in range(20_000)]
        await node.wait(
            lambda _: log.exists() and last_lines(log, 1)[0] == [b"line 19999\n"], what="the last line"
        )
        await node.wait(lambda _: sum(cut.stop - cut.start for cut in cuts(node)) > 200_000, what="the cuts")
        assert await logs(node, "-n", "30000") == lines
        assert [cut.segment for cut in cuts(node)] == [part.path.name for part in parts_of(log)]
        assert os.stat(log).st_blocks * 512 <= 24_000
        assert node.all(WorkerExited) == []
        answer = await node.ask(
            "sql", sql="SELECT unit, min(start), count(*) FROM log_rotations GROUP BY unit"
        )
        assert answer["rows"] == [["a", 0, len(cuts(node))]]


def cuts(node: RealNode) -> list[LogRotated]:
    """Return the cuts of the worker's log."""
    return [body for _, body in node.all(LogRotated, unit="a")]

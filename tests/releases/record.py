"""Records RELEASE.tar: a real node of the release that runs this, with work, a failure, a crash and an open task.

    python -m tests.releases.record

Takes half a minute. Done once for every release, from its own checkout; an existing file is never made again.
"""

import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path

from actors.version import version
from events.observations import HistorySealed, WorkerReady
from events.outcomes import WorkerStarted
from events.tasks import TaskDied, TaskFinished
from tests.archive.folder import elf, grow
from tests.real_node import RealNode, real_node

HERE = Path(__file__).parent
SUM = "import json, sys; print(json.dumps(sum(json.load(sys.stdin)['payload'])))"
FOREST = f"""[log]
segment_events = 500
keep_s = 0.05
[[queue]]
name = "sums"
max_attempts = 1
[[queue]]
name = "held"
[[worker]]
name = "adder"
queue = "sums"
exec = ["python3", "-c", {SUM!r}]
[[worker]]
name = "idle"
command = ["sleep", "600"]
stop_wait_s = 1
"""


async def life(node: RealNode) -> None:
    """Let the node see a bit of everything."""
    started = await node.runs("idle")
    await node.saw(WorkerReady)
    await grow(node, 1_000)
    await node.saw(HistorySealed, first=501, seconds=60)
    await node.submit("sums", [(f"sum-{number}", [number, 1]) for number in range(20)])
    await node.submit("sums", [("no-numbers", "x")])
    await node.submit("held", [("waits", {"for": "a later release"})])
    await node.wait(lambda _: len(node.all(TaskFinished, queue="sums")) == 20, 60, "sums")
    await node.saw(TaskDied, task="no-numbers", seconds=60)
    os.kill(started.pid, signal.SIGKILL)
    await node.saw(WorkerStarted, unit="idle", generation=2, seconds=60)
    await grow(node, 500)


async def record(target: Path) -> None:
    """Run a node and back its folder up."""
    with tempfile.TemporaryDirectory() as folder:
        async with real_node(Path(folder), FOREST) as node:
            await life(node)
            assert await node.stop() == 0
            code, out, err = await elf("backup", target, "--data", node.data, "--config", node.config)
            assert code == 0, err
            print(out, end="")


if __name__ == "__main__":
    found = HERE / f"{version()}.tar"
    if found.exists():
        sys.exit(f"expected no {found}, got one; a release is recorded once")
    asyncio.run(record(found))
    print(f"{found.stat().st_size:,} bytes")

"""Records spine.jsonl.gz: a real node through everything its elves have rules for, five times over.

    python -m tests.histories.record [FILE]

Takes about a minute. Needed anew only when an event's bytes change; the log of another release stays as it is.
"""

import asyncio
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from events.decisions import ClearAlert, Decided
from events.observations import WorkerReady
from events.outcomes import WorkerStarted
from tests.histories import SPINE, save
from tests.real_node import ROOT, RealNode, python_with, real_node

FIVE = range(1, 6)
PLAIN = [f"plain-{number}" for number in FIVE]
FAT = [f"fat-{number}" for number in FIVE]
TASK = [f"task{number}" for number in FIVE]
HANG = "import signal, time\nsignal.signal(signal.SIGUSR1, lambda *_: time.sleep(1000))\n"

WANTED = "backlog jam start stop order reconfigure crash quarantine stopped not_responding memory".split()
"""Every rule; the alerts of backlog and jam are raised and cleared so often each."""


def forest(release: int) -> str:
    """Return forest.toml; another `release` is another configuration of the plain workers."""
    parts = [
        "[limits]\nsteady_s = 0.5\nqueue_backlog = 10\nqueue_jam_s = 1.0\nbeat_lost_s = 10\n",
        # Five of one pool at once: no cap may hold the story up.
        "unavailable_share = 1.0\nkill_gap_s = 0.05\nshared_share = 1.0\n",
        pool("plain", '["sleep", "1000"]', f'env = {{ RELEASE = "{release}" }}'),
        pool("loop", '["sh", "-c", "exit 3"]', "restart = { burst = 2, window_s = 60 }"),
        pool(
            "fat",
            f'["{sys.executable}", "-I", "-S", "-c", '
            "\"import signal; kept = bytearray(b'x') * (40 << 20); signal.pause()\"]",
            'memory_limit = "40 MiB"',
        ),
    ]
    for name in TASK:
        parts.append(
            f'[[queue]]\nname = "{name}"\ntimeout_s = 60\n[[worker]]\nname = "{name}"\nqueue = "{name}"\n'
            f'call = "plain:mark_and_wait"\ncwd = "{ROOT}/tests/handlers"\nstop_wait_s = 1\n'
        )
    return "".join(parts)


def pool(name: str, command: str, more: str) -> str:
    """Return a pool of five."""
    return f'[[worker]]\nname = "{name}"\ncommand = {command}\nmin = 5\nmax = 5\nstop_wait_s = 1\n{more}\n'


async def decisions(
    node: RealNode, rule: str, targets: Sequence[str], after: int = 0, clear: bool = False
) -> None:
    """Wait until a rule has spoken about all these targets, then until what it ordered is done."""

    def spoken() -> list[tuple[int, Decided]]:
        return [
            (at, body)
            for at, body in node.all(Decided, after, rule=rule)
            if body.target in targets and (not clear or isinstance(body.action, ClearAlert))
        ]

    await node.wait(
        lambda _: {body.target for _, body in spoken()} >= set(targets), 90, f"{rule} of {targets}"
    )


async def settled(node: RealNode) -> None:
    """Wait until no act is open."""

    def still() -> bool:
        acts = {
            event.id
            for event in node.events
            if isinstance(event.body, Decided)
            and event.body.action.__struct_config__.tag
            in ("start_unit", "stop_unit", "restart_unit", "continue_unit")
        }
        return acts <= {
            event.cause for event in node.events if event.type in ("effect_verified", "effect_failed")
        }

    await node.wait(lambda _: still(), 60, "the end of all acts")


async def each(node: RealNode, units: Sequence[str], number: int) -> None:
    """Send a signal to the main process of each unit."""
    rows = {row["name"]: row["pid"] for row in (await node.status())["workers"]}
    for unit in units:
        os.kill(rows[unit], number)


async def scenario(node: RealNode, folder: Path) -> None:
    """Everything that can happen to plain workers, then what can happen to task workers."""
    for unit in (*PLAIN, *FAT, *TASK):
        await node.runs(unit, seconds=60)
    for unit in TASK:
        await node.saw(WorkerReady, unit=unit, seconds=60)
    await decisions(node, "memory", FAT)
    await node.intend("fat", "stop")
    await decisions(node, "stop", FAT)
    await decisions(node, "quarantine", [f"loop-{number}" for number in FIVE])
    await settled(node)
    await each(node, PLAIN, signal.SIGKILL)
    await decisions(node, "crash", PLAIN)
    await settled(node)
    await each(node, PLAIN, signal.SIGSTOP)
    await decisions(node, "stopped", PLAIN)
    await settled(node)
    after = await node.intend("plain", "run", restart=True)
    await decisions(node, "order", PLAIN, after)
    await settled(node)
    node.configure(forest(2))
    node.hup()
    await decisions(node, "reconfigure", PLAIN)
    await settled(node)
    await queues(node, folder)
    await crash_of_the_node(node)
    for unit in TASK:
        assert (await node.ask("signal", unit=unit, signal="USR1"))["ok"]
    await decisions(node, "not_responding", TASK)
    await settled(node)
    after = await node.intend("plain", "stop")
    await decisions(node, "stop", PLAIN, after)
    await settled(node)
    assert await node.stop() == 0
    await node.start()
    after = await node.intend("plain", "run")
    for unit in PLAIN:
        await node.saw(WorkerStarted, after, unit=unit)
    await settled(node)


async def queues(node: RealNode, folder: Path) -> None:
    """Let five queues fill up and stand still, then move."""
    for name in TASK:
        marks = folder / name
        marks.mkdir()
        await node.submit(name, [(f"{name}-{number}", str(marks / "marks")) for number in range(12)])
    await decisions(node, "backlog", TASK)
    await decisions(node, "jam", TASK)
    for name in TASK:
        (folder / name / "go").touch()
    await decisions(node, "backlog", TASK, clear=True)
    await decisions(node, "jam", TASK, clear=True)


async def crash_of_the_node(node: RealNode) -> None:
    """Kill the node and one of its workers and let it find out."""
    rows = {row["name"]: row["pid"] for row in (await node.status())["workers"]}
    await node.kill9()
    os.kill(rows["plain-1"], signal.SIGKILL)
    await node.start()
    generation = max(body.generation for _, body in node.all(WorkerStarted, unit="plain-1"))
    await node.runs("plain-1", generation + 1)
    await settled(node)


async def record(path: Path) -> None:
    """Run the node, then export its log."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = python_with(folder, HANG)
        async with real_node(folder, forest(1), sample_s=0.5, python=python) as node:
            await scenario(node, folder)
            await node.read()
            events = list(node.events)
    count = Counter(event.body.rule for event in events if isinstance(event.body, Decided))
    missing = [rule for rule in WANTED if count[rule] < 5]
    print(f"{len(events)} events, {save(path, events)} bytes, {dict(sorted(count.items()))}")
    if missing:
        raise SystemExit(f"expected five decisions of each rule, got fewer of {', '.join(missing)}")


if __name__ == "__main__":
    asyncio.run(record(Path(sys.argv[1]) if len(sys.argv) > 1 else SPINE))

"""Kills everything that can be killed, under load, for as long as asked; then every promise is checked.

python -m tests.chaos.kill_loop --minutes 15 --kills 300 --seed 1
"""

import argparse
import asyncio
import contextlib
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from msgspec import Struct, field

from actors.audit import replay
from actors.faces.console.source import LogSource
from actors.jetstream import JetStreamLog
from actors.place import Place
from events.envelope import Recorded
from events.log import Conflict, Entry, Expect, LogError, entry, envelope
from events.observations import HistoryPurged, HistorySealed
from events.subjects import task_filter
from events.tasks import ResultSalvaged, TaskCancelled, TaskDied, TaskFinished, TaskStarted, TaskSubmitted
from tests.chaos.strikes import Strikes
from tests.chaos.watch import Watch
from tests.real_node import ROOT, RealNode

FOREST = f"""
[limits]
steady_s = 0.2
[log]
segment_events = 2000
keep_s = 10
[[queue]]
name = "q"
max_attempts = 50
[[worker]]
name = "w"
queue = "q"
call = "plain:double_slowly"
cwd = "{ROOT}/tests/handlers"
min = 2
max = 2
[[worker]]
name = "p"
command = ["sleep", "1000000"]
"""
_AHEAD = 120
# Between two batches: about a hundred tasks a second, which a machine that does much else bears, too.
_PAUSE_S = 0.15
_RECOVERY_S = 90.0


class Figures(Struct):
    """What the loop saw and what the checks found."""

    seed: int
    seconds: float = 0.0
    kills: int = 0
    hit: Counter[str] = field(default_factory=Counter)
    recovery_s: dict[str, list[float]] = field(default_factory=dict)
    acknowledged: int = 0
    lost: int = 0
    without_end: int = 0
    with_two_ends: int = 0
    dead: int = 0
    executions: int = 0
    salvaged: int = 0
    events: int = 0
    node_failures: int = 0
    divergences: list[str] = field(default_factory=list)
    unwritten: int = 0
    sealed: int = 0
    purged: int = 0
    verify: str = ""

    @property
    def sound(self) -> bool:
        """Tell whether every promise was kept."""
        broken = self.lost + self.without_end + self.with_two_ends + len(self.divergences)
        return broken == 0 and not self.verify


class Load:
    """Submits tasks in batches of chance size; the same batch again until the log has acknowledged it."""

    def __init__(self, node: RealNode, watch: Watch, chance: random.Random) -> None:
        self._node = node
        self._watch = watch
        self._chance = chance
        self.acknowledged: set[str] = set()
        self._resting = False
        self._over = False
        self._number = 0

    def rest(self, on: bool) -> None:
        """Submit nothing for a while, or go on."""
        self._resting = on

    def end(self) -> None:
        """Let `run` return once its batch is acknowledged: a wait that is cancelled may not hear of it."""
        self._over = True

    async def run(self) -> None:
        """Submit until ended, never far ahead of what is finished."""
        while not self._over:
            if not self._resting and len(self.acknowledged) - self._watch.finished < _AHEAD:
                await self._submit(self._batch(self._chance.choice((1, 3, 20, 40))))
            await asyncio.sleep(_PAUSE_S)

    def _batch(self, size: int) -> list[Entry]:
        now = time.time_ns() // 1000
        entries = []
        for _ in range(size):
            self._number += 1
            body = TaskSubmitted(task=f"t{self._number}", queue="q", payload=self._number)
            said = envelope(secrets.token_hex(8), now, "operator.cli", body)
            entries.append(entry(said, Expect(task_filter("q", body.task), 0)))
        return entries

    async def _submit(self, batch: list[Entry]) -> None:
        log = JetStreamLog(await self._node.connection(), timeout=2.0)
        while True:
            try:
                await log.append(batch)
            except Conflict:
                # An earlier try stands: all of it or nothing.
                for item in batch:
                    assert item.expect
                    found = await self._last(log, item.expect.filter)
                    assert found, f"a refused batch and no {item.expect.filter}"
            except LogError:
                await asyncio.sleep(0.05)
                continue
            self.acknowledged |= {_task(item) for item in batch}
            return

    async def _last(self, log: JetStreamLog, filter: str) -> bool:
        while True:
            with contextlib.suppress(LogError):
                return await log.last(filter) is not None
            await asyncio.sleep(0.05)


def _task(item: Entry) -> str:
    body = item.envelope.body
    assert isinstance(body, TaskSubmitted)
    return body.task


async def chaos(folder: Path, minutes: float, kills: int, seed: int, say: bool = True) -> Figures:
    """Run the loop until time or kills are used up, check, and leave nothing behind."""
    chance = random.Random(seed)
    figures = Figures(seed)
    node = RealNode(folder, FOREST, sample_s=0.5)
    try:
        await node.start()
        watch = Watch()
        await watch.listen(await node.connection())
        load = Load(node, watch, random.Random(seed + 1))
        submitting = asyncio.ensure_future(load.run())
        began = time.monotonic()
        strikes = Strikes(node, watch, chance, load.rest)
        while time.monotonic() - began < minutes * 60 and figures.kills < kills:
            for name, blow in strikes.plan():
                if time.monotonic() - began >= minutes * 60 or figures.kills >= kills:
                    break
                assert not submitting.done(), submitting
                await _one(node, watch, name, blow, figures, say)
        figures.seconds = round(time.monotonic() - began, 1)
        load.end()
        await asyncio.wait_for(submitting, _RECOVERY_S)
        await _check(node, load, figures)
        code = await node.stop()
        assert code == 0, node.words()[-3000:]
    except BaseException as problem:
        problem.add_note(node.words()[-4000:])
        raise
    finally:
        await node.clear()
    return figures


async def _one(
    node: RealNode, watch: Watch, name: str, blow: Callable[[], Awaitable[str]], figures: Figures, say: bool
) -> None:
    """Deal one blow and wait until the forest works again; a node that ended by itself is started."""
    phase = await blow()
    struck = time.monotonic()
    target = name.split()[0]
    if phase:
        figures.kills += 1
        figures.hit[f"{target}: {phase}"] += 1
    before = watch.finished
    while watch.finished < before + 5:
        if node.process and node.process.returncode is not None:
            figures.node_failures += 1
            node.process = None
            await node.start(_RECOVERY_S)
        assert time.monotonic() - struck < _RECOVERY_S, f"no task was finished after: {name} ({phase})"
        await asyncio.sleep(0.005)
    took = time.monotonic() - struck
    figures.recovery_s.setdefault(target, []).append(took)
    if say:
        print(
            f"{figures.kills:4} {name:32} hit: {phase or '-':26} works again after {took:6.2f} s", flush=True
        )


async def _check(node: RealNode, load: Load, figures: Figures) -> None:
    figures.acknowledged = len(load.acknowledged)
    ends: Counter[str] = Counter()
    stored: set[str] = set()
    deadline = time.monotonic() + 120.0
    while time.monotonic() < deadline:
        for event in await asyncio.to_thread(_behind, node):
            if isinstance(event.body, TaskFinished | TaskDied | TaskCancelled):
                ends[event.body.task] += 1
                figures.dead += isinstance(event.body, TaskDied)
            elif isinstance(event.body, TaskSubmitted):
                stored.add(event.body.task)
            figures.executions += isinstance(event.body, TaskStarted)
            figures.salvaged += isinstance(event.body, ResultSalvaged)
        if load.acknowledged <= set(ends):
            break
        await asyncio.sleep(0.05)
    figures.events = len(node.events)
    figures.sealed = sum(isinstance(event.body, HistorySealed) for event in node.events)
    figures.purged = max((e.body.below for e in node.events if isinstance(e.body, HistoryPurged)), default=0)
    figures.lost = len(load.acknowledged - stored)
    figures.without_end = len(load.acknowledged - set(ends))
    figures.with_two_ends = sum(count > 1 for count in ends.values())
    report = replay(lambda: iter([node.events]))
    figures.divergences = [str(item) for item in report.divergences]
    figures.unwritten = report.unwritten
    command = [sys.executable, str(ROOT / "__main__.py"), "log", "verify", "--data", str(node.data)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    figures.verify = "" if done.returncode == 0 else done.stdout + done.stderr


def _behind(node: RealNode) -> list[Recorded]:
    """Take what the log, sealed files and stream as one, has behind the last event taken."""
    with LogSource(Place(node.data)) as source:
        found = [event for chunk in source.chunks(len(node.events)) for event in chunk]
    node.events.extend(found)
    return found


def show(figures: Figures) -> str:
    """Return the figures as a page."""
    lines = [f"{figures.kills} kills in {figures.seconds} s, seed {figures.seed}", "phases hit:"]
    lines += [f"  {count:4}  {phase}" for phase, count in sorted(figures.hit.items())]
    lines.append("works again after (median, longest), s:")
    for target, times in sorted(figures.recovery_s.items()):
        ordered = sorted(times)
        lines.append(f"  {target:8} {ordered[len(ordered) // 2]:6.2f} {ordered[-1]:6.2f}")
    lines += [
        f"acknowledged tasks {figures.acknowledged}: lost {figures.lost}",
        f"without end {figures.without_end}, with two ends {figures.with_two_ends}, dead {figures.dead}",
        f"executions {figures.executions}, raw duplicates {figures.executions - figures.acknowledged}",
        f"late results kept aside {figures.salvaged}",
        f"events {figures.events}, divergences {len(figures.divergences)}, unwritten {figures.unwritten}",
        f"sealed files {figures.sealed}, the stream emptied below {figures.purged}",
        f"the node ended by itself {figures.node_failures} times",
        f"verify: {figures.verify or 'clean'}",
        *figures.divergences[:5],
    ]
    return "\n".join(lines)


def main() -> int:
    """Read the bounds, run, print; 0 when every promise was kept."""
    parser = argparse.ArgumentParser(description="Kill everything, under load, and check every promise.")
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="elf-chaos-"))
    figures = asyncio.run(chaos(folder, given.minutes, given.kills, given.seed))
    print(show(figures))
    if figures.sound:
        shutil.rmtree(folder)
        return 0
    print(f"kept for inspection: {folder}\nagain: make chaos SEED={given.seed}")
    return 1


if __name__ == "__main__":
    sys.exit(main())

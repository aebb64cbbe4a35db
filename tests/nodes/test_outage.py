"""Real workers that fall silent at once have one cause: nobody is restarted for it, a real fault later is healed."""

from pathlib import Path

import pytest

from actors.audit import replay
from events.decisions import Decided, RestartUnit
from events.observations import WorkerReady
from events.outcomes import EffectVerified, WorkerStarted
from tests.real_node import ROOT, python_with, real_node

# On a signal a runner gives no beat: once for as long as the outage lasts, and then for good.
SILENT = """
import signal
import time
lasts = iter((16, 1000))
signal.signal(signal.SIGUSR1, lambda *_: time.sleep(next(lasts)))
"""
UNITS = [f"w-{number}" for number in range(1, 6)]


@pytest.mark.slow
async def test_an_outage_of_all_restarts_nobody_and_one_that_hangs_afterwards_is_healed(
    tmp_path: Path,
) -> None:
    toml = (
        "[limits]\nbeat_lost_s = 10\nshared_s = 60\n"
        '[[queue]]\nname = "q"\n[[worker]]\nname = "w"\nqueue = "q"\nmin = 5\nmax = 5\nstop_wait_s = 1\n'
        f'call = "ailing:work"\ncwd = "{ROOT / "tests" / "handlers"}"\n'
    )
    async with real_node(tmp_path, toml, python=python_with(tmp_path, SILENT)) as node:
        for unit in UNITS:
            await node.saw(WorkerReady, unit=unit)
        for unit in UNITS:
            assert (await node.ask("signal", unit=unit, signal="USR1"))["ok"]
        alert, why = await node.decided("shared_cause", "forest")
        assert why.inputs["suspects"] >= 3
        assert [
            row["severity"] for row in (await node.status())["alerts"] if row["cause"] == "shared_cause"
        ] == ["critical"]
        await node.decided("shared_cause", "forest", alert.position, reason="calm")
        restarts = [body for _, body in node.all(Decided) if isinstance(body.action, RestartUnit)]
        assert len(restarts) <= 2, restarts
        generation = max(body.generation for _, body in node.all(WorkerStarted, unit="w-3"))
        after = len(await node.read())
        # One that was restarted meanwhile has both of its silences before it.
        for _ in range(2 if generation > 1 else 1):
            assert (await node.ask("signal", unit="w-3", signal="USR1"))["ok"]
        decision, _ = await node.decided("not_responding", "w-3", after)
        await node.saw(WorkerStarted, decision.position, unit="w-3", generation=generation + 1)
        await node.saw(EffectVerified, decision=decision.id)
        await node.read()
        assert replay(lambda: iter([node.events])).divergences == []

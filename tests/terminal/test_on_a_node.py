"""A person with keys before a real node: restarts, reads why, answers, pauses; the node dies and comes back."""

import os
import signal
from pathlib import Path

import pytest

from actors.place import Place
from events.controls import AlertAcknowledged, ElvesPaused, ElvesResumed
from events.observations import IntentSet
from events.outcomes import WorkerStarted
from events.proposals import ProposalApproved
from tests.real_node import real_node
from tests.terminal.viewer import WIDE, view

FOREST = """
[limits]
queue_backlog = 3

[[queue]]
name = "work"
serve = "dispatch"

[[worker]]
name = "a"
command = ["sleep", "1000"]
stop_wait_s = 2

[[worker]]
name = "b"
command = ["sleep", "1000"]
stop_wait_s = 2

[[agent]]
name = "CC01"

[[reminder]]
worker = "a"
when = "17:00"
text = "夜間バッチ処理の準備"

[[elf]]
name = "healing"
rules = { stopped = "advise" }
"""
NASTY = "[red]\x1b[31m\u202etxt.exe"

pytestmark = pytest.mark.slow


async def test_a_person_with_keys(tmp_path: Path) -> None:
    async with real_node(tmp_path, FOREST) as node:
        await node.runs("a")
        suspended = await node.runs("b")
        # The node holds a question back until there is more than the asker knows, or the time is over.
        seen = (await node.status())["node"]["position"]
        assert (await node.ask("status", after=seen))["node"]["position"] > seen
        assert (await node.ask("status", after=1 << 60, wait_s=0.1))["node"]["position"] >= seen
        async with view(Place(node.data), "ja", WIDE) as viewer:
            await viewer.sees("ワーカー状態", "✔ 稼働中", "次回リマインド", "夜間バッチ処理の準備", "CC01")
            await viewer.presses("l")
            await viewer.sees("Worker state", "next reminder", "Healing")

            # A restart is asked for once more, and its reason stands in the log.
            await viewer.presses("r")
            await viewer.sees("restart: a?")
            await viewer.presses("escape", "r", *"[red]x", "enter")
            await node.saw(IntentSet, target="a", restart=True, reason="[red]x")
            await node.runs("a", 2)
            assert len(node.all(IntentSet)) == 1
            await node.append(IntentSet(target="a", intent="run", reason=NASTY))
            await viewer.sees("in the log at position")

            # Why, with what a stranger wrote shown as it is.
            await viewer.presses("w")
            await viewer.sees("Worker a: running, generation 2", "[red]x")
            assert "\x1b" not in viewer.screen()
            await viewer.presses("escape")

            # Advice is answered, an alert acknowledged, all elves are held and go on.
            os.kill(suspended.pid, signal.SIGSTOP)
            await viewer.sees("7 Proposals 1")
            await viewer.presses("7", "y", "enter")
            await node.saw(ProposalApproved, elf="healing", about="b")
            await node.submit("work", [(f"t{number}", NASTY) for number in range(9)])
            await viewer.sees("backlog work")
            assert [row["pending"] for row in (await node.status())["queues"]] == [9]
            await viewer.presses("6", "a")
            await node.saw(AlertAcknowledged, alert="backlog", about="work")
            await viewer.sees("(acknowledged)")
            await viewer.presses("3", "w")
            await viewer.sees("waiting 9", "t8")
            await viewer.presses("escape", "p", "enter")
            await node.saw(ElvesPaused)
            await viewer.sees("all elves only observe")
            await viewer.presses("p")
            await node.saw(ElvesResumed)

            # The node is killed and another one takes its place; then it ends in order, its server with it.
            await node.kill9()
            await viewer.sees("node not reachable, trying again", "Worker state")
            await node.start()
            await viewer.sees("leader", "✔ running")
            await node.stop()
            await viewer.sees("node not reachable, trying again")
            await node.start()
            started = await node.saw(WorkerStarted, unit="a", generation=3)
            await viewer.sees("leader", "✔ running")
            assert started[1].pid

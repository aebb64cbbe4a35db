"""Care of real agents: two of three frozen at once, a node that was stopped itself, Flow's look at one that fails."""

import asyncio
import signal
from pathlib import Path

from events.decisions import ClearAlert, Decided, MarkAgent, RaiseAlert
from events.tasks import TaskFinished
from tests.archive.folder import elf
from tests.nodes.test_agents import QUEUE, one, submit
from tests.real_agent import RealAgent, agents
from tests.real_node import RealNode, real_node

LIMITS = "agent_suspect_s = 1.5\nagent_ping_s = 0.5\nagent_cooldown_s = [1.0]\nmonitor_s = 0.5\n"


def forest(*names: str) -> str:
    """Return a configuration with these agents and short limits."""
    return QUEUE + "[limits]\n" + LIMITS + "".join(f'[[agent]]\nname = "{name}"\n' for name in names)


def marks(node: RealNode, name: str) -> list[str]:
    """Return the states that an agent was put into."""
    decided = [body for _, body in node.all(Decided, target=name)]
    return [body.action.state for body in decided if isinstance(body.action, MarkAgent)]


async def replays_equal(node: RealNode) -> None:
    """Stop the node and decide everything again."""
    assert await node.stop() == 0
    code, out, err = await elf("replay", "--data", str(node.data))
    assert code == 0, out + err
    assert "0 differences" in out


async def test_two_of_three_frozen_at_once_are_asked_about_and_come_back_step_by_step(tmp_path: Path) -> None:
    async with real_node(tmp_path, forest("A", "B", "C")) as node:
        given = [RealAgent(node, name) for name in "ABC"]
        async with agents(*given):
            for agent in given[:2]:
                agent.signal(signal.SIGSTOP)
            asked, _ = await node.saw(Decided, rule="shared_cause", seconds=60)
            down = MarkAgent(state="down")
            downs = [(await node.saw(Decided, seconds=60, target=name, action=down))[0] for name in "AB"]
            assert max(downs) > asked
            actions = [body.action for _, body in node.all(Decided, rule="shared_cause")]
            assert actions[:2] == [
                RaiseAlert(cause="shared_cause", severity="critical"),
                ClearAlert(cause="shared_cause"),
            ]
            assert "down" not in marks(node, "C")
            for agent in given[:2]:
                agent.signal(signal.SIGCONT)
            await node.wait(
                lambda _: any("probation" in marks(node, name) for name in "AB"), 60, "one on probation"
            )
        await replays_equal(node)


async def test_a_node_that_was_stopped_itself_blames_no_agent(tmp_path: Path) -> None:
    async with real_node(tmp_path, forest("A", "B")) as node:
        async with agents(RealAgent(node, "A"), RealAgent(node, "B")):
            await submit(node, [one("t0")])
            assert node.process
            node.process.send_signal(signal.SIGSTOP)
            # This is the outage itself: three times as long as an agent's silence may last.
            await asyncio.sleep(4.5)
            node.process.send_signal(signal.SIGCONT)
            await submit(node, [one(f"t{number}") for number in range(1, 5)])
            await node.wait(lambda _: len(ended(node)) == 5, 60, "five tasks that have ended")
            assert [name for name in "AB" if "down" in marks(node, name)] == []
        await replays_equal(node)


def ended(node: RealNode) -> set[str]:
    """Return the tasks that have a result."""
    return {body.task for _, body in node.all(TaskFinished)}


async def test_flow_says_that_an_agent_fails_too_often(tmp_path: Path) -> None:
    count = tmp_path / "count"
    async with real_node(tmp_path, forest("A")) as node:
        async with agents(RealAgent(node, "A", "--fail-every", "4", "--count", str(count))):
            await submit(node, [one(f"t{number}") for number in range(24)])
            raised = RaiseAlert(cause="high_error_rate", severity="warning")
            _, decided = await node.saw(Decided, seconds=60, target="A", action=raised)
            assert decided.inputs["error_rate"] > 0.05
            assert (decided.elf, decided.rule) == ("flow", "monitor")
        await replays_equal(node)

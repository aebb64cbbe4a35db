"""Workers that cannot live: waits between tries, quarantine, a person's word, commands that do not exist."""

from pathlib import Path

from events.decisions import Decided, QuarantineUnit, RaiseAlert, StartUnit
from events.observations import WorkerExited
from events.outcomes import EffectFailed, EffectVerified, WorkerStarted, WorkerStartOrdered
from tests.real_node import RealNode, real_node

LOOP = '[[worker]]\nname = "a"\ncommand = ["sh", "-c", "exit 3"]\nrestart = { burst = 2, window_s = 60 }\n'


def ordered_at(node: RealNode) -> list[int]:
    """Return when each generation was ordered, in microseconds."""
    return [node.events[at - 1].time for at, _ in node.all(WorkerStartOrdered, unit="a")]


async def test_early_deaths_wait_then_quarantine_with_one_alert_and_an_operator_rearms(
    tmp_path: Path,
) -> None:
    async with real_node(tmp_path, LOOP) as node:
        decision, why = await node.decided("quarantine", "a")
        assert isinstance(why.action, QuarantineUnit)
        assert why.action.until - decision.time in range(299_000_000, 301_000_000)
        assert "exit code 3" in why.text
        first, second = ordered_at(node)
        assert second - first >= 1_000_000
        assert [body.action for _, body in node.all(Decided, rule="crash")] == [StartUnit(generation=2)]
        alerts = [
            body for _, body in node.all(Decided, rule="quarantine") if isinstance(body.action, RaiseAlert)
        ]
        assert [alert.cost for alert in alerts] == [1]
        assert (await node.worker("a"))["state"] == "quarantined"
        assert [alert["cause"] for alert in (await node.status())["alerts"]] == ["crash_loop"]
        said = await node.intend("a", "run")
        at, started = await node.saw(WorkerStarted, said, unit="a")
        assert started.generation == 3
        # Only the second between two spawns is left of five minutes.
        assert node.events[at - 1].time - node.events[said - 1].time < 5_000_000
        again, _ = await node.decided("quarantine", "a", at)
        assert node.all(Decided, again.position, rule="quarantine") == []
        assert [alert["count"] for alert in (await node.status())["alerts"]] == [1]


async def test_a_command_that_is_gone_never_busy_loops(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/nonexistent/interpreter\n")
    script.chmod(0o755)
    toml = '[[worker]]\nname = "a"\ncommand = ["./script"]\nrestart = { burst = 2, window_s = 60 }\n'
    async with real_node(tmp_path, toml) as node:
        await node.decided("quarantine", "a")
        assert len(node.all(WorkerExited, unit="a")) == 2
        assert all("No such file" in body.error for _, body in node.all(WorkerExited, unit="a"))
        assert len(node.all(EffectFailed, target="a", step="start")) == 2
        assert node.all(WorkerStarted) == []
        first, second = ordered_at(node)
        assert second - first >= 1_000_000


async def test_a_worker_that_lives_again_clears_the_alert(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    command = f'["sh", "-c", "test -e {flag} && exec sleep 1000"]'
    toml = (
        "[limits]\nsteady_s = 0.3\n"
        f'[[worker]]\nname = "a"\ncommand = {command}\nrestart = {{ burst = 1, window_s = 60 }}\n'
    )
    async with real_node(tmp_path, toml) as node:
        decision, _ = await node.decided("quarantine", "a")
        flag.touch()
        said = await node.intend("a", "run")
        await node.saw(EffectVerified, said, target="a")
        cleared, why = await node.decided("quarantine", "a", decision.position, reason="steady")
        assert why.cost == 0
        assert cleared.position > said
        assert (await node.status())["alerts"] == []
